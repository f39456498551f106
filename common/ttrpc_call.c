/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the server: from a request frame to the handler, and from an answer to a frame. Owns
 * every call; a call is freed when it is answered or cancelled. Subtle: a handler may answer
 * before it returns, so the peer's current is what tells whether the call still is there then.
 */
#include "common/ttrpc_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_envelope.h"
#include "common/ttrpc_server_private.h"
#include "ttrpc.pb-c.h"

#define ARENA_BYTES 2048u

struct ttrpc_call {
	struct list peer_link;
	struct list draining_link;
	struct ttrpc_peer *peer;
	const struct ttrpc_method *method;
	void (*on_cancel)(void *userdata);
	void (*on_drained)(void *userdata);
	void *userdata;
	struct event *deadline; /* only where the request has one */
	uint64_t last_frame;	/* the connection's position behind our last frame */
	uint32_t stream;
	uint32_t n_fds;
	int fds[LIMIT_FRAME_FDS];
	size_t metadata_len;
	char metadata[]; /* key, NUL, value, NUL, ... */
};

/* --- sending --- */

static void peer_send(struct ttrpc_peer *peer, const struct ttrpc_out *out)
{
	ttrpc_conn_send(&peer->conn, out->data, out->len, NULL, 0);
}

/* An answer that cannot be made leaves a client waiting for ever: better no connection then. */
static void peer_send_status(struct ttrpc_peer *peer, uint32_t stream, int code, const char *text)
{
	_cleanup_out_ struct ttrpc_out out;

	if (ttrpc_out_status(&out, stream, code, text) < 0)
		ttrpc_conn_break(&peer->conn);
	else
		peer_send(peer, &out);
}

static void __attribute__((format(printf, 4, 5)))
peer_refuse(struct ttrpc_peer *peer, uint32_t stream, int code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	peer_send_status(peer, stream, code, text);
}

/* --- a call's life --- */

static size_t metadata_size(const Ttrpc__Request *request)
{
	size_t n = 0;

	for (size_t i = 0; i < request->n_metadata; i++)
		n += strlen(request->metadata[i]->key) + strlen(request->metadata[i]->value) + 2;
	return n;
}

static void metadata_copy(const Ttrpc__Request *request, char *to)
{
	for (size_t i = 0; i < request->n_metadata; i++) {
		to = stpcpy(to, request->metadata[i]->key) + 1;
		to = stpcpy(to, request->metadata[i]->value) + 1;
	}
}

static struct ttrpc_call *call_new(struct ttrpc_peer *peer, uint32_t stream,
	const struct ttrpc_method *method, const Ttrpc__Request *request)
{
	size_t metadata_len = metadata_size(request);
	struct ttrpc_call *call = calloc(1, sizeof(*call) + metadata_len);

	if (!call)
		return NULL;
	call->peer = peer;
	call->stream = stream;
	call->method = method;
	call->metadata_len = metadata_len;
	metadata_copy(request, call->metadata);
	call->n_fds = (uint32_t)ttrpc_reader_take_fds(&peer->conn.reader, call->fds);
	list_init(&call->peer_link);
	list_init(&call->draining_link);
	list_append(&peer->calls, &call->peer_link);
	peer->n_calls++;
	return call;
}

static void call_free(struct ttrpc_call *call)
{
	struct ttrpc_peer *peer = call->peer;

	if (peer->current == call)
		peer->current = NULL;
	list_unlink(&call->peer_link);
	list_unlink(&call->draining_link);
	peer->n_calls--;
	if (call->deadline)
		event_free(call->deadline);
	for (size_t i = 0; i < call->n_fds; i++)
		fd_close(&call->fds[i]);
	free(call);
}

/* Frees the call, then tells whoever kept it. */
static void call_cancel(struct ttrpc_call *call)
{
	void (*on_cancel)(void *userdata) = call->on_cancel;
	void *userdata = call->userdata;

	call_free(call);
	if (on_cancel)
		on_cancel(userdata);
}

/* Answers from our side a call that its handler has kept. */
static void call_end(struct ttrpc_call *call, int code, const char *text)
{
	peer_send_status(call->peer, call->stream, code, text);
	call_cancel(call);
}

void ttrpc_peer_cancel_calls(struct ttrpc_peer *peer)
{
	struct ttrpc_call *call;

	/* an on_cancel may well answer the next one: look anew each time */
	while ((call = list_first(&peer->calls, struct ttrpc_call, peer_link)))
		call_cancel(call);
}

void ttrpc_peer_on_written(struct ttrpc_peer *peer)
{
	struct ttrpc_call *call;

	while ((call = list_first(&peer->draining, struct ttrpc_call, draining_link)) &&
		!ttrpc_call_is_pending(call)) {
		list_unlink(&call->draining_link);
		call->on_drained(call->userdata);
	}
}

/* --- the deadline --- */

static void on_deadline(evutil_socket_t fd, short what, void *userdata)
{
	struct ttrpc_call *call = userdata;
	char text[256];

	(void)fd;
	(void)what;
	snprintf(text, sizeof(text), "%s: the caller's deadline has passed", call->method->name);
	call_end(call, CODE_DEADLINE_EXCEEDED, text);
}

static void call_arm(struct ttrpc_call *call, int64_t timeout_ns)
{
	int64_t us = timeout_ns / 1000 + 1;
	struct timeval tv = { us / 1000000, us % 1000000 };

	call->deadline = evtimer_new(call->peer->server->base, on_deadline, call);
	if (!call->deadline || evtimer_add(call->deadline, &tv) < 0)
		call_end(call, CODE_RESOURCE_EXHAUSTED, "no memory for the call's deadline");
}

/* --- requests --- */

static bool is_admitted(struct ttrpc_peer *peer, uint32_t stream)
{
	const struct ttrpc_server *server = peer->server;

	if (server->refusing) {
		peer_send_status(peer, stream, CODE_UNAVAILABLE,
			server->refusal ? server->refusal : "the server is ending");
		return false;
	}
	if (peer->n_calls >= LIMIT_STREAMS) {
		peer_refuse(peer, stream, CODE_RESOURCE_EXHAUSTED,
			"the connection has %u open calls already", LIMIT_STREAMS);
		return false;
	}
	return true;
}

static void refuse_undecoded(struct ttrpc_peer *peer, uint32_t stream, const struct arena *arena,
	const char *what, const ProtobufCMessageDescriptor *descriptor)
{
	if (arena->exhausted)
		peer_refuse(peer, stream, CODE_RESOURCE_EXHAUSTED,
			"%s: too little memory to decode the request", what);
	else
		peer_refuse(peer, stream, CODE_INVALID_ARGUMENT, "%s: the request is no valid %s",
			what, descriptor->name);
}

/* Runs the handler. The call may be gone afterwards. */
static void call_handle(struct ttrpc_call *call, const ProtobufCMessage *message, void *userdata,
	int64_t timeout_ns)
{
	struct ttrpc_peer *peer = call->peer;

	peer->current = call;
	call->method->handle(call, message, userdata);
	if (peer->current != call)
		return;
	peer->current = NULL;
	if (timeout_ns > 0)
		call_arm(call, timeout_ns);
}

static void peer_call(struct ttrpc_peer *peer, uint32_t stream, const Ttrpc__Request *request,
	struct arena *arena)
{
	const struct ttrpc_service *service;
	const struct ttrpc_method *method =
		ttrpc_server_find(peer->server, request->service, request->method, &service);
	ProtobufCMessage *message;
	struct ttrpc_call *call;

	/* worded as containerd's ttrpc does */
	if (!service)
		return peer_refuse(
			peer, stream, CODE_UNIMPLEMENTED, "service %.200s", request->service);
	if (!method)
		return peer_refuse(
			peer, stream, CODE_UNIMPLEMENTED, "method %.200s", request->method);
	if (request->timeout_nano < 0)
		return peer_refuse(peer, stream, CODE_DEADLINE_EXCEEDED,
			"%s: the caller's deadline had passed when the request was sent",
			method->name);
	message = protobuf_c_message_unpack(
		method->request, &arena->allocator, request->payload.len, request->payload.data);
	if (!message)
		return refuse_undecoded(peer, stream, arena, method->name, method->request);
	call = call_new(peer, stream, method, request);
	if (!call)
		return peer_refuse(peer, stream, CODE_RESOURCE_EXHAUSTED,
			"%s: no memory for the call", method->name);
	call_handle(call, message, service->userdata, request->timeout_nano);
}

static void peer_on_request(
	struct ttrpc_peer *peer, const struct ttrpc_header *header, const uint8_t *data)
{
	_cleanup_arena_ struct arena arena;
	unsigned char room[ARENA_BYTES];
	Ttrpc__Request *request;

	arena_init(&arena, room, sizeof(room), ARENA_LIMIT);
	request = ttrpc__request__unpack(&arena.allocator, header->length, data);
	if (request)
		peer_call(peer, header->stream, request, &arena);
	else
		refuse_undecoded(
			peer, header->stream, &arena, "ttrpc", &ttrpc__request__descriptor);
}

/* A stream is answered once: a call that is open on it is over with that. */
static void peer_on_invalid(struct ttrpc_peer *peer, uint32_t stream, int code, const char *why)
{
	struct list *pos;
	char text[128];

	snprintf(text, sizeof(text), "stream %u: %s", stream, why);
	list_for_each (pos, &peer->calls) {
		struct ttrpc_call *call = list_entry(pos, struct ttrpc_call, peer_link);

		if (call->stream == stream)
			return call_end(call, code, text);
	}
	peer_send_status(peer, stream, code, text);
}

void ttrpc_peer_on_frame(
	struct ttrpc_peer *peer, const struct ttrpc_header *header, const uint8_t *data)
{
	const char *why = NULL;
	char text[96];

	if (!data) {
		snprintf(text, sizeof(text), "a frame of %u bytes is over the limit of %u",
			header->length, LIMIT_FRAME_DATA);
		return peer_on_invalid(peer, header->stream, CODE_RESOURCE_EXHAUSTED, text);
	}
	switch (ttrpc_frame_judge(header, peer->last_stream, &why)) {
	case TTRPC_VERDICT_IGNORE:
		return;
	case TTRPC_VERDICT_INVALID:
		return peer_on_invalid(peer, header->stream, CODE_INVALID_ARGUMENT, why);
	case TTRPC_VERDICT_REQUEST:
		peer->last_stream = header->stream;
		if (is_admitted(peer, header->stream))
			peer_on_request(peer, header, data);
		return;
	}
}

/* --- what handlers call --- */

void ttrpc_call_keep(struct ttrpc_call *call, void (*on_cancel)(void *userdata),
	void (*on_drained)(void *userdata), void *userdata)
{
	call->on_cancel = on_cancel;
	call->on_drained = on_drained;
	call->userdata = userdata;
	list_unlink(&call->draining_link);
	if (on_drained && ttrpc_call_is_pending(call))
		list_append(&call->peer->draining, &call->draining_link);
}

void ttrpc_call_fail(struct ttrpc_call *call, int code, const char *message)
{
	peer_send_status(call->peer, call->stream, code, message);
	call_free(call);
}

void ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response)
{
	_cleanup_out_ struct ttrpc_out out;
	int r = ttrpc_out_answer(&out, call->stream, response);
	char text[256];

	if (r < 0) {
		snprintf(text, sizeof(text), "%s: the answer %s", call->method->name,
			r == -EMSGSIZE ? "is longer than a frame may be"
				       : "needs more memory than there is");
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, text);
		return;
	}
	peer_send(call->peer, &out);
	call_free(call);
}

int ttrpc_call_send(struct ttrpc_call *call, const ProtobufCMessage *message)
{
	_cleanup_out_ struct ttrpc_out out;
	struct ttrpc_peer *peer = call->peer;
	int r;

	if (!call->method->server_stream)
		return -EINVAL;
	r = ttrpc_out_data(&out, call->stream, message);
	if (r < 0)
		return r;
	r = ttrpc_conn_send(&peer->conn, out.data, out.len, NULL, 0);
	if (r < 0)
		return r;
	call->last_frame = peer->conn.accepted;
	list_unlink(&call->draining_link);
	if (call->on_drained && ttrpc_call_is_pending(call))
		list_append(&peer->draining, &call->draining_link);
	return 0;
}

void ttrpc_call_finish(struct ttrpc_call *call)
{
	_cleanup_out_ struct ttrpc_out out;

	if (ttrpc_out_finish(&out, call->stream) == 0)
		peer_send(call->peer, &out);
	call_free(call);
}

bool ttrpc_call_is_pending(const struct ttrpc_call *call)
{
	return !ttrpc_conn_has_written(&call->peer->conn, call->last_frame);
}

size_t ttrpc_call_take_fds(struct ttrpc_call *call, int *ret, size_t max)
{
	size_t n = call->n_fds < max ? call->n_fds : max;

	memcpy(ret, call->fds, n * sizeof(*ret));
	call->n_fds -= (uint32_t)n;
	memmove(call->fds, call->fds + n, call->n_fds * sizeof(*call->fds));
	return n;
}

const char *ttrpc_call_metadata(const struct ttrpc_call *call, const char *key)
{
	const char *end = call->metadata + call->metadata_len;

	for (const char *k = call->metadata; k < end;) {
		const char *value = k + strlen(k) + 1;

		if (strcmp(k, key) == 0)
			return value;
		k = value + strlen(value) + 1;
	}
	return NULL;
}

const char *ttrpc_call_method(const struct ttrpc_call *call)
{
	return call->method->name;
}
