/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the ledger, out and in. Subtle: what is written needs no escaping, since names are
 * checked to be of a grammar without quotes (ids.h), and checked here once more.
 */
#include "common/ledger_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/ids.h"
#include "common/json.h"

#define LINE_FORMAT                                                                                \
	"{\"v\":%d,\"id\":\"%s\",\"exec_id\":\"%s\",\"pid\":%d,\"status\":%s,\"signal\":%" PRIu32  \
	",\"started_at\":%s,\"exited_at\":%s,\"utime_us\":%" PRIu64 ",\"stime_us\":%" PRIu64       \
	",\"maxrss_kb\":%" PRIu64 ",\"oom\":%s}\n"

/* 3 names of numbers of 32 bits, 3 of 64, 2 times in quotes, 2 ids, v and oom */
_Static_assert(sizeof(LINE_FORMAT) + 4 * sizeof("4294967295") + 3 * sizeof("18446744073709551615") +
			       2 * (CLOCK_TEXT_MAX + 2) + 2 * (LIMIT_ID + 1) + sizeof("false") <
		       LEDGER_LINE_MAX,
	"the longest line fits into what is reserved for one");

static void format_time(moment m, char ret[static CLOCK_TEXT_MAX + 2])
{
	char text[CLOCK_TEXT_MAX];

	if (m == 0) {
		strcpy(ret, "null");
		return;
	}
	clock_format(m, text);
	snprintf(ret, CLOCK_TEXT_MAX + 2, "\"%s\"", text);
}

/* JSON's readers have 63 bits, and so has ours. */
static uint64_t readable(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : n;
}

int ledger_line_format(const struct exit_entry *e, char ret[static LEDGER_LINE_MAX])
{
	char started[CLOCK_TEXT_MAX + 2], exited[CLOCK_TEXT_MAX + 2], status[16] = "null";
	const char *exec_id = e->exec_id ? e->exec_id : "";
	int n;

	if (!id_is_valid(e->id) || (*exec_id && !id_is_valid(exec_id)))
		return -EINVAL;
	format_time(e->started_at, started);
	format_time(e->exited_at, exited);
	if (e->known)
		snprintf(status, sizeof(status), "%" PRIu32, e->status);
	n = snprintf(ret, LEDGER_LINE_MAX, LINE_FORMAT, LEDGER_VERSION, e->id, exec_id, e->pid,
		status, e->signal, started, exited, readable(e->utime_us), readable(e->stime_us),
		readable(e->maxrss_kb), e->oom ? "true" : "false");
	return n > 0 && n < LEDGER_LINE_MAX ? n : -EINVAL;
}

/* A number from 0 to high; false for anything else. */
static bool get_number(const json_t *obj, const char *key, int64_t high, uint64_t *ret)
{
	const json_t *j = json_object_get(obj, key);

	if (!json_is_integer(j) || json_integer_value(j) < 0 || json_integer_value(j) > high)
		return false;
	*ret = (uint64_t)json_integer_value(j);
	return true;
}

static bool get_time(const json_t *obj, const char *key, moment *ret)
{
	const json_t *j = json_object_get(obj, key);

	if (json_is_null(j)) {
		*ret = 0;
		return true;
	}
	return json_is_string(j) && clock_parse(json_string_value(j), ret) == 0;
}

/* All but the names. */
static bool get_values(const json_t *obj, struct exit_entry *ret)
{
	const json_t *status = json_object_get(obj, "status"), *oom = json_object_get(obj, "oom");
	uint64_t pid, code = 0, sig;

	if (!get_number(obj, "pid", LIMIT_PID_VALUE, &pid) || pid == 0)
		return false;
	if (!json_is_null(status) && !get_number(obj, "status", UINT32_MAX, &code))
		return false;
	if (!get_number(obj, "signal", UINT32_MAX, &sig) || !json_is_boolean(oom))
		return false;
	ret->pid = (pid_t)pid;
	ret->known = !json_is_null(status);
	ret->status = (uint32_t)code;
	ret->signal = (uint32_t)sig;
	ret->oom = json_is_true(oom);
	return get_time(obj, "started_at", &ret->started_at) &&
	       get_time(obj, "exited_at", &ret->exited_at) &&
	       get_number(obj, "utime_us", INT64_MAX, &ret->utime_us) &&
	       get_number(obj, "stime_us", INT64_MAX, &ret->stime_us) &&
	       get_number(obj, "maxrss_kb", INT64_MAX, &ret->maxrss_kb);
}

int ledger_line_parse(const char *line, size_t n, struct exit_entry *ret)
{
	_cleanup_json_ json_t *obj = json_loadb(line, n, 0, NULL);
	const char *id = json_get_string(obj, "id", "");
	const char *exec_id = json_get_string(obj, "exec_id", "?");
	struct exit_entry e = { 0 };

	if (json_get_int(obj, "v", 0) > LEDGER_VERSION)
		return LEDGER_LINE_NEWER;
	if (json_get_int(obj, "v", 0) != LEDGER_VERSION || !id_is_valid(id) ||
		(*exec_id && !id_is_valid(exec_id)) || !get_values(obj, &e))
		return -EINVAL;
	e.id = strdup(id);
	e.exec_id = strdup(exec_id);
	if (!e.id || !e.exec_id) {
		exit_entry_deinit(&e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

int ledger_each_line(const char *data, size_t n,
	int (*each)(const char *line, size_t n, size_t offset, void *userdata), void *userdata)
{
	size_t offset = 0;

	while (offset < n) {
		const char *line = data + offset;
		const char *end = memchr(line, '\n', n - offset);
		int r;

		if (!end)
			return 0; /* torn: its writer died or had no room */
		r = each(line, (size_t)(end - line), offset, userdata);
		if (r != 0)
			return r;
		offset += (size_t)(end - line) + 1;
	}
	return 0;
}

void exit_entry_deinit(struct exit_entry *e)
{
	free(e->id);
	free(e->exec_id);
	*e = (struct exit_entry){ 0 };
}
