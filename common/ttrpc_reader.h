/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Puts frames together from what a socket delivers, with the descriptors that come along. Holds
 * memory only while a frame is half there.
 *
 * Whose are the descriptors? Our senders send each frame that carries some with a sendmsg(2) of
 * its own. On a Unix stream socket Linux hangs them on the first buffer (skb) of that message, and
 * a read never continues past a buffer that carried descriptors, though it may have begun in plain
 * ones before it. So the bytes read together with descriptors end within that buffer, and
 * the frame they belong to is the last one that begins in those bytes. Descriptors that come with
 * bytes in which no frame begins are nobody's and are closed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/limits.h"
#include "common/ttrpc_frame.h"

struct ttrpc_reader {
	struct ttrpc_header header; /* valid once n_head is TTRPC_HEADER */
	uint32_t left;		    /* bytes of the body that have not come */
	uint8_t head[TTRPC_HEADER];
	uint8_t n_head;
	bool oversized; /* the body is skipped */
	bool more;	/* while a frame is delivered: bytes of a further one are already here */
	uint8_t n_fds;
	int fds[LIMIT_FRAME_FDS];
	struct buf body;
};

#define TTRPC_READER_INIT ((struct ttrpc_reader){ .body = BUF_INIT })

/* Forgets what is half there and closes its descriptors. Safe to repeat. */
void ttrpc_reader_deinit(struct ttrpc_reader *r);

/*
 * Gets one whole frame. data (header->length bytes) lives until it returns; NULL for a frame that
 * was over LIMIT_FRAME_DATA and has been skipped. Descriptors not taken with
 * ttrpc_reader_take_fds() are closed afterwards. Not 0: nothing more is delivered.
 */
typedef int (*ttrpc_reader_fn)(
	const struct ttrpc_header *header, const uint8_t *data, void *userdata);

enum {
	TTRPC_READER_E_AGAIN = 1, /* there is nothing to read now */
	TTRPC_READER_E_EOF,	  /* the peer is gone */
	TTRPC_READER_E_BROKEN,	  /* what it sent is no frame */
	TTRPC_READER_E_STOPPED,	  /* on_frame said so */
};

/*
 * Reads once, never waiting, and delivers the frames that are complete then. A single read takes
 * a bounded amount, however much is there. 0, one of the above, or -errno.
 */
int ttrpc_reader_receive(struct ttrpc_reader *r, int fd, ttrpc_reader_fn on_frame, void *userdata);

/* Hands over the descriptors of the frame being delivered; returns how many. */
size_t ttrpc_reader_take_fds(struct ttrpc_reader *r, int ret[static LIMIT_FRAME_FDS]);
