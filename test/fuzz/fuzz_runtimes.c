/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of runtime options, with names around them and alone. What passes is fit for use; what is
 * refused has a sentence of one line that begins with its place.
 */
#include "common/runtimes.h"

#include "common/runtime.h"
#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

static void refused(int r, struct error *err)
{
	CHECK(r == CODE_INVALID_ARGUMENT || r == CODE_NOT_FOUND);
	CHECK(err->message && text_is_utf8(err->message));
	CHECK(strncmp(err->message, "set:", 4) == 0);
	for (const char *p = err->message; *p; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	error_clear(err);
}

static void taken(struct runtime_set *s)
{
	struct runtime rt = RUNTIME_INIT;

	CHECK(!s->root || *s->root == '/');
	CHECK(!s->command || *s->command == '/' || !strchr(s->command, '/'));
	for (size_t i = 0; i < s->options.n; i++)
		CHECK(runtime_add_option(&rt, s->options.v[i], NULL) == 0);
	runtime_deinit(&rt);
	runtime_set_deinit(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;
	int r = runtime_set_read_in("set", data, n, &s, &err);

	if (r == 0)
		taken(&s);
	else
		refused(r, &err);
	r = runtimes_find_in("set", data, n, "fast", &s, &err);
	if (r == 0)
		taken(&s);
	else
		refused(r, &err);
	return 0;
}
