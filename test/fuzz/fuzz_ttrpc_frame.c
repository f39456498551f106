/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame codec: whatever ten bytes say, they are read within bounds, written back the same, and
 * judged. Input: four bytes that stand for the connection's last stream, then the frame's.
 */
#include "common/ttrpc_frame.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_verdict(const struct ttrpc_header *h, uint32_t last)
{
	const char *why = NULL;
	enum ttrpc_verdict v = ttrpc_frame_judge(h, last, &why);

	CHECK((why != NULL) == (v == TTRPC_VERDICT_INVALID));
	if (v == TTRPC_VERDICT_REQUEST)
		CHECK(h->type == TTRPC_REQUEST && h->stream % 2 == 1 && h->stream > last);
	if (h->type != TTRPC_REQUEST && h->type != TTRPC_DATA)
		CHECK(v == TTRPC_VERDICT_IGNORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ttrpc_header h = { 0 };
	uint8_t back[TTRPC_HEADER];
	uint32_t last;
	int r;

	if (n < sizeof(last))
		return 0;
	memcpy(&last, data, sizeof(last));
	data += sizeof(last);
	n -= sizeof(last);

	r = ttrpc_header_decode(data, n, &h);
	if (n > 0)
		CHECK((r == TTRPC_FRAME_E_BROKEN) == (data[0] != 0));
	if (r == TTRPC_FRAME_E_BROKEN)
		return 0;
	CHECK((r == TTRPC_FRAME_E_PARTIAL) == (n < TTRPC_HEADER));
	if (r == TTRPC_FRAME_E_PARTIAL)
		return 0;
	CHECK((r == TTRPC_FRAME_E_TOO_LARGE) == (h.length > LIMIT_FRAME_DATA));
	ttrpc_header_encode(&h, back);
	CHECK(memcmp(back, data, sizeof(back)) == 0);
	check_verdict(&h, last);
	return 0;
}
