/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The wire by hand, for tests: frames as bytes, right or wrong, and what comes back, without any
 * of our own client's code. A header, since each test is one program of one file.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/ttrpc_frame.h"
#include "ttrpc.pb-c.h"

#define RAW_DEADLINE_MS 60000 /* far too long, but on a busy machine under valgrind */

struct raw_frame {
	struct ttrpc_header header;
	uint8_t *data;
};

enum raw_result { RAW_FRAME, RAW_EOF, RAW_NOTHING };

/* The bytes of a frame; the header is taken as it is, however wrong. */
static inline void raw_put(struct buf *to, uint32_t length, uint32_t stream, int type, int flags,
	const void *data, size_t n)
{
	struct ttrpc_header h = { length, stream, (uint8_t)type, (uint8_t)flags };
	uint8_t head[TTRPC_HEADER];

	ttrpc_header_encode(&h, head);
	if (buf_append(to, head, sizeof(head)) < 0 || buf_append(to, data, n) < 0)
		abort();
}

/* A request for service/method with a ttrpc.KeyValue. */
static inline void raw_put_request(struct buf *to, uint32_t stream, const char *service,
	const char *method, const char *key, const char *value, int64_t timeout_ns, int flags)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	Ttrpc__Request r = TTRPC__REQUEST__INIT;
	uint8_t *data;
	size_t n;

	m.key = (char *)key;
	m.value = (char *)value;
	r.service = (char *)service;
	r.method = (char *)method;
	r.timeout_nano = timeout_ns;
	r.payload.len = ttrpc__key_value__get_packed_size(&m);
	r.payload.data = malloc(r.payload.len + 1);
	ttrpc__key_value__pack(&m, r.payload.data);
	n = ttrpc__request__get_packed_size(&r);
	data = malloc(n + 1);
	ttrpc__request__pack(&r, data);
	raw_put(to, (uint32_t)n, stream, TTRPC_REQUEST, flags, data, n);
	free(data);
	free(r.payload.data);
}

/* Runs what is ready in the loop (NULL: there is none), then waits a moment for fd. */
static inline void raw_turn(struct event_base *base, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (base)
		event_base_loop(base, EVLOOP_NONBLOCK);
	poll(&p, 1, 1);
}

/* Sends all bytes while the loop runs. False if the peer closes first. */
static inline bool raw_send(struct event_base *base, int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n > 0) {
		ssize_t done = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (done < 0 && errno != EAGAIN)
			return false;
		if (done < 0) {
			raw_turn(base, fd, POLLOUT);
			continue;
		}
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static inline bool raw_send_buf(struct event_base *base, int fd, struct buf *b)
{
	bool sent = raw_send(base, fd, buf_head(b), b->len);

	buf_deinit(b);
	return sent;
}

/* Sends n bytes with descriptors in one sendmsg(2). */
static inline bool raw_send_fds(int fd, const void *data, size_t n, const int *fds, size_t n_fds)
{
	char space[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)data, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n_fds > 0) {
		msg.msg_control = space;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Reads exactly n bytes while the loop runs. */
static inline enum raw_result raw_read(
	struct event_base *base, int fd, void *data, size_t n, int64_t deadline)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t r = recv(fd, p + got, n - got, MSG_DONTWAIT);

		if (r > 0) {
			got += (size_t)r;
			continue;
		}
		if (r == 0 || errno != EAGAIN)
			return RAW_EOF;
		if (clock_monotonic_ms() >= deadline)
			return RAW_NOTHING;
		raw_turn(base, fd, POLLIN);
	}
	return RAW_FRAME;
}

static inline void raw_frame_free(struct raw_frame *f)
{
	free(f->data);
	f->data = NULL;
}

/* The next frame that comes back within ms. */
static inline enum raw_result raw_recv_within(
	struct event_base *base, int fd, int64_t ms, struct raw_frame *ret)
{
	int64_t deadline = clock_monotonic_ms() + ms;
	uint8_t head[TTRPC_HEADER];
	enum raw_result r = raw_read(base, fd, head, sizeof(head), deadline);

	ret->data = NULL;
	if (r != RAW_FRAME)
		return r;
	if (ttrpc_header_decode(head, sizeof(head), &ret->header) != 0)
		abort();
	ret->data = malloc(ret->header.length + 1);
	return raw_read(base, fd, ret->data, ret->header.length, deadline);
}

static inline enum raw_result raw_recv(struct event_base *base, int fd, struct raw_frame *ret)
{
	return raw_recv_within(base, fd, RAW_DEADLINE_MS, ret);
}

/* The answer that comes next: its status code, stream, and status message or value. */
struct raw_answer {
	int code; /* -1: the connection was closed, -2: nothing came, -3: no valid Response */
	uint32_t stream;
	char key[64];
	char *text; /* malloc's */
};

static inline void raw_answer_free(struct raw_answer *a)
{
	free(a->text);
	a->text = NULL;
}

static inline void raw_answer_fill(struct raw_answer *a, const Ttrpc__Response *response)
{
	Ttrpc__KeyValue *m;

	if (response->status && response->status->code != 0) {
		a->code = response->status->code;
		a->text = strdup(response->status->message);
		return;
	}
	m = ttrpc__key_value__unpack(NULL, response->payload.len, response->payload.data);
	if (!m)
		return;
	a->code = 0;
	snprintf(a->key, sizeof(a->key), "%s", m->key);
	a->text = strdup(m->value);
	ttrpc__key_value__free_unpacked(m, NULL);
}

static inline struct raw_answer raw_answer(struct event_base *base, int fd)
{
	struct raw_answer a = { .code = -3 };
	struct raw_frame frame;
	enum raw_result r = raw_recv(base, fd, &frame);
	Ttrpc__Response *response;

	if (r != RAW_FRAME) {
		raw_frame_free(&frame);
		a.code = r == RAW_EOF ? -1 : -2;
		return a;
	}
	a.stream = frame.header.stream;
	response = frame.header.type == TTRPC_RESPONSE && frame.header.flags == 0
			   ? ttrpc__response__unpack(NULL, frame.header.length, frame.data)
			   : NULL;
	if (response) {
		raw_answer_fill(&a, response);
		ttrpc__response__free_unpacked(response, NULL);
	}
	raw_frame_free(&frame);
	return a;
}
