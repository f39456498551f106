/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the services share. A request is a unary call that waits for the core: it keeps the call
 * while there is somebody to answer, and itself as long as the core will still call back. And the
 * one place that turns an error into a status (house style, 12), in each service's own wording.
 */

#include <stdint.h>

#include "common/limits.h"
#include "common/ttrpc_server.h"
#include "shim/container.h"
#include "shim/shim.h"

/* How a service words its errors. */
enum wording {
	WORDING_TASK,  /* containerd's own: what its clients test for */
	WORDING_NAMED, /* "container ID: SENTENCE" */
};

struct request {
	struct shim *shim;
	struct ttrpc_call *call; /* NULL: the caller is gone */
	enum wording wording;
	/* Answers r->call after success; result may be all zeroes. */
	void (*reply)(struct request *r, const struct op_result *result);
	struct waiter waiter; /* of a Wait */
};

/*
 * Keeps the call. NULL: there was no memory, and the call has been failed. From then on exactly
 * one of request_done() and request_wait() gets it, and frees it.
 */
struct request *request_new(struct shim *shim, struct ttrpc_call *call, enum wording wording,
	void (*reply)(struct request *r, const struct op_result *result));

/* An op_done: answers if there still is somebody to answer, and frees the request. */
void request_done(const struct error *err, const struct op_result *result, void *userdata);

/* Answers with the exit of p (result->exit), whenever that is; gives up when the caller leaves. */
void request_wait(struct request *r, struct process *p);

/* Fails a call that was not kept. result: NULL, or with the runtime's words. */
void request_refuse(struct shim *shim, struct ttrpc_call *call, enum wording wording,
	const struct error *err, const struct op_result *result);

/* Answers a call that was not kept with an empty message or, if err has a code, fails it. */
void request_finish(
	struct shim *shim, struct ttrpc_call *call, enum wording wording, const struct error *err);

/*
 * What every Create is checked for first: its id, and what no runtime has (an image finds the one
 * that it builds on by itself). 0 or a code.
 */
int request_check_create(const char *id, const char *parent_checkpoint, struct error *err);

/* container_create() for a call, with the descriptors that came with it. */
void request_create(struct shim *shim, struct ttrpc_call *call, enum wording wording,
	void (*reply)(struct request *r, const struct op_result *result),
	struct create_params *params);

/* A reply without fields, for request_new(). */
void request_reply_empty(struct request *r, const struct op_result *result);

/* The container as clients may see it: NULL while there is none, or it is still being created. */
struct container *request_container(const struct shim *shim);

/* An exit status on the wire of 2017 and containerd's: 255 where it is not known. */
uint32_t request_exit_status(const struct process_exit *exit);

/* Descriptors that came with a call; ours until closed. */
struct request_fds {
	int v[LIMIT_FRAME_FDS];
	size_t n;
};

#define _cleanup_request_fds_ __attribute__((cleanup(request_fds_close)))

void request_fds_take(struct ttrpc_call *call, struct request_fds *ret);
void request_fds_close(struct request_fds *fds);
