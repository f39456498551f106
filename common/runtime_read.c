/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of what a runtime answers: state, list, ps, pid files. Each takes any bytes and
 * gives either what was promised or one sentence that quotes the first line.
 */
#include "common/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/runtime_private.h"
#include "common/text.h"

#define LIMIT_PID_FILE 32

static json_t *parse(const struct buf *out)
{
	json_error_t at;

	return out->len ? json_loadb((const char *)buf_head(out), out->len, JSON_DECODE_ANY, &at)
			: NULL;
}

void runtime_state_deinit(struct runtime_state *s)
{
	free(s->id);
	free(s->status);
	free(s->bundle);
	*s = (struct runtime_state){ 0 };
}

/* What is no moment, as the year 1 of a container that is being made, is none; so is no text. */
static moment created_from_json(const json_t *j)
{
	const char *text = json_string_value(json_object_get(j, "created"));
	moment m;

	return text && clock_parse(text, &m) == 0 ? m : 0;
}

/* 0, -EINVAL, -ENOMEM. A container that has ended has pid 0, with runsc -1. */
static int state_from_json(const json_t *j, struct runtime_state *ret)
{
	const char *id, *status, *bundle = "";
	struct runtime_state s;
	int64_t pid;

	if (json_need_string(j, "id", "", &id, NULL) != 0 ||
		json_need_string(j, "status", "", &status, NULL) != 0 ||
		json_need_int(j, "pid", "", &pid, NULL) != 0)
		return -EINVAL;
	if (json_object_get(j, "bundle") && json_need_string(j, "bundle", "", &bundle, NULL) != 0)
		return -EINVAL;
	if (pid == -1)
		pid = 0;
	if (pid < 0 || pid > LIMIT_PID_VALUE)
		return -EINVAL;
	s = (struct runtime_state){
		.id = strdup(id),
		.status = strdup(status),
		.bundle = strdup(bundle),
		.pid = (pid_t)pid,
		.created = created_from_json(j),
	};
	if (!s.id || !s.status || !s.bundle) {
		runtime_state_deinit(&s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

int runtime_read_state(const struct runtime *rt, const struct buf *out, struct runtime_state *ret,
	struct error *err)
{
	_cleanup_json_ json_t *j = parse(out);
	int r = state_from_json(j, ret);

	if (r == -ENOMEM)
		return runtime_no_memory(rt, RUNTIME_STATE, err);
	return r < 0 ? runtime_refuse(rt, RUNTIME_STATE, out, err) : 0;
}

void runtime_states_free(struct runtime_state *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		runtime_state_deinit(&s[i]);
	free(s);
}

int runtime_read_list(const struct runtime *rt, const struct buf *out, struct runtime_state **ret,
	size_t *ret_n, struct error *err)
{
	_cleanup_json_ json_t *j = parse(out);
	struct runtime_state *states;
	size_t n = json_array_size(j); /* 0 for null */

	if (!json_is_array(j) && !json_is_null(j))
		return runtime_refuse(rt, RUNTIME_LIST, out, err);
	states = calloc(n ? n : 1, sizeof(*states));
	if (!states)
		return runtime_no_memory(rt, RUNTIME_LIST, err);
	for (size_t i = 0; i < n; i++) {
		int r = state_from_json(json_array_get(j, i), &states[i]);

		if (r == 0)
			continue;
		runtime_states_free(states, i);
		return r == -ENOMEM ? runtime_no_memory(rt, RUNTIME_LIST, err)
				    : runtime_refuse(rt, RUNTIME_LIST, out, err);
	}
	*ret = states;
	*ret_n = n;
	return 0;
}

int runtime_read_pids(const struct runtime *rt, const struct buf *out, pid_t **ret, size_t *ret_n,
	struct error *err)
{
	_cleanup_json_ json_t *j = parse(out);
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = json_array_size(j);

	if (!json_is_array(j) && !json_is_null(j))
		return runtime_refuse(rt, RUNTIME_PS, out, err);
	pids = calloc(n ? n : 1, sizeof(*pids));
	if (!pids)
		return runtime_no_memory(rt, RUNTIME_PS, err);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(j, i);
		json_int_t pid = json_is_integer(item) ? json_integer_value(item) : 0;

		if (pid <= 0 || pid > LIMIT_PID_VALUE)
			return runtime_refuse(rt, RUNTIME_PS, out, err);
		pids[i] = (pid_t)pid;
	}
	*ret = TAKE_PTR(pids);
	*ret_n = n;
	return 0;
}

/* 0 for what is no pid. A line end is allowed: scripts write one. */
static pid_t parse_pid(const struct buf *text)
{
	const uint8_t *p = buf_head(text);
	size_t n = text->len;
	pid_t pid = 0;

	if (n > 1 && p[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9' || pid > LIMIT_PID_VALUE)
			return 0;
		pid = pid * 10 + (p[i] - '0');
	}
	return pid <= LIMIT_PID_VALUE ? pid : 0;
}

int runtime_read_pid_file(const struct runtime *rt, enum runtime_verb verb, int dir,
	const char *name, pid_t *ret, struct error *err)
{
	const char *kind = runtime_kind_name(rt->kind), *verb_name = runtime_verb_name(verb);
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *quote = NULL;
	int r = fd_read_file(dir, name, &text, LIMIT_PID_FILE);
	pid_t pid;

	if (r == -ENOENT)
		return error_set(err, CODE_INTERNAL, "%s %s wrote no pid file", kind, verb_name);
	if (r == -EFBIG)
		return error_set(
			err, CODE_INTERNAL, "%s %s wrote no number as its pid", kind, verb_name);
	if (r < 0) {
		error_errno(err, r, "%s %s: pid file", kind, verb_name);
		if (err)
			err->code = CODE_INTERNAL;
		return CODE_INTERNAL;
	}
	pid = text.len ? parse_pid(&text) : 0;
	if (pid > 0) {
		*ret = pid;
		return 0;
	}
	quote = text_clean(text.len ? (const void *)buf_head(&text) : "", text.len, LIMIT_PID_FILE);
	return error_set(err, CODE_INTERNAL, "%s %s wrote \"%s\" as its pid", kind, verb_name,
		quote ? quote : "");
}
