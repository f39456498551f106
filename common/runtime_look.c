/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers that are not events: stats, wait, features, version. Never trusts a type. Subtle: a
 * counter may be past 63 bits (a memory limit that is none), so the documents are parsed by
 * json_parse(), which keeps such numbers.
 */
#include "common/runtime_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/runtime_private.h"
#include "common/text.h"

int runtime_refuse_as(const struct runtime *rt, enum runtime_verb verb, const char *what,
	const void *data, size_t n, struct error *err)
{
	_cleanup_free_ char *line = text_first_line(n ? data : "", n, LIMIT_QUOTE);

	return error_set(err, CODE_INTERNAL, "%s %s: not the %s that was expected: %s",
		runtime_kind_name(rt->kind), runtime_verb_name(verb), what,
		line && *line ? line : "it printed nothing");
}

int runtime_refuse(
	const struct runtime *rt, enum runtime_verb verb, const struct buf *out, struct error *err)
{
	return runtime_refuse_as(rt, verb, "JSON", buf_head(out), out->len, err);
}

int runtime_no_memory(const struct runtime *rt, enum runtime_verb verb, struct error *err)
{
	return error_errno(
		err, -ENOMEM, "%s %s", runtime_kind_name(rt->kind), runtime_verb_name(verb));
}

/* --- stats --- */

void runtime_stats_deinit(struct runtime_stats *s)
{
	free(s->id);
	json_decref(s->data);
	*s = RUNTIME_STATS_INIT;
}

/* An object's number two or three levels down: unknown if missing or null, false if no number. */
static bool find_number(
	const json_t *obj, const char *a, const char *b, const char *c, uint64_t *ret)
{
	const char *const path[] = { a, b, c };

	for (size_t i = 0; i < 3 && path[i]; i++) {
		if (obj && !json_is_object(obj) && !json_is_null(obj))
			return false;
		obj = json_object_get(obj, path[i]);
	}
	*ret = RUNTIME_STAT_UNKNOWN;
	return !obj || json_is_null(obj) || json_uint64(obj, ret);
}

static bool fill_stats(struct runtime_stats *s, const json_t *data)
{
	return find_number(data, "cpu", "usage", "total", &s->cpu_ns) &&
	       find_number(data, "memory", "usage", "usage", &s->memory) &&
	       find_number(data, "memory", "usage", "limit", &s->memory_limit) &&
	       find_number(data, "pids", "current", NULL, &s->pids);
}

int runtime_stats_of(const struct runtime *rt, const struct runtime_event *e,
	struct runtime_stats *ret, struct error *err)
{
	_cleanup_(runtime_stats_deinit) struct runtime_stats s = RUNTIME_STATS_INIT;

	if (e->kind != RUNTIME_EVENT_STATS || !e->data || !fill_stats(&s, e->data)) {
		_cleanup_free_ char *text = e->data ? json_text(e->data) : NULL;
		const char *said = text ? text : e->type ? e->type : "";

		return runtime_refuse_as(rt, RUNTIME_STATS, "JSON", said, strlen(said), err);
	}
	s.id = strdup(e->id);
	s.data = json_incref(e->data);
	if (!s.id)
		return runtime_no_memory(rt, RUNTIME_STATS, err);
	*ret = s;
	s = RUNTIME_STATS_INIT;
	return 0;
}

struct first_event {
	const struct runtime *rt;
	struct runtime_stats *ret;
	int r;
	struct error *err;
	size_t n;
};

static bool on_first(const struct runtime_event *e, void *userdata)
{
	struct first_event *first = userdata;

	first->n++;
	if (e->kind == RUNTIME_EVENT_BROKEN)
		first->r = error_set(first->err, e->error.code, "%s", error_message(&e->error));
	else
		first->r = runtime_stats_of(first->rt, e, first->ret, first->err);
	return false;
}

int runtime_read_stats(const struct runtime *rt, const struct buf *out, struct runtime_stats *ret,
	struct error *err)
{
	struct first_event first = { .rt = rt, .ret = ret, .err = err };
	struct runtime_event_reader reader = { .rt = rt, .on_event = on_first, .userdata = &first };

	runtime_event_reader_feed(&reader, out->len ? (const void *)buf_head(out) : "", out->len);
	runtime_event_reader_end(&reader);
	runtime_event_reader_deinit(&reader);
	return first.n ? first.r : runtime_refuse(rt, RUNTIME_STATS, out, err);
}

/* --- wait, features --- */

static json_t *parse_object(const struct buf *out)
{
	json_t *j = NULL;

	if (json_parse(buf_head(out), out->len, "", &j, NULL) != 0)
		return NULL;
	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

int runtime_read_wait(
	const struct runtime *rt, const struct buf *out, unsigned *ret, struct error *err)
{
	_cleanup_json_ json_t *j = parse_object(out);
	uint64_t status;

	if (!json_uint64(json_object_get(j, "exitStatus"), &status) || status > 255)
		return runtime_refuse(rt, RUNTIME_WAIT, out, err);
	*ret = (unsigned)status;
	return 0;
}

void runtime_features_deinit(struct runtime_features *f)
{
	free(f->oci_min);
	free(f->oci_max);
	json_decref(f->document);
	*f = RUNTIME_FEATURES_INIT;
}

int runtime_read_features(const struct runtime *rt, const struct buf *out,
	struct runtime_features *ret, struct error *err)
{
	_cleanup_json_ json_t *j = parse_object(out);
	const char *min = json_get_string(j, "ociVersionMin", NULL);
	const char *max = json_get_string(j, "ociVersionMax", NULL);
	struct runtime_features f = RUNTIME_FEATURES_INIT;

	if (!min || !max)
		return runtime_refuse(rt, RUNTIME_FEATURES, out, err);
	f.oci_min = strdup(min);
	f.oci_max = strdup(max);
	f.document = json_incref(j);
	if (!f.oci_min || !f.oci_max) {
		runtime_features_deinit(&f);
		return runtime_no_memory(rt, RUNTIME_FEATURES, err);
	}
	*ret = f;
	return 0;
}

/* --- version --- */

void runtime_version_deinit(struct runtime_version *v)
{
	free(v->version);
	free(v->commit);
	free(v->spec);
	*v = RUNTIME_VERSION_INIT;
}

/* What follows word at the beginning of a line, to its end, cleaned; "" where there is none. */
static char *find_line(const char *text, const char *end, const char *word)
{
	size_t n = strlen(word);

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		if ((size_t)(stop - text) > n && memcmp(text, word, n) == 0)
			return text_clean(text + n, (size_t)(stop - text) - n, LIMIT_QUOTE);
		text = stop + 1;
	}
	return strdup("");
}

/* "runc version 1.1.5": the third word of the first line, whatever the first is. */
static char *find_version(const char *text, const char *end)
{
	const char *stop = memchr(text, '\n', (size_t)(end - text)), *at;

	if (!stop)
		stop = end;
	at = memmem(text, (size_t)(stop - text), " version ", 9);
	return at ? text_clean(at + 9, (size_t)(stop - at) - 9, LIMIT_QUOTE) : NULL;
}

int runtime_read_version(const struct runtime *rt, const struct buf *out,
	struct runtime_version *ret, struct error *err)
{
	const char *text = out->len ? (const char *)buf_head(out) : "", *end = text + out->len;
	struct runtime_version v = { find_version(text, end), NULL, NULL };

	if (!v.version || !*v.version) {
		free(v.version);
		return runtime_refuse_as(rt, RUNTIME_VERSION, "answer", text, out->len, err);
	}
	v.commit = find_line(text, end, "commit: ");
	v.spec = find_line(text, end, "spec: ");
	if (!v.commit || !v.spec) {
		runtime_version_deinit(&v);
		return runtime_no_memory(rt, RUNTIME_VERSION, err);
	}
	*ret = v;
	return 0;
}
