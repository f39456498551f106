/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream of `events`: lines, each an event or a broken one. Never waits for the stream's end.
 * Subtle: a line that is too long is told once, when it is known to be, and then skipped to its end.
 */
#include "common/runtime_look.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/runtime_private.h"

void runtime_event_deinit(struct runtime_event *e)
{
	free(e->type);
	free(e->id);
	json_decref(e->data);
	error_clear(&e->error);
	*e = RUNTIME_EVENT_INIT;
}

static enum runtime_event_kind kind_of(const char *type)
{
	if (strcmp(type, "stats") == 0)
		return RUNTIME_EVENT_STATS;
	return strcmp(type, "oom") == 0 ? RUNTIME_EVENT_OOM : RUNTIME_EVENT_OTHER;
}

/* 0, or a code with e->error filled. */
static int read_event(const struct runtime *rt, const void *line, size_t n, struct runtime_event *e)
{
	_cleanup_json_ json_t *j = NULL;
	const char *type, *id;
	json_t *data;

	if (json_parse(line, n, "", &j, NULL) != 0)
		j = NULL;
	type = json_get_string(j, "type", NULL);
	id = json_get_string(j, "id", NULL);
	data = json_object_get(j, "data");
	if (!type || !id || (data && !json_is_object(data) && !json_is_null(data)))
		return runtime_refuse_as(rt, RUNTIME_EVENTS, "JSON", line, n, &e->error);
	e->type = strdup(type);
	e->id = strdup(id);
	if (!e->type || !e->id)
		return runtime_no_memory(rt, RUNTIME_EVENTS, &e->error);
	e->kind = kind_of(type);
	e->data = json_is_object(data) ? json_incref(data) : NULL;
	return 0;
}

static bool is_blank(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

static void tell(struct runtime_event_reader *r, const struct runtime_event *e)
{
	if (!r->ended && !r->on_event(e, r->userdata))
		r->ended = true;
}

static void tell_line(struct runtime_event_reader *r, const char *line, size_t n)
{
	_cleanup_(runtime_event_deinit) struct runtime_event e = RUNTIME_EVENT_INIT;

	if (r->ended || is_blank(line, n))
		return;
	if (read_event(r->rt, line, n, &e) != 0)
		e.kind = RUNTIME_EVENT_BROKEN;
	tell(r, &e);
}

static void tell_too_long(struct runtime_event_reader *r)
{
	_cleanup_(runtime_event_deinit) struct runtime_event e = RUNTIME_EVENT_INIT;

	e.kind = RUNTIME_EVENT_BROKEN;
	runtime_refuse(r->rt, RUNTIME_EVENTS, &r->line, &e.error);
	tell(r, &e);
	r->skipping = true;
	buf_consume(&r->line, r->line.len);
}

static void tell_no_memory(struct runtime_event_reader *r)
{
	_cleanup_(runtime_event_deinit) struct runtime_event e = RUNTIME_EVENT_INIT;

	e.kind = RUNTIME_EVENT_BROKEN;
	runtime_no_memory(r->rt, RUNTIME_EVENTS, &e.error);
	tell(r, &e);
	r->skipping = true;
	buf_consume(&r->line, r->line.len);
}

/* A piece of a line, without its end. */
static void take_piece(struct runtime_event_reader *r, const char *p, size_t n)
{
	size_t room = LIMIT_RUNTIME_EVENT - r->line.len;

	if (r->skipping)
		return;
	if (buf_append(&r->line, p, n < room ? n : room) < 0)
		tell_no_memory(r);
	else if (n > room)
		tell_too_long(r);
}

static void take_end(struct runtime_event_reader *r)
{
	if (!r->skipping && r->line.len > 0)
		tell_line(r, (const char *)buf_head(&r->line), r->line.len);
	r->skipping = false;
	buf_consume(&r->line, r->line.len);
}

bool runtime_event_reader_feed(struct runtime_event_reader *r, const void *data, size_t n)
{
	const char *p = data, *end = p + n;

	while (p < end && !r->ended) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		take_piece(r, p, (size_t)((stop ? stop : end) - p));
		if (!stop)
			break;
		take_end(r);
		p = stop + 1;
	}
	return !r->ended;
}

void runtime_event_reader_end(struct runtime_event_reader *r)
{
	take_end(r);
}

void runtime_event_reader_deinit(struct runtime_event_reader *r)
{
	buf_deinit(&r->line);
}
