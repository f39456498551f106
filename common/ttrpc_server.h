/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The serving side of ttrpc on a Unix stream socket, over libevent: accepts clients whose uid is
 * root's or ours, decodes requests against tables of methods, hands each to its handler as a
 * call, and queues the answers. A bad frame ends at worst its connection; a client that does not
 * read costs only itself.
 *
 * A call belongs to the server. A handler answers it at once or keeps the pointer and answers
 * later. When its connection ends or its deadline passes before that, on_cancel runs and the
 * pointer is dead afterwards: what the handler started may run on, unobserved.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <protobuf-c/protobuf-c.h>

#include "common/error.h"

struct ttrpc_server;
struct ttrpc_call;

struct ttrpc_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *response;
	bool server_stream; /* many answers through ttrpc_call_send() */
	/* request is freed when the handler returns. userdata: the service's. */
	void (*handle)(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata);
};

/*
 * Takes a listening, non-blocking socket, or -1 for a server that has only the connections it is
 * given with ttrpc_server_adopt(). Clients are accepted once the loop runs. 0 or -errno (the
 * socket is then not consumed).
 */
int ttrpc_server_new(struct event_base *base, int listen_fd_take, struct ttrpc_server **ret);

/*
 * Ends every connection (each open call is cancelled) and closes the socket. Never from within a
 * callback or handler of this server: leave the loop first. Takes NULL.
 */
void ttrpc_server_free(struct ttrpc_server *server);

/* methods must outlive the server. The same table may be added under several names. */
int ttrpc_server_add_service(struct ttrpc_server *server, const char *name,
	const struct ttrpc_method *methods, size_t n_methods, void *userdata);

/*
 * Serves a connected stream socket as if it had been accepted; whose it is was checked by the
 * caller. 0, -EUSERS at the limit, or -errno (the socket is then not consumed).
 */
int ttrpc_server_adopt(struct ttrpc_server *server, int fd_take);

/* How many clients there may be at a time; LIMIT_CONNECTIONS unless it is said. One more is closed at once. */
void ttrpc_server_set_max_connections(struct ttrpc_server *server, size_t n);

/* Runs on_change after a connection came or went. */
void ttrpc_server_on_change(
	struct ttrpc_server *server, void (*on_change)(void *userdata), void *userdata);

size_t ttrpc_server_n_connections(const struct ttrpc_server *server);

/* From now on new calls are answered with UNAVAILABLE and message; open ones go on. */
void ttrpc_server_refuse(struct ttrpc_server *server, const char *message);

/* Whether every queued answer has been written to its socket. */
bool ttrpc_server_is_flushed(const struct ttrpc_server *server);

/* Runs cb once, when every queued answer has been written (at once if it already is). */
void ttrpc_server_on_flushed(
	struct ttrpc_server *server, void (*cb)(void *userdata), void *userdata);

/*
 * For a handler that answers later. on_cancel as above; on_drained (may be NULL) runs when frames
 * of ttrpc_call_send() that had to wait (ttrpc_call_is_pending()) have all been written. Both run
 * from the event loop, never from within a ttrpc_call_ function. on_cancel must not use the call;
 * it may answer others.
 */
void ttrpc_call_keep(struct ttrpc_call *call, void (*on_cancel)(void *userdata),
	void (*on_drained)(void *userdata), void *userdata);

/*
 * Answers and ends the call; the pointer is dead afterwards and on_cancel does not run. response:
 * NULL is a message without fields. An answer longer than a frame may be becomes
 * RESOURCE_EXHAUSTED. What is not UTF-8 in a failure's message is replaced.
 */
void ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response);
void ttrpc_call_fail(struct ttrpc_call *call, int code, const char *message);

/*
 * A server stream: one more message. 0, or -errno (then the call should be failed): -EMSGSIZE for
 * one longer than a frame may be, -EPIPE when the connection is over.
 */
int ttrpc_call_send(struct ttrpc_call *call, const ProtobufCMessage *message);
/* Ends a server stream without an error; the pointer is dead afterwards. */
void ttrpc_call_finish(struct ttrpc_call *call);
/* Whether frames of this call still wait to be written. */
bool ttrpc_call_is_pending(const struct ttrpc_call *call);

/*
 * Hands over the descriptors that came with the request's frame, at most max; the caller owns
 * them. Those never taken are closed with the call. Returns how many.
 */
size_t ttrpc_call_take_fds(struct ttrpc_call *call, int *ret, size_t max);

/* The value of a metadata key of the request, or NULL. Valid while the call is. */
const char *ttrpc_call_metadata(const struct ttrpc_call *call, const char *key);
/* For the log: the method's name. */
const char *ttrpc_call_method(const struct ttrpc_call *call);
