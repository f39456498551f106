/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection to cleatd or to a shim, for any number of threads at once: one of those that wait
 * for an answer polls the socket and takes in the frames of all, the others wait to be told, and when
 * the first one has its answer another takes its place. No thread is ever made.
 *
 * A line may be shared: a set of them knows which sockets it is connected to.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/list.h"
#include "common/ttrpc_client.h"

struct client_line;
struct client_shared;

/* Lines by the path of their sockets, each as long as somebody holds it. */
struct client_lines;

/* 0 or -ENOMEM. */
int client_lines_new(struct client_lines **ret);
/* No line of it may be held any more. Takes NULL. */
void client_lines_free(struct client_lines *lines);

/*
 * The line to the socket at path: one that is open, or a new connection, with the errors of
 * ttrpc_client_connect(). The caller holds it until client_line_drop().
 */
int client_lines_get(
	struct client_lines *lines, const char *path, struct client_line **ret, struct error *err);
/* The same line once more. */
struct client_line *client_line_hold(struct client_line *line);
/* Takes NULL. */
void client_line_drop(struct client_line *line);

/* Its socket, open as long as the line is held; for polling only. */
int client_line_fd(const struct client_line *line);
/* Once fd is readable (not consumed; -1: none) whatever waits on this line ends with CODE_CANCELLED. */
void client_line_interrupt_by(struct client_line *line, int fd);
/* Whether the peer has closed the connection, as far as anybody who waits on it has seen. */
bool client_line_is_over(struct client_line *line);
/* Waits until the peer has closed the connection, timeout_ms at most. */
void client_line_await_end(struct client_line *line, int timeout_ms);

/* A unary call, as ttrpc_client_call(). */
int client_line_call(struct client_line *line, const struct ttrpc_request *request,
	ProtobufCMessage **ret, struct error *err);

/*
 * A call whose answer may be long in coming, and is the same for all who ask: who asks while one of
 * that key is under way on this line shares its answer. ttrpc knows no way to take a call back: one
 * that everybody dropped goes on, and is there for who asks next. It is over before any call that
 * was begun after its answer came. It holds its line.
 */
int client_shared_begin(struct client_line *line, const char *key,
	const struct ttrpc_request *request, struct client_shared **ret, struct error *err);
/* Takes in what has come, without waiting. Whether there is an answer, or will be none. */
bool client_shared_poll(struct client_shared *shared);
/*
 * Waits for that. *stop (may be NULL), once true, ends it too: after it was set,
 * client_shared_wake() has it looked at. deadline_ms: monotonic, < 0: none. 0,
 * CODE_DEADLINE_EXCEEDED, or CODE_CANCELLED.
 */
int client_shared_await(struct client_shared *shared, int64_t deadline_ms, const atomic_bool *stop,
	struct error *err);
/* Has those who wait on its line look at their stop again. */
void client_shared_wake(struct client_shared *shared);
/* The answer, owned by shared; after client_shared_poll() was true. 0, or the call's code. */
int client_shared_answer(
	struct client_shared *shared, const ProtobufCMessage **ret, struct error *err);
int client_shared_fd(const struct client_shared *shared);
/* Takes NULL. */
void client_shared_drop(struct client_shared *shared);

/*
 * Whoever polls a line's socket by himself is told with an eventfd (not consumed) that somebody else
 * took in what there was.
 */
struct client_observer {
	struct list line_link;
	int fd;
};
void client_shared_observe(struct client_shared *shared, struct client_observer *observer);
/* Before the shared call is dropped. Safe to repeat. */
void client_shared_unobserve(struct client_shared *shared, struct client_observer *observer);
