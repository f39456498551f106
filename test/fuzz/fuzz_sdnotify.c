/* SPDX-License-Identifier: Apache-2.0 */
/* A container's datagrams: what passes is lines that may pass, each in one piece, and passes again as it is. */
#include "supervisor/cli/sdnotify.h"

#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

static void check_line(const char *line, size_t n)
{
	char text[2048];

	CHECK(n < sizeof(text));
	memcpy(text, line, n);
	text[n] = '\0';
	CHECK(strlen(text) == n && text_is_utf8(text));
	CHECK(strcmp(text, "READY=1") == 0 || strcmp(text, "STOPPING=1") == 0 ||
		strcmp(text, "WATCHDOG=1") == 0 || strncmp(text, "STATUS=", 7) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	const char *p, *end;

	CHECK(sdnotify_filter(data, n, &once) == 0);
	p = (const char *)buf_head(&once);
	end = once.len ? p + once.len : p;
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		check_line(p, (size_t)((stop ? stop : end) - p));
		p = stop ? stop + 1 : end;
	}
	CHECK(sdnotify_filter(buf_head(&once), once.len, &twice) == 0);
	/* a status that was cut may be cut once more */
	CHECK(twice.len == once.len || once.len > 1024);
	CHECK(once.len == 0 || once.len > 1024 ||
		memcmp(buf_head(&once), buf_head(&twice), once.len) == 0);
	buf_deinit(&once);
	buf_deinit(&twice);
	return 0;
}
