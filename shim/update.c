/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Update: other limits for a container that is there, and annotations. The document is checked
 * whole before the runtime sees it, so that a wrong one changes nothing. Subtle: it goes to the
 * runtime as a file in the state folder, and is removed whichever way the operation ends, also when
 * it never ran.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/ids.h"
#include "common/resources.h"
#include "shim/container_life.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

/* What an update carries until it has ended; its operation's userdata. */
struct update {
	struct shim *shim;
	char *document;	      /* NULL: no other limits */
	json_t *annotations;  /* to be added; NULL: none */
	json_t *merged;	      /* what is kept once the limits hold */
	char name[32], *path; /* of the file; "" until it is written */
	op_done done;
	void *userdata;
};

static void update_free(struct update *u)
{
	if (u->name[0] && u->shim->dir.fd >= 0)
		unlinkat(u->shim->dir.fd, u->name, 0);
	free(u->path);
	free(u->document);
	json_decref(u->annotations);
	json_decref(u->merged);
	free(u);
}

static void on_ended(const struct error *err, const struct op_result *result, void *userdata)
{
	struct update *u = userdata;

	u->done(err, result, u->userdata);
	update_free(u);
}

static void finish(struct operation *op)
{
	struct update *u = op->userdata;
	struct container *c = op->container;

	if (u->merged) {
		json_decref(c->annotations);
		c->annotations = TAKE_PTR(u->merged);
	}
	operation_finish(op, &ERROR_INIT, NULL);
}

static void on_updated(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	(void)outcome;
	if (err->code == CODE_OK) {
		finish(op);
		return;
	}
	error_set(&op->error, err->code, "%s", error_message(err));
	op->words = words ? strdup(words) : NULL;
	operation_fail(op, RUNTIME_UPDATE);
}

static int write_document(struct update *u)
{
	char suffix[9], name[32];
	int r = random_hex(suffix, 4);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "update-%s.json", suffix);
	if (asprintf(&u->path, "%s/%s", u->shim->dir.path, name) < 0) {
		u->path = NULL;
		return error_trace(-ENOMEM);
	}
	r = file_write_atomic(u->shim->dir.fd, name, u->document, strlen(u->document), 0600);
	if (r == 0)
		memcpy(u->name, name, sizeof(name));
	return r;
}

/* Over what is kept now: another update may have come in between. */
static int merge(struct update *u, const struct container *c, struct error *err)
{
	return u->annotations ? annotations_merge(c->annotations, u->annotations, &u->merged, err)
			      : 0;
}

static int begin_call(struct operation *op)
{
	struct container *c = op->container;
	struct update *u = op->userdata;
	struct runtime_request request = { .verb = RUNTIME_UPDATE, .id = c->id };
	int r = write_document(u);

	if (r < 0)
		return error_errno(&op->error, r, "the resources could not be written");
	request.resources = u->path;
	return runtime_call_begin(
		c->shim, &c->runtime, &request, NULL, 0, on_updated, op, NULL, &op->error);
}

static void run_update(struct operation *op)
{
	struct update *u = op->userdata;
	int r = process_check(op->process, PROCESS_UPDATE, &op->error);

	if (r == 0)
		r = merge(u, op->container, &op->error);
	if (r == 0 && u->document)
		r = begin_call(op);
	if (r != 0)
		operation_fail(op, RUNTIME_UPDATE);
	else if (!u->document)
		finish(op);
}

static int fill(struct update *u, const struct update_params *params, struct error *err)
{
	int r = 0;

	if (params->resources)
		r = resources_parse(params->resources, params->n_resources, &u->document, err);
	if (r == 0 && params->n_annotations)
		r = annotations_read(
			params->annotations, params->n_annotations, &u->annotations, err);
	return r;
}

void container_update(
	struct container *c, const struct update_params *params, op_done done, void *userdata)
{
	static const struct op_result nothing;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct update *u = calloc(1, sizeof(*u));

	if (!u) {
		error_errno(&err, -ENOMEM, "update");
		done(&err, &nothing, userdata);
		return;
	}
	u->shim = c->shim;
	u->done = done;
	u->userdata = userdata;
	if (fill(u, params, &err) == 0) {
		operation_begin(c, OPERATION_UPDATE, c->init, run_update, on_ended, u);
		return;
	}
	done(&err, &nothing, userdata);
	update_free(u);
}
