/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What client_line.c (the connection, leader and followers) and client_shared.c (answers that several
 * wait for) know of each other. Included by nothing else. Everything here is called under the line's
 * lock.
 */

#include <pthread.h>

#include "common/client_line.h"

struct client_line {
	struct client_lines *lines;
	struct list lines_link; /* as long as it may be given to more holders */
	unsigned n_holders;	/* under the lock of lines */
	char *path;

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t changed;
	struct ttrpc_client *client;
	bool has_leader; /* somebody polls the socket */
	bool over;	 /* nothing more will come */
	struct error why;
	int wake_fd;	  /* has the leader look again */
	int interrupt_fd; /* see client_line_interrupt_by() */
	struct list observers;
	struct list shared;
};

/* Waits until done() is true or the line is over. 0, -ETIMEDOUT, or -ECANCELED (interrupted). */
int client_line_await(struct client_line *line, bool (*done)(void *userdata), void *userdata,
	int64_t deadline_ms);
/* Takes in what there is, without waiting. */
void client_line_take_in(struct client_line *line);
/* All who wait look again at what they wait for. */
void client_line_wake(struct client_line *line);
int client_line_post(struct client_line *line, const struct ttrpc_request *request,
	uint32_t *ret_stream, struct error *err);
/* Why it is over. Returns the code. */
int client_line_ended(const struct client_line *line, struct error *err);

/* Without the lock, as nobody holds the line any more. */
void client_line_drop_shared(struct client_line *line);
