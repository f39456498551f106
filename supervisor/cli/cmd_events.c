/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `events`: one JSON object a line. Subtle: TaskExit and TaskDelete have a field `id` of their
 * own, which for an exec is the exec's: it is printed as exec_id, and id is always the container.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/client_feed.h"
#include "common/fd.h"
#include "common/filter.h"
#include "common/json.h"
#include "common/pbtime.h"
#include "events.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/proto_json.h"

struct events_options {
	const char *since;
	struct argv filters;
};

static const struct option events_option_table[] = {
	OPTION_VALUE(0, "since", "N", struct events_options, since,
		"from the event after number N; 0: from the oldest that is kept"),
	OPTION_MANY(0, "filter", "FILTER", struct events_options, filters,
		"only what matches, such as topic==/tasks/exit"),
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

struct following {
	struct client_feed *feed;
	struct filter *filter; /* NULL: everything */
	const char *ns;
	int stop_fd;
};

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

/* --- filters --- */

/* A line, and the text of the number that was asked for last. */
struct line_fields {
	const char *ns;
	const json_t *line;
	char number[24];
};

/* By the names that are printed; containerd's own path to what is in the event leads there, too. */
static const char *line_field(const char *const *path, size_t n, void *userdata)
{
	struct line_fields *f = userdata;
	const json_t *value;

	if (n == 2 && strcmp(path[0], "event") == 0) {
		path++;
		n--;
	}
	if (n == 1 && strcmp(path[0], "namespace") == 0)
		return f->ns;
	value = n == 1 ? json_object_get(f->line, path[0]) : NULL;
	if (json_is_integer(value)) {
		snprintf(
			f->number, sizeof(f->number), "%lld", (long long)json_integer_value(value));
		return f->number;
	}
	return json_is_true(value) ? "true" : json_string_value(value);
}

static int print_event(
	struct following *f, const char *id, const Cleat__Shim__V1__Event *e, struct error *err)
{
	_cleanup_json_ json_t *line = make_line(id, e);
	struct line_fields fields = { .ns = f->ns, .line = line };

	/* what was missed is told whatever is asked for: it might have matched */
	if (line && e->missed == 0 && !filter_matches(f->filter, line_field, &fields))
		return 0;
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

/* To be told to stop is the proper end of following, and so is the single container's. */
static int follow(struct following *f, struct error *err)
{
	const Cleat__Shim__V1__Event *event;
	struct pollfd p[] = {
		{ .fd = client_feed_fd(f->feed), .events = POLLIN },
		{ .fd = f->stop_fd, .events = POLLIN },
	};
	const char *id;
	int r;

	for (;;) {
		r = client_feed_next(f->feed, 0, &id, &event, err);
		if (r == 0 && !event)
			return 0;
		if (r == 0)
			r = print_event(f, id, event, err);
		if (r != 0 && r != CODE_DEADLINE_EXCEEDED)
			return r;
		if (r == CODE_DEADLINE_EXCEEDED && poll(p, 2, -1) < 0 && errno != EINTR)
			return error_errno(err, -errno, "events");
		error_clear(err);
		if (p[1].revents)
			return 0;
	}
}

static int run_events(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct events_options *o = options;
	struct client_feed_options how = { .from_now = !o->since, .is_any_epoch = true };
	struct following f = { .ns = cli->place.ns, .stop_fd = -1 };
	int r = o->since ? parse_since(o->since, &how.since, err) : 0;

	if (r == 0)
		r = filter_parse((const char *const *)o->filters.v, o->filters.n, &f.filter, err);
	if (r == 0)
		r = cli_catch_stop(&f.stop_fd, err);
	if (r == 0)
		r = client_feed_open(&cli->place, argc > 0 ? argv[0] : NULL, &how, &f.feed, err);
	if (r == 0) {
		r = follow(&f, err);
		client_feed_close(f.feed);
	}
	filter_free(f.filter);
	fd_close(&f.stop_fd);
	return r;
}

const struct command command_events = {
	.name = "events",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS] [ID]",
	.brief = "Follow what happens to a container, or to all of them",
	.more = "One JSON object a line: id, seq, epoch, topic, timestamp, and the fields of the\n"
		"event; an event of an exec names it as exec_id. Without --since what happens from\n"
		"now on. Ends when it is stopped, or with the container's shim.\n"
		"\n"
		"A FILTER is conditions with commas between them, all of which must hold: a field's\n"
		"name with ==, != or ~= (a regular expression) and a value, or alone: there is such\n"
		"a field. Fields are those that are printed, and namespace.",
	.options = events_option_table,
	.options_size = sizeof(struct events_options),
	.n_max = 1,
	.run = run_events,
};
