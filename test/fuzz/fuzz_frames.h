/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Frames of ttrpc around requests whose bytes the fuzzer makes (PROTOCOL.md of containerd/ttrpc). */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct fuzz_call {
	const char *service, *method;
};

#define FUZZ_FRAME_ROOM 256 /* what a frame has beside its payload, at most */

/* Perhaps nothing is answered for now. */
static inline bool fuzz_is_stream(const struct fuzz_call *call)
{
	return strcmp(call->method, "Subscribe") == 0 || strcmp(call->method, "Events") == 0;
}

static inline void fuzz_put_varint(uint8_t **at, size_t n)
{
	for (; n >= 128; n >>= 7)
		*(*at)++ = (uint8_t)(n | 128);
	*(*at)++ = (uint8_t)n;
}

static inline void fuzz_put_bytes(uint8_t **at, uint8_t number, const void *data, size_t n)
{
	*(*at)++ = (uint8_t)(number << 3 | 2);
	fuzz_put_varint(at, n);
	memcpy(*at, data, n);
	*at += n;
}

/* The request of stream 1; ns: of its metadata, NULL for none. How long the frame is. */
static inline size_t fuzz_make_frame(const struct fuzz_call *call, const char *ns,
	const uint8_t *payload, size_t n, uint8_t *frame)
{
	static const char key[] = "containerd-namespace-ttrpc";
	uint8_t *at = frame + 10, pair[64], *p = pair;
	uint32_t length;

	fuzz_put_bytes(&at, 1, call->service, strlen(call->service));
	fuzz_put_bytes(&at, 2, call->method, strlen(call->method));
	fuzz_put_bytes(&at, 3, payload, n);
	if (ns) {
		fuzz_put_bytes(&p, 1, key, strlen(key));
		fuzz_put_bytes(&p, 2, ns, strlen(ns));
		fuzz_put_bytes(&at, 5, pair, (size_t)(p - pair));
	}
	length = (uint32_t)(at - frame - 10);
	for (int i = 0; i < 4; i++)
		frame[i] = (uint8_t)(length >> (24 - 8 * i));
	memcpy(frame + 4, "\0\0\0\1\1\0", 6);
	return length + 10;
}
