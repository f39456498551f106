/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of many containers at once. Keeps nothing between calls. Subtle: every answer, error or not,
 * counts one down, and the last one, or the time, sends what is there; an answer that comes after that
 * finds the gathering gone. Of many, one without figures is left out.
 */
#include "supervisor/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/filter.h"
#include "common/pbtime.h"
#include "supervisor/forward.h"
#include "supervisor/member_link.h"
#include "supervisor/registry.h"
#include "task.pb-c.h"

struct gathering;

/* One container that is asked. */
struct sample {
	struct gathering *gathering;
	struct ttrpc_pending *pending;
	char *id;
	moment at;
	Containerd__Task__V2__StatsResponse *stats; /* NULL: none */
};

struct gathering {
	struct ttrpc_call *call; /* NULL: its caller has left, or was answered */
	struct event *deadline;
	struct sample *samples;
	size_t n_samples, n_waiting;
	bool is_of_one; /* that was asked for: its error is the answer, and it has its own time */
};

static void gathering_free(struct gathering *g)
{
	for (size_t i = 0; i < g->n_samples; i++) {
		if (g->samples[i].pending)
			ttrpc_client_cancel(g->samples[i].pending);
		if (g->samples[i].stats)
			containerd__task__v2__stats_response__free_unpacked(
				g->samples[i].stats, NULL);
		free(g->samples[i].id);
	}
	if (g->deadline)
		event_free(g->deadline);
	free(g->samples);
	free(g);
}

static void reply(struct gathering *g)
{
	Containerd__Services__Tasks__V1__MetricsResponse to =
		CONTAINERD__SERVICES__TASKS__V1__METRICS_RESPONSE__INIT;
	struct {
		Containerd__Types__Metric metric;
		Google__Protobuf__Timestamp at;
	} *all = calloc(g->n_samples + 1, sizeof(*all));

	to.metrics = calloc(g->n_samples + 1, sizeof(*to.metrics));
	for (size_t i = 0; all && to.metrics && i < g->n_samples; i++) {
		struct sample *s = &g->samples[i];

		if (!s->stats || !s->stats->stats)
			continue;
		containerd__types__metric__init(&all[i].metric);
		all[i].metric.id = s->id;
		all[i].metric.timestamp = pbtime_set(&all[i].at, s->at);
		all[i].metric.data = s->stats->stats;
		to.metrics[to.n_metrics++] = &all[i].metric;
	}
	if (all && to.metrics)
		ttrpc_call_reply(g->call, &to.base);
	else
		ttrpc_call_fail(g->call, CODE_RESOURCE_EXHAUSTED, "no memory for metrics");
	free(to.metrics);
	free(all);
	gathering_free(g);
}

static void on_stats(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct sample *s = userdata;
	struct gathering *g = s->gathering;

	s->pending = NULL;
	s->at = clock_now();
	if (code != 0 && g->is_of_one) {
		forward_refuse(g->call, err);
		gathering_free(g);
		return;
	}
	if (code == 0) {
		size_t n = protobuf_c_message_get_packed_size(message);
		_cleanup_free_ uint8_t *packed = malloc(n + 1);

		if (packed)
			s->stats = containerd__task__v2__stats_response__unpack(
				NULL, protobuf_c_message_pack(message, packed), packed);
	}
	if (--g->n_waiting == 0)
		reply(g);
}

static void on_deadline(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	reply(userdata);
}

static void on_left(void *userdata)
{
	gathering_free(userdata);
}

/* --- which --- */

static const char *field(const char *const *path, size_t n, void *userdata)
{
	const struct member *m = userdata;

	if (n == 1 && strcmp(path[0], "id") == 0)
		return m->id;
	return n == 1 && strcmp(path[0], "namespace") == 0 ? m->ns : NULL;
}

static void ask(struct gathering *g, struct member *m)
{
	Containerd__Task__V2__StatsRequest request = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
	struct sample *s = &g->samples[g->n_samples];
	const struct ttrpc_request call = {
		.service = TASK_SERVICE,
		.method = "Stats",
		.message = &request.base,
		.response = &containerd__task__v2__stats_response__descriptor,
	};

	*s = (struct sample){ .gathering = g, .id = strdup(m->id) };
	if (!s->id)
		return;
	g->n_samples++;
	request.id = m->id;
	if (ttrpc_client_begin(m->client, &call, 0, on_stats, s, &s->pending, NULL) == 0)
		g->n_waiting++;
	else
		s->pending = NULL;
}

static void ask_all(
	struct gathering *g, struct supervisor *s, const char *ns, struct filter *filter)
{
	const struct registry *r = s->registry;
	const struct registry_part part = registry_part(r, ns);

	for (size_t i = part.begin; i < part.end; i++) {
		struct member *m = r->v[i];

		if (m->is_made && member_is_linked(m) && filter_matches(filter, field, m))
			ask(g, m);
	}
}

static struct gathering *gathering_new(struct supervisor *s)
{
	const struct timeval tv = { METRICS_MS / 1000, METRICS_MS % 1000 * 1000 };
	struct gathering *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->samples = calloc(s->registry->n + 1, sizeof(*g->samples));
	g->deadline = evtimer_new(s->base, on_deadline, g);
	if (g->samples && g->deadline && evtimer_add(g->deadline, &tv) == 0)
		return g;
	gathering_free(g);
	return NULL;
}

/* As long as its runtime may take, and a second, so that the shim's own word comes first. */
static void wait_longer(struct gathering *g, uint32_t ms)
{
	const struct timeval tv = { ms / 1000 + 1, ms % 1000 * 1000 };

	evtimer_add(g->deadline, &tv);
}

void metrics_begin(struct supervisor *s, struct ttrpc_call *call, const char *ns,
	const Containerd__Services__Tasks__V1__MetricsRequest *request)
{
	struct filter *filter = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct gathering *g;

	if (filter_parse((const char *const *)request->filters, request->n_filters, &filter,
		    &err) != 0) {
		forward_refuse(call, &err);
		return;
	}
	g = gathering_new(s);
	if (!g) {
		filter_free(filter);
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for metrics");
		return;
	}
	g->call = call;
	ask_all(g, s, ns, filter);
	filter_free(filter);
	g->is_of_one = request->n_filters > 0 && g->n_samples == 1;
	if (g->is_of_one)
		wait_longer(g, s->config.deadline_ms);
	if (g->n_waiting == 0)
		reply(g);
	else
		ttrpc_call_keep(call, on_left, NULL, g);
}
