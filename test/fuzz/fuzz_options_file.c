/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.json and runtime of a bundle. The first byte says which of both is there: 1 options.json, 2
 * runtime, 3 the one, a NUL and the other. What is read is fit for use.
 */
#include "shim/options_file.h"

#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

static void write_some(unsigned which, const uint8_t *data, size_t n)
{
	const uint8_t *end = which == 3 ? memchr(data, '\0', n) : NULL;
	size_t first = which == 2 ? 0 : end ? (size_t)(end - data) : n;

	unlinkat(folder(), "options.json", 0);
	unlinkat(folder(), "runtime", 0);
	if (which & 1)
		folder_write("options.json", data, first);
	if (which == 2)
		folder_write("runtime", data, n);
	else if (end)
		folder_write("runtime", end + 1, n - first - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct runtime_set s = RUNTIME_SET_INIT;
	struct error err = ERROR_INIT;
	int r;

	if (n < 2)
		return 0;
	write_some(data[0] & 3, data + 1, n - 1);
	r = options_file_read(folder(), "moby", &s, &err);
	if (r != 0)
		CHECK(r == (int)err.code && err.message && text_is_utf8(err.message) && !s.root &&
			!s.command);
	else
		CHECK(err.code == CODE_OK);
	CHECK(!s.root || *s.root == '/');
	CHECK(!s.command || *s.command == '/' || (*s.command && !strchr(s.command, '/')));
	runtime_set_deinit(&s);
	error_clear(&err);
	return 0;
}
