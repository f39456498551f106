/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stats as Task tells them: read from the cgroup itself, and without one asked of runsc, whose
 * sandbox keeps its own count. Subtle: runc and crun would tell the figures of the group that the
 * container shares, so they are not asked; and the container may have gone while runsc was.
 */
#include "shim/task_stats.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/runtime_look.h"
#include "shim/metrics.h"
#include "shim/metrics_runtime.h"
#include "shim/runtime_call.h"
#include "task.pb-c.h"

static void reply(struct request *r, const char *type, const struct buf *metrics)
{
	Containerd__Task__V2__StatsResponse response = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)type;
	any.value.data = buf_head(metrics);
	any.value.len = metrics->len;
	response.stats = &any;
	ttrpc_call_reply(r->call, &response.base);
	r->call = NULL;
}

/* Answers, or keeps in err why not; either way the request is over. */
static void finish(
	struct request *r, const char *type, const struct buf *metrics, struct error *err)
{
	if (err->code == CODE_OK && r->call)
		reply(r, type, metrics);
	request_done(err, NULL, r);
}

/* A question that the runtime was asked; it outlives the container. */
struct stats_query {
	struct runtime rt;
	struct request *asking;
};

static void query_free(struct stats_query *q)
{
	if (q)
		runtime_deinit(&q->rt);
	free(q);
}

static void on_stats(const struct error *failure, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct stats_query *q = userdata;
	struct runtime_stats stats = RUNTIME_STATS_INIT;
	_cleanup_buf_ struct buf metrics = BUF_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	const char *type = NULL;

	(void)words;
	if (failure->code != CODE_OK)
		error_set(&err, failure->code, "%s", error_message(failure));
	else if (runtime_read_stats(&q->rt, &outcome->out, &stats, &err) == 0)
		metrics_of_runtime(&stats, metrics_host_is_v2(), &metrics, &type, &err);
	runtime_stats_deinit(&stats);
	finish(q->asking, type, &metrics, &err);
	query_free(q);
}

static int ask_runtime(struct request *asking, const struct container *c, struct error *err)
{
	const struct runtime_request request = { .verb = RUNTIME_STATS, .id = c->id };
	struct stats_query *q = calloc(1, sizeof(*q));
	int r = q ? runtime_copy(&q->rt, &c->runtime) : -ENOMEM;

	if (r < 0) {
		r = error_errno(err, r, "stats");
	} else {
		q->asking = asking;
		r = runtime_call_begin(
			c->shim, &c->runtime, &request, NULL, 0, on_stats, q, NULL, err);
	}
	if (r != 0)
		query_free(q);
	return r;
}

void task_stats(struct request *asking, const struct container *c)
{
	bool is_shared = !cgroup_folders_are_there(&c->cgroup.folders);
	_cleanup_buf_ struct buf metrics = BUF_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	const char *type = NULL;

	if (is_shared && c->runtime.kind == RUNTIME_RUNSC && !c->init->exited) {
		if (ask_runtime(asking, c, &err) == 0)
			return;
	} else {
		metrics_read(&c->cgroup.folders, &metrics, &type, &err);
	}
	finish(asking, type, &metrics, &err);
}
