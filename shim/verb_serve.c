/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: the shim itself, in the session and with the descriptors that `start` gave it. */
#include "shim/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/shim.h"

/* It was for us alone: what we run has the environment that `start` was given. */
static void drop_malloc_setting(void)
{
	const char *value = getenv(SERVE_MALLOC_VARIABLE);

	if (value && strcmp(value, SERVE_MALLOC_SETTING) == 0)
		unsetenv(SERVE_MALLOC_VARIABLE);
}

/* The first thing that the waiting `start` hears; a reader that has gone is no matter. */
static void say_ready(const char *word)
{
	if (write(SERVE_FD_READY, word, strlen(word)) < 0)
		errno = 0;
	close(SERVE_FD_READY);
}

/* What we inherited by number is close-on-exec from here on. */
static int check_inherited(void)
{
	for (int fd = SERVE_FD_LISTEN; fd <= SERVE_FD_READY; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return -errno;
	return 0;
}

int verb_serve(const struct verb_options *o)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	const struct shim_options options = {
		.root = o->root,
		.bundle = o->bundle,
		.ns = o->ns,
		.id = o->id,
		.socket_path = o->socket,
		.ttrpc_address = o->ttrpc_address,
		.listen_fd = SERVE_FD_LISTEN,
		.lock_fd = SERVE_FD_LOCK,
		.debug = o->debug,
	};
	struct shim *shim = NULL;
	int status;

	if ((!o->root && !o->bundle) || !o->ns || !o->id || !o->socket || check_inherited() < 0) {
		fprintf(stderr, "cleat-shim: serve is started by start\n");
		return 2;
	}
	/* freed memory goes back: a shim idles for months */
	mallopt(M_TRIM_THRESHOLD, 64 << 10);
	mallopt(M_TOP_PAD, 16 << 10);
	mallopt(M_MXFAST, 0);
	drop_malloc_setting();
	if (shim_new(&options, &shim, &err) != 0) {
		say_ready(error_message(&err));
		return 1;
	}
	say_ready("ok");
	status = shim_run(shim);
	shim_free(shim);
	return status;
}
