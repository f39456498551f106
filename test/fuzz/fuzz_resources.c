/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An update's document. What passes is JSON that passes again, unchanged; what is refused has a
 * sentence of one line.
 */
#include "common/resources.h"

#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

static void refused(int r, struct error *err)
{
	CHECK(r == CODE_INVALID_ARGUMENT || r == CODE_RESOURCE_EXHAUSTED);
	CHECK(err->message && text_is_utf8(err->message));
	for (const char *p = err->message; *p; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	error_clear(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct error err = ERROR_INIT;
	char *once = NULL, *twice = NULL;
	int r = resources_parse(data, n, &once, &err);

	if (r != 0) {
		CHECK(!once);
		refused(r, &err);
		return 0;
	}
	CHECK(resources_parse(once, strlen(once), &twice, &err) == 0);
	CHECK(strcmp(once, twice) == 0);
	free(once);
	free(twice);
	return 0;
}
