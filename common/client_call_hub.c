/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls whose messages cleatd has for itself, turned from and into a shim's. Decides nothing.
 * Subtle: an answer that is moved out of a message of cleatd's has its own memory, since whoever gets
 * it frees it as a whole.
 */
#include "common/client_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/client_call_private.h"
#include "common/pbtime.h"
#include "supervisor.pb-c.h"
#include "tasks.pb-c.h"

int client_call_exec_hub(struct client_target *t, const Containerd__Task__V2__ExecProcessRequest *m,
	const struct client_fds *fds, struct error *err)
{
	Containerd__Services__Tasks__V1__ExecProcessRequest hub =
		CONTAINERD__SERVICES__TASKS__V1__EXEC_PROCESS_REQUEST__INIT;

	hub.container_id = m->id;
	hub.exec_id = m->exec_id;
	hub.terminal = m->terminal;
	hub.stdin = m->stdin;
	hub.stdout = m->stdout;
	hub.stderr = m->stderr;
	hub.spec = m->spec;
	return client_call_send(t, &hub_exec, &hub.base, CLIENT_ANSWER_MS, fds, NULL, err);
}

/* The options that a shim would have got are part of cleatd's. */
static int unpack_options(const char *id, const Google__Protobuf__Any *any,
	Cleat__Shim__V1__RuntimeOptions **ret, struct error *err)
{
	*ret = NULL;
	if (!any)
		return 0;
	*ret = cleat__shim__v1__runtime_options__unpack(NULL, any->value.len, any->value.data);
	return *ret ? 0 : error_errno(err, -ENOMEM, "container %s: runtime options", id);
}

int client_hub_creation_fill(struct client_hub_creation *h, const char *id,
	const Containerd__Task__V2__CreateTaskRequest *m, const char *spec, struct error *err)
{
	cleat__v1__create_options__init(&h->options);
	cleat__v1__create_request__init(&h->request);
	h->options.bundle = m->bundle;
	h->options.image_path = m->checkpoint;
	if (spec) {
		h->options.spec.data = (uint8_t *)spec;
		h->options.spec.len = strlen(spec);
	}
	h->request.id = m->id;
	h->request.options = &h->options;
	h->request.terminal = m->terminal;
	h->request.stdin = m->stdin;
	h->request.stdout = m->stdout;
	h->request.stderr = m->stderr;
	h->request.n_rootfs = m->n_rootfs;
	h->request.rootfs = m->rootfs;
	return unpack_options(id, m->options, &h->options.runtime, err);
}

int client_hub_creation_lost(const char *id, struct error *err)
{
	return error_set(err, CODE_UNAVAILABLE,
		"container %s: cleatd ended before it had answered; `cleat list` tells whether the container was made",
		id);
}

void client_hub_creation_deinit(struct client_hub_creation *h)
{
	if (h->options.runtime)
		cleat__shim__v1__runtime_options__free_unpacked(h->options.runtime, NULL);
	h->options.runtime = NULL;
}

int client_call_create_hub(struct client_target *t,
	const Containerd__Task__V2__CreateTaskRequest *m, const char *spec,
	const struct client_fds *fds, uint32_t *ret_pid, char **ret_socket, struct error *err)
{
	struct client_hub_creation h;
	Cleat__V1__CreateResponse *answer;
	int r = client_hub_creation_fill(&h, t->id, m, spec, err);

	if (r != 0)
		return r;
	r = client_call_send(
		t, &hub_create, &h.request.base, client_call_ms(t->place), fds, &answer, err);
	client_hub_creation_deinit(&h);
	if (r != 0 && client_line_is_over(t->line))
		return client_hub_creation_lost(t->id, err);
	if (r != 0)
		return r;
	*ret_pid = answer->pid;
	*ret_socket = strdup(answer->socket);
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return *ret_socket ? 0 : error_errno(err, -ENOMEM, "container %s", t->id);
}

int client_call_delete_process_hub(
	struct client_target *t, const char *exec_id, struct client_exit *ret, struct error *err)
{
	Containerd__Services__Tasks__V1__DeleteProcessRequest m =
		CONTAINERD__SERVICES__TASKS__V1__DELETE_PROCESS_REQUEST__INIT;
	Containerd__Services__Tasks__V1__DeleteResponse *answer;
	int r;

	if (!*exec_id)
		return client_call_delete_hub(t, false, ret, err);
	m.container_id = t->id;
	m.exec_id = (char *)exec_id;
	r = client_call_send(
		t, &hub_delete_process, &m.base, client_call_ms(t->place), NULL, &answer, err);
	if (r != 0)
		return r;
	*ret = (struct client_exit){ true, answer->exit_status, pbtime_get(answer->exited_at) };
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}

int client_call_delete_hub(
	struct client_target *t, bool force, struct client_exit *ret, struct error *err)
{
	Cleat__V1__DeleteRequest m = CLEAT__V1__DELETE_REQUEST__INIT;
	Cleat__V1__DeleteResponse *answer;
	int r;

	m.id = t->id;
	m.force = force;
	r = client_call_send(t, &hub_delete, &m.base, client_call_ms(t->place), NULL, &answer, err);
	if (r != 0)
		return r;
	if (ret)
		*ret = (struct client_exit){ answer->exit_known, answer->exit_status,
			pbtime_get(answer->exited_at) };
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return 0;
}

int client_call_get_hub(
	struct client_target *t, const char *exec_id, struct client_status *ret, struct error *err)
{
	/* the same on the wire as Tasks' own */
	Containerd__Task__V2__StateRequest m = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Services__Tasks__V1__GetResponse *answer;
	const Containerd__V1__Types__Process *p;
	struct client_status s = { 0 };
	int r;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	r = client_call_send(t, &hub_get, &m.base, CLIENT_ANSWER_MS, NULL, &answer, err);
	if (r != 0)
		return r;
	p = answer->process;
	if (p) {
		s.status = p->status;
		s.pid = p->pid;
	}
	if (p && s.status == CONTAINERD__V1__TYPES__STATUS__STOPPED)
		r = client_call_learn(t, exec_id, p->exit_status, p->exited_at, &s.exit, err);
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	if (r == 0)
		*ret = s;
	return r;
}

int client_call_checkpoint_hub(struct client_target *t, const char *path,
	const Cleat__Shim__V1__CriuOptions *options, struct error *err)
{
	struct client_target shim;
	int r = client_target_open_shim(t, &shim, err);

	if (r != 0)
		return r;
	r = client_call_checkpoint(&shim, path, options, err);
	client_target_close(&shim);
	return r;
}

/* Metrics leaves out what it has no figures of, for whatever reason: the container's own is told. */
static int tell_no_figures(struct client_target *t, struct error *err)
{
	struct client_status status;
	int r = client_call_get_hub(t, "", &status, err);

	return r != 0 ? r
		      : error_set(err, CODE_FAILED_PRECONDITION,
				"container %s: no figures are told", t->id);
}

/* Filters for one id; ids need no quoting. */
int client_call_metrics_hub(
	struct client_target *t, Containerd__Task__V2__StatsResponse **ret, struct error *err)
{
	Containerd__Services__Tasks__V1__MetricsRequest m =
		CONTAINERD__SERVICES__TASKS__V1__METRICS_REQUEST__INIT;
	Containerd__Services__Tasks__V1__MetricsResponse *answer;
	Containerd__Task__V2__StatsResponse *stats;
	char filter[128], *filters[] = { filter };
	int r;

	snprintf(filter, sizeof(filter), "id==%s", t->id);
	m.n_filters = 1;
	m.filters = filters;
	r = client_call_send(
		t, &hub_metrics, &m.base, client_call_ms(t->place), NULL, &answer, err);
	if (r != 0)
		return r;
	stats = malloc(sizeof(*stats));
	if (!stats) {
		r = error_errno(err, -ENOMEM, "container %s: stats", t->id);
	} else if (answer->n_metrics == 0) {
		free(stats);
		r = tell_no_figures(t, err);
	} else {
		containerd__task__v2__stats_response__init(stats);
		stats->stats = TAKE_PTR(answer->metrics[0]->data);
		*ret = stats;
	}
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	return r;
}

int client_call_info_hub(struct client_target *t, int64_t timeout_ms,
	Cleat__Shim__V1__InfoResponse **ret, struct error *err)
{
	Cleat__V1__GetRequest m = CLEAT__V1__GET_REQUEST__INIT;
	Cleat__V1__GetResponse *answer;
	int r;

	m.id = t->id;
	r = client_call_send(t, &hub_container, &m.base, timeout_ms, NULL, &answer, err);
	if (r != 0)
		return r;
	*ret = TAKE_PTR(answer->info);
	protobuf_c_message_free_unpacked(&answer->base, NULL);
	if (!*ret)
		return error_set(
			err, CODE_INTERNAL, "container %s: cleatd told nothing about it", t->id);
	return 0;
}

int client_call_exit_records_hub(struct client_target *t, const char *exec_id,
	Cleat__Shim__V1__ExitRecordsResponse **ret, struct error *err)
{
	Cleat__V1__ExitRecordsRequest m = CLEAT__V1__EXIT_RECORDS_REQUEST__INIT;

	m.id = t->id;
	m.exec_id = (char *)exec_id;
	return client_call_send(t, &hub_exit_records, &m.base, CLIENT_ANSWER_MS, NULL, ret, err);
}
