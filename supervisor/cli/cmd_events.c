/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `events`: one JSON object a line. Subtle: TaskExit and TaskDelete have a field `id` of their
 * own, which for an exec is the exec's: it is printed as exec_id, and id is always the container.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ids.h"
#include "common/json.h"
#include "common/pbtime.h"
#include "events.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/feed.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/proto_json.h"

struct events_options {
	const char *since;
};

static const struct option events_option_table[] = {
	OPTION_VALUE(0, "since", "N", struct events_options, since,
		"from the event after number N; 0: from the oldest that is kept"),
	OPTION_END,
};

static const ProtobufCMessageDescriptor *const event_types[] = {
	&containerd__events__task_create__descriptor,
	&containerd__events__task_start__descriptor,
	&containerd__events__task_delete__descriptor,
	&containerd__events__task_exit__descriptor,
	&containerd__events__task_oom__descriptor,
	&containerd__events__task_exec_added__descriptor,
	&containerd__events__task_exec_started__descriptor,
	&containerd__events__task_paused__descriptor,
	&containerd__events__task_resumed__descriptor,
	&containerd__events__task_checkpointed__descriptor,
	NULL,
};

/* The payload's own `id` makes room for the container's. */
static void rename_id(json_t *payload, const char *container)
{
	const char *id = json_get_string(payload, "id", NULL);

	if (!id)
		return;
	json_object_set_new(payload, "exec_id",
		*id && strcmp(id, container) != 0 ? json_string(id) : json_null());
	json_object_del(payload, "id");
}

static json_t *make_line(const char *id, const Cleat__Shim__V1__Event *e)
{
	_cleanup_json_ json_t *payload = e->event ? proto_json_any(e->event, event_types) : NULL;
	json_t *line = json_object();
	char epoch[24];

	/* a string: 64 bits are more than most readers of JSON keep */
	snprintf(epoch, sizeof(epoch), "%" PRIu64, e->epoch);
	json_object_set_new(line, "id", json_string(id));
	json_object_set_new(line, "seq", json_integer((json_int_t)e->seq));
	json_object_set_new(line, "epoch", json_string(epoch));
	json_object_set_new(line, "topic", json_string(e->topic));
	json_object_set_new(line, "timestamp", print_moment(pbtime_get(e->time)));
	if (e->missed > 0)
		json_object_set_new(line, "missed", json_integer((json_int_t)e->missed));
	if (e->late)
		json_object_set_new(line, "late", json_true());
	if (payload) {
		rename_id(payload, id);
		json_object_update(line, payload);
	}
	return line;
}

static int print_event(
	const char *id, const Cleat__Shim__V1__Event *e, void *userdata, struct error *err)
{
	_cleanup_json_ json_t *line = make_line(id, e);

	(void)userdata;
	return print_json(line, err);
}

static int parse_since(const char *text, uint64_t *ret, struct error *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		return error_set(err, CODE_INVALID_ARGUMENT, "--since \"%s\" is no number", text);
	return 0;
}

static void on_stop(evutil_socket_t sig, short what, void *userdata)
{
	(void)sig;
	(void)what;
	event_base_loopbreak(userdata);
}

/* To be told to stop is the proper end of following. */
static int follow(struct feed *feed, const char *id, struct error *err)
{
	struct event *interrupt = evsignal_new(feed->base, SIGINT, on_stop, feed->base);
	struct event *terminate = evsignal_new(feed->base, SIGTERM, on_stop, feed->base);
	int r;

	if (!interrupt || !terminate || event_add(interrupt, NULL) < 0 ||
		event_add(terminate, NULL) < 0)
		r = error_errno(err, -ENOMEM, "event loop");
	else
		r = feed_run(feed, id, err);
	if (interrupt)
		event_free(interrupt);
	if (terminate)
		event_free(terminate);
	return r;
}

static int run_events(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct events_options *o = options;
	struct feed feed = { .cli = cli, .on_event = print_event };
	int r;

	if (argc > 0 && id_check(argv[0], "container id", err) != 0)
		return err->code;
	if (o->since) {
		feed.has_since = true;
		r = parse_since(o->since, &feed.since, err);
		if (r != 0)
			return r;
	}
	feed.base = event_base_new();
	if (!feed.base)
		return error_errno(err, -ENOMEM, "event loop");
	r = follow(&feed, argc > 0 ? argv[0] : NULL, err);
	event_base_free(feed.base);
	return r;
}

const struct command command_events = {
	.name = "events",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS] [ID]",
	.brief = "Follow what happens to a container, or to all of them",
	.more = "One JSON object a line: id, seq, epoch, topic, timestamp, and the fields of the\n"
		"event; an event of an exec names it as exec_id. Without --since what happens from\n"
		"now on. Ends when it is stopped, or with the container's shim.",
	.options = events_option_table,
	.options_size = sizeof(struct events_options),
	.n_max = 1,
	.run = run_events,
};
