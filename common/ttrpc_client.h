/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The calling side of ttrpc. One connection, any number of calls at once.
 *
 * Three ways to use one: blocking; in parts, for those who wait by themselves; or with an event_base,
 * where every call has a callback. Error results carry the server's code and sentence.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <protobuf-c/protobuf-c.h>

#include "common/error.h"

struct ttrpc_client;
struct ttrpc_pending; /* a call under way in the asynchronous use */

/* A header of a request; containerd's namespace travels as "containerd-namespace-ttrpc". */
struct ttrpc_metadata {
	const char *key, *value;
};

/* Where and how a call goes. */
struct ttrpc_request {
	const char *service, *method;
	const ProtobufCMessage *message;
	const ProtobufCMessageDescriptor *response; /* what the answer is decoded as */
	int64_t timeout_ms; /* 0: none. Sent to the server, and kept here 1 s longer */
	const int *fds;	    /* sent with the frame; not consumed; LIMIT_FRAME_FDS at most */
	size_t n_fds;
	const struct ttrpc_metadata *metadata;
	size_t n_metadata;
};

/*
 * Connects to a socket by path; a path longer than sun_path allows is reached through its folder.
 * base: NULL for blocking use. CODE_NOT_FOUND (no such socket), CODE_UNAVAILABLE (nobody
 * listens), CODE_DEADLINE_EXCEEDED (the connection was not taken in 2 s; with a base that is told at
 * once, as CODE_UNAVAILABLE), or another code with a sentence.
 */
int ttrpc_client_connect(
	const char *path, struct event_base *base, struct ttrpc_client **ret, struct error *err);
/* Takes over a connected socket; on failure it is not consumed. */
int ttrpc_client_new(
	int fd_take, struct event_base *base, struct ttrpc_client **ret, struct error *err);
/*
 * Every pending call ends now, as where the server had closed the connection. For who gives the client up
 * and has callers that wait; may be called from a callback.
 */
void ttrpc_client_end_calls(struct ttrpc_client *client);
/* Pending calls are dropped without their callbacks. May be called from a callback. Takes NULL. */
void ttrpc_client_free(struct ttrpc_client *client);
int ttrpc_client_fd(const struct ttrpc_client *client);
/* Whether its connection has ended: calls fail with CODE_UNAVAILABLE for that, not by the server's word. */
bool ttrpc_client_is_over(const struct ttrpc_client *client);
/*
 * Blocking use: once fd is readable (not consumed, and not read; -1: none) whatever waits ends with
 * CODE_CANCELLED, and the connection with it.
 */
void ttrpc_client_interrupt_by(struct ttrpc_client *client, int fd);

/*
 * Blocking, unary. *ret is freed with protobuf_c_message_free_unpacked(). 0 or the code. A
 * connection that ends first: CODE_UNAVAILABLE. No answer in timeout_ms: CODE_DEADLINE_EXCEEDED.
 * Streams that are open go on, their messages are kept meanwhile (LIMIT_QUEUED_REPLIES bytes; one
 * more ends the connection).
 */
int ttrpc_client_call(struct ttrpc_client *client, const struct ttrpc_request *request,
	ProtobufCMessage **ret, struct error *err);

/*
 * Blocking, server stream: begins one, to be read with ttrpc_client_next(). Its timeout_ms is the
 * server's business alone. ttrpc knows no way to end a stream early but to end the connection.
 */
int ttrpc_client_stream(struct ttrpc_client *client, const struct ttrpc_request *request,
	uint32_t *ret_stream, struct error *err);
/*
 * The next message of a stream; *ret is NULL at its proper end. timeout_ms < 0: for ever; when
 * nothing came in it: CODE_DEADLINE_EXCEEDED, and the stream goes on. After its end or any other
 * error the stream's number is unknown: CODE_FAILED_PRECONDITION.
 */
int ttrpc_client_next(struct ttrpc_client *client, uint32_t stream, int64_t timeout_ms,
	ProtobufCMessage **ret, struct error *err);

/*
 * In parts, without a base: nothing here waits. Several threads may share a connection so, each of
 * these under their lock.
 *
 * Posts a request: sends what the socket takes of it, the rest is sent by ttrpc_client_pump()
 * (LIMIT_QUEUED_REPLIES bytes at most wait; a request more ends the connection). timeout_ms is for the
 * server alone.
 */
int ttrpc_client_post(struct ttrpc_client *client, const struct ttrpc_request *request, bool stream,
	uint32_t *ret_stream, struct error *err);
/* Whether something waits for room in the socket. */
bool ttrpc_client_wants_write(const struct ttrpc_client *client);
/*
 * Writes and reads what can be now. 0, or a code once the connection is over, as ttrpc_client_call()
 * tells it; its descriptor stays open until ttrpc_client_free(), so that others may be polling it.
 */
int ttrpc_client_pump(struct ttrpc_client *client, struct error *err);
/* Whether an answer, or the next of a stream, has come. */
bool ttrpc_client_has_answer(const struct ttrpc_client *client, uint32_t stream);
/* Whether ttrpc_client_take() has something to tell: an answer, or that none will come. */
bool ttrpc_client_is_ready(const struct ttrpc_client *client, uint32_t stream);
/*
 * What has come: as ttrpc_client_call() and ttrpc_client_next() tell it. Where nothing has, or the
 * number is unknown: CODE_FAILED_PRECONDITION.
 */
int ttrpc_client_take(
	struct ttrpc_client *client, uint32_t stream, ProtobufCMessage **ret, struct error *err);
/* Forgets a call or stream: what still comes for it is dropped. */
void ttrpc_client_forget(struct ttrpc_client *client, uint32_t stream);

/*
 * Asynchronous. on_reply runs once for a unary call: code 0 and the message (owned by the client,
 * freed afterwards), or a code and err. For a stream it runs for each message, then once with
 * message NULL: code 0 is its proper end. It never runs from within ttrpc_client_begin(). The
 * pending pointer is dead once the final callback begins. ret may be NULL. What does not fit into
 * the socket waits in a queue of LIMIT_QUEUED_REPLIES bytes; a request more than that ends the
 * connection.
 */
typedef void (*ttrpc_reply_fn)(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata);
int ttrpc_client_begin(struct ttrpc_client *client, const struct ttrpc_request *request, int stream,
	ttrpc_reply_fn on_reply, void *userdata, struct ttrpc_pending **ret, struct error *err);
/* Forgets a call: its answer, should one come, is dropped. */
void ttrpc_client_cancel(struct ttrpc_pending *pending);
