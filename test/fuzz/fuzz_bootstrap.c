/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands on the stdin of `start`. What passes is fit for use, and what is one container's
 * BootstrapParams is no other's; what is refused has a sentence of one line.
 */
#include "shim/bootstrap.h"

#include "common/text.h"
#include "shim/runtime_wish.h"
#include "test/fuzz/fuzz_folder.h"

static void refused(int r, struct error *err)
{
	CHECK(r == CODE_INVALID_ARGUMENT || r == CODE_RESOURCE_EXHAUSTED);
	CHECK(err->message && text_is_utf8(err->message));
	for (const char *p = err->message; *p; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	error_clear(err);
}

static void fit(const char *text)
{
	CHECK(!text || (*text && text_is_utf8(text)));
}

static void taken(const struct bootstrap *s)
{
	struct error err = ERROR_INIT;

	fit(s->ttrpc_address);
	fit(s->grpc_address);
	fit(s->containerd_binary);
	fit(s->socket_dir);
	CHECK(!s->socket_dir || *s->socket_dir == '/');
	if (s->dialect == BOOTSTRAP_FLAGS)
		CHECK(!s->debug && !s->ttrpc_address && !s->socket_dir);
	if (s->options)
		CHECK(runtime_wish_check(s->options, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bootstrap s = BOOTSTRAP_INIT, other = BOOTSTRAP_INIT;
	struct error err = ERROR_INIT;
	int r = bootstrap_parse(data, n, "web", "default", &s, &err);
	enum bootstrap_dialect dialect = s.dialect;

	if (r == 0)
		taken(&s);
	else
		refused(r, &err);
	bootstrap_deinit(&s);
	r = bootstrap_parse(data, n, "other", "default", &other, &err);
	CHECK(r != 0 || other.dialect == BOOTSTRAP_FLAGS || dialect == BOOTSTRAP_FLAGS);
	if (r != 0)
		refused(r, &err);
	bootstrap_deinit(&other);
	return 0;
}
