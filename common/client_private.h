/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the public functions (cleat.h) have in common; for client.c, client_task.c and their like
 * alone.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "common/cleanup.h"
#include "common/cleat.h"
#include "common/client_call.h"
#include "common/client_target.h"
#include "common/error.h"

#define PUBLIC __attribute__((visibility("default")))

/*
 * An error that is handed to the caller of a public function when its scope ends:
 *
 *	CLIENT_ERROR(e, err);
 *	return something(&e.error);
 */
struct client_error {
	struct error error;
	struct cleat_error *to; /* may be NULL */
};

#define CLIENT_ERROR(name, ret)                                                                    \
	_cleanup_(client_error_hand_over) struct client_error name = { ERROR_INIT, ret };          \
	cleat_error_clear(ret)

void client_error_hand_over(struct client_error *e);

/* Options as the caller knows them into the struct as we do; what he does not know is 0. */
void client_copy_options(void *to, size_t size, const void *from);

struct cleat_exit client_public_exit(const struct client_exit *e);

struct cleat_client {
	struct client_place place;
	char *root, *ns, *socket;
};

struct cleat_process {
	struct cleat_task *task;
	char *exec_id; /* "" for the init */
	_Atomic uint32_t pid;
	struct cleat_io *io;
};

struct cleat_task {
	struct cleat_client *client;
	char *id;
	struct cleat_process init;
	pthread_mutex_t lock;
	struct client_line *line; /* kept open for the next call; under lock */
};

/* Who is asked about the task now; an orphan is nobody. */
int client_task_target(struct cleat_task *task, struct client_target *ret, struct error *err);
/* The same where an orphan will not do. */
int client_task_living(struct cleat_task *task, struct client_target *ret, struct error *err);

/* --- client_io.c --- */

/* What stands in a request for the streams; owned by io. io NULL: nothing. */
struct client_streams {
	const char *in, *out, *err;
	struct client_fds fds;
	bool terminal;
};
void client_io_streams(const struct cleat_io *io, struct client_streams *ret);
/* The request was answered: what was sent is closed, and what the shim has open opened. */
int client_io_begun(struct cleat_io *io, struct error *err);
/* The caller's end of the input. */
void client_io_close_stdin(struct cleat_io *io);
/* io may be NULL. */
void client_io_undo(struct cleat_io *io);
void client_io_drain(struct cleat_io *io);
