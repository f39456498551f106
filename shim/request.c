/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests under way, and errors as their clients want them worded. Never decides what an error
 * is. Subtle: a caller may leave before the core is done, and the core may be done before its
 * function returns; each side lets go of its half, and the second one frees.
 */
#include "shim/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"

/* "OCI runtime create failed: WORDS" is what clients of containerd look for. < 0: no memory. */
static int word_for_task(const struct op_result *result, char **ret_message)
{
	if (!result || !result->words)
		return 0;
	return asprintf(ret_message, "OCI runtime %s failed: %s", runtime_verb_name(result->verb),
		result->words);
}

/* A sentence that already names the container is left as it is. < 0: no memory. */
static int word_with_name(const struct shim *shim, const struct error *err, char **ret_message)
{
	const char *message = error_message(err);
	size_t n = strlen(shim->id);

	if (strncmp(message, "container ", 10) == 0 && strncmp(message + 10, shim->id, n) == 0 &&
		strchr(" :", message[10 + n]))
		return 0;
	return asprintf(ret_message, "container %s: %s", shim->id, message);
}

void request_refuse(struct shim *shim, struct ttrpc_call *call, enum wording wording,
	const struct error *err, const struct op_result *result)
{
	_cleanup_free_ char *message = NULL;
	int r = wording == WORDING_TASK ? word_for_task(result, &message)
					: word_with_name(shim, err, &message);

	if (r < 0)
		message = NULL; /* the bare sentence has to do */
	ttrpc_call_fail(call, err->code, message ? message : error_message(err));
}

void request_finish(
	struct shim *shim, struct ttrpc_call *call, enum wording wording, const struct error *err)
{
	if (err->code != CODE_OK)
		request_refuse(shim, call, wording, err, NULL);
	else
		ttrpc_call_reply(call, NULL);
}

void request_reply_empty(struct request *r, const struct op_result *result)
{
	(void)result;
	ttrpc_call_reply(r->call, NULL);
}

/* --- requests --- */

static void on_cancel(void *userdata)
{
	struct request *r = userdata;

	r->call = NULL;
	if (list_is_empty(&r->waiter.waiters_link))
		return; /* the core calls back */
	list_unlink(&r->waiter.waiters_link);
	free(r);
}

struct request *request_new(struct shim *shim, struct ttrpc_call *call, enum wording wording,
	void (*reply)(struct request *r, const struct op_result *result))
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for the request");
		return NULL;
	}
	r->shim = shim;
	r->call = call;
	r->wording = wording;
	r->reply = reply;
	list_init(&r->waiter.waiters_link);
	ttrpc_call_keep(call, on_cancel, NULL, r);
	return r;
}

void request_done(const struct error *err, const struct op_result *result, void *userdata)
{
	static const struct op_result nothing;
	struct request *r = userdata;

	if (r->call && err->code != CODE_OK)
		request_refuse(r->shim, r->call, r->wording, err, result);
	else if (r->call)
		r->reply(r, result ? result : &nothing);
	free(r);
}

static void on_exit_told(const struct process_exit *exit, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct op_result result = { 0 };

	if (exit)
		result.exit = *exit;
	else
		error_set(&err, CODE_NOT_FOUND,
			"the process was deleted without having been started");
	request_done(&err, &result, userdata);
}

void request_wait(struct request *r, struct process *p)
{
	process_wait(p, &r->waiter, on_exit_told, r);
}

/* --- Create --- */

int request_check_create(const char *id, const char *parent_checkpoint, struct error *err)
{
	int code = id_check(id, "container id", err);

	if (code == 0 && *parent_checkpoint)
		code = error_set(err, CODE_UNIMPLEMENTED,
			"parent_checkpoint \"%.200s\": no runtime's restore takes one",
			parent_checkpoint);
	return code;
}

void request_create(struct shim *shim, struct ttrpc_call *call, enum wording wording,
	void (*reply)(struct request *r, const struct op_result *result),
	struct create_params *params)
{
	_cleanup_request_fds_ struct request_fds fds = { .n = 0 };
	struct request *r;

	request_fds_take(call, &fds);
	params->fds = fds.v;
	params->n_fds = fds.n;
	r = request_new(shim, call, wording, reply);
	if (r)
		container_create(shim, params, request_done, r);
}

/* --- small things --- */

struct container *request_container(const struct shim *shim)
{
	return container_status(shim->container) == PROCESS_DELETED ? NULL : shim->container;
}

uint32_t request_exit_status(const struct process_exit *exit)
{
	return exit->known ? exit->status : 255;
}

void request_fds_take(struct ttrpc_call *call, struct request_fds *ret)
{
	ret->n = ttrpc_call_take_fds(call, ret->v, LIMIT_FRAME_FDS);
}

void request_fds_close(struct request_fds *fds)
{
	while (fds->n > 0)
		fd_close(&fds->v[--fds->n]);
}
