/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoint: an image of the container, after which it goes on or ends. Never touches the image
 * itself. An end that the checkpoint brings is told as every exit is, when the init is reaped: the
 * event of the checkpoint follows once the runtime has said that the image is whole.
 *
 *   runtime                    then
 *   succeeds                   event CHECKPOINTED, reply (no event for a pre-dump)
 *   fails                      its own words; the container is as it was
 *   killed, at its deadline    asked for the state; what was left frozen is thawed again
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/log.h"
#include "shim/container_life.h"
#include "shim/criu.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

/* What a checkpoint carries until it has ended; its operation's userdata. */
struct checkpoint {
	struct criu criu;
	bool work_is_ours;
	op_done done;
	void *userdata;
};

static void checkpoint_free(struct checkpoint *cp)
{
	criu_deinit(&cp->criu);
	free(cp);
}

static void on_ended(const struct error *err, const struct op_result *result, void *userdata)
{
	struct checkpoint *cp = userdata;

	cp->done(err, result, cp->userdata);
	checkpoint_free(cp);
}

static void publish(const struct container *c, const char *image_path)
{
	const struct event_args args = {
		.kind = EVENT_CHECKPOINTED,
		.container_id = c->id,
		.checkpoint = image_path,
	};

	events_add(c->shim->events, &args);
}

/* --- what a checkpoint that was cut off has left frozen --- */

static void on_thawed(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	(void)words;
	(void)outcome;
	if (err->code != CODE_OK)
		log_error("a container is left frozen by its checkpoint",
			F_STR("id", op->container->id), F_STR("error", error_message(err)));
	operation_fail(op, RUNTIME_CHECKPOINT);
}

static void ask(struct operation *op, enum runtime_verb verb, runtime_call_done done)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = verb, .id = c->id };
	_cleanup_error_ struct error err = ERROR_INIT;

	if (runtime_call_begin(
		    c->shim, &c->runtime, &request, NULL, STOP_GRACE_MS, done, op, NULL, &err) != 0)
		done(&err, NULL, NULL, op);
}

static void on_state(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct runtime_state state = { 0 };
	bool is_frozen = false;

	(void)words;
	if (err->code == CODE_OK &&
		runtime_read_state(&op->container->runtime, &outcome->out, &state, NULL) == 0)
		is_frozen = op->process->status == PROCESS_RUNNING &&
			    strcmp(state.status, "paused") == 0;
	runtime_state_deinit(&state);
	if (is_frozen)
		ask(op, RUNTIME_RESUME, on_thawed);
	else
		operation_fail(op, RUNTIME_CHECKPOINT);
}

/* --- the call --- */

static void on_checkpointed(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	const struct checkpoint *cp = op->userdata;

	if (err->code == CODE_OK) {
		if (cp->work_is_ours)
			criu_work_remove(op->container);
		if (!cp->criu.pre_dump)
			publish(op->container, cp->criu.image_path);
		operation_finish(op, &ERROR_INIT, NULL);
		return;
	}
	error_set(&op->error, err->code, "%s", error_message(err));
	op->words = words ? strdup(words) : NULL;
	if (err->code == CODE_DEADLINE_EXCEEDED || WIFSIGNALED(outcome->wait_status))
		ask(op, RUNTIME_STATE, on_state);
	else
		operation_fail(op, RUNTIME_CHECKPOINT);
}

static void run_checkpoint(struct operation *op)
{
	struct container *c = op->container;
	const struct checkpoint *cp = op->userdata;
	struct runtime_criu criu = criu_view(&cp->criu);
	const struct runtime_request request = {
		.verb = RUNTIME_CHECKPOINT, .id = c->id, .criu = &criu
	};

	criu.leave_running = !cp->criu.exit && !cp->criu.pre_dump;
	if (process_check(op->process, PROCESS_CHECKPOINT, &op->error) != 0 ||
		runtime_call_begin(c->shim, &c->runtime, &request, NULL, 0, on_checkpointed, op,
			NULL, &op->error) != 0)
		operation_fail(op, RUNTIME_CHECKPOINT);
}

/* Where containerd's shims have it, whose working folder is the bundle. */
static int default_image(const struct container *c, struct criu *criu)
{
	if (criu->image_path)
		return 0;
	if (asprintf(&criu->image_path, "%s/checkpoint", c->bundle_path) >= 0)
		return 0;
	criu->image_path = NULL;
	return error_trace(-ENOMEM);
}

static int check_path(const char *path, const char *what, struct error *err)
{
	if (!path || *path == '/')
		return 0;
	return error_set(
		err, CODE_INVALID_ARGUMENT, "%s \"%.200s\" is not an absolute path", what, path);
}

static int prepare(const struct container *c, const struct criu *criu, struct checkpoint *cp,
	struct error *err)
{
	int r = check_path(criu->image_path, "the image's folder", err);

	if (r == 0)
		r = check_path(criu->work_path, "the work folder", err);
	if (r != 0)
		return r;
	cp->work_is_ours = !criu->work_path;
	r = criu_copy(&cp->criu, criu);
	if (r == 0)
		r = default_image(c, &cp->criu);
	if (r == 0)
		r = criu_default_work(c, &cp->criu);
	return r < 0 ? error_errno(err, r, "checkpoint") : r;
}

void container_checkpoint(
	struct container *c, const struct criu *criu, op_done done, void *userdata)
{
	static const struct op_result nothing;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct checkpoint *cp = calloc(1, sizeof(*cp));
	int r = cp ? 0 : error_errno(&err, -ENOMEM, "checkpoint");

	if (r == 0)
		r = prepare(c, criu, cp, &err);
	if (r != 0) {
		done(&err, &nothing, userdata);
		if (cp)
			checkpoint_free(cp);
		return;
	}
	cp->done = done;
	cp->userdata = userdata;
	operation_begin(c, OPERATION_CHECKPOINT, c->init, run_checkpoint, on_ended, cp);
}
