/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ps`: the processes in a container, those that nobody started through cleat too. Subtle: the
 * command comes from /proc after the pids did; a process that has gone in between shows none.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/text.h"
#include "linux_runc.pb-c.h"
#include "supervisor/cli/cli.h"
#include "common/client_dead.h"
#include "supervisor/cli/print.h"
#include "common/client_target.h"
#include "common/client_call.h"

#define COMMAND_MAX (64u << 10)

static int read_proc(pid_t pid, const char *name, struct buf *ret)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : fd_read_all(fd, ret, COMMAND_MAX);
	return r == -EFBIG ? 0 : r; /* the rest of a long one is not shown */
}

/* The arguments with spaces between, or the name in brackets where there are none. */
static json_t *make_command(pid_t pid)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *clean = NULL;
	const char *data;

	if (read_proc(pid, "cmdline", &text) == 0 && text.len > 0) {
		char *bytes = (char *)buf_head(&text);

		for (size_t i = 0; i < text.len; i++)
			if (!bytes[i])
				bytes[i] = ' ';
		clean = text_clean(bytes, text.len, COMMAND_MAX);
		return json_string(clean ? clean : "");
	}
	if (read_proc(pid, "comm", &text) < 0 || text.len == 0)
		return json_string("");
	data = (const char *)buf_head(&text);
	clean = text_clean(data, text.len, COMMAND_MAX);
	return json_sprintf("[%s]", clean ? clean : "");
}

static json_t *make_row(pid_t pid, const char *exec_id)
{
	return json_pack("{s:i, s:o, s:o}", "pid", pid, "exec_id",
		exec_id && *exec_id ? json_string(exec_id) : json_null(), "command",
		make_command(pid));
}

/* Which exec it is; containerd's name for the message is in the Any. */
static json_t *make_shim_row(const Containerd__V1__Types__ProcessInfo *p)
{
	Containerd__Linux__Runc__ProcessDetails *details = NULL;
	json_t *row;

	if (p->info && strstr(p->info->type_url, "ProcessDetails"))
		details = containerd__linux__runc__process_details__unpack(
			NULL, p->info->value.len, p->info->value.data);
	row = make_row((pid_t)p->pid, details ? details->exec_id : NULL);
	if (details)
		containerd__linux__runc__process_details__free_unpacked(details, NULL);
	return row;
}

static int rows_from_shim(struct client_target *t, json_t *rows, struct error *err)
{
	Containerd__Task__V2__PidsResponse *answer;
	int r = client_call_pids(t, &answer, err);

	if (r != 0)
		return r;
	for (size_t i = 0; i < answer->n_processes; i++)
		json_array_append_new(rows, make_shim_row(answer->processes[i]));
	containerd__task__v2__pids_response__free_unpacked(answer, NULL);
	return 0;
}

static int rows_from_runtime(struct client_target *t, json_t *rows, struct error *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = client_dead_pids(t, &pids, &n, err);

	for (size_t i = 0; i < n && r == 0; i++)
		json_array_append_new(rows, make_row(pids[i], NULL));
	return r;
}

/* cleatd asks shims only; a container without one has its runtime, which can be asked here. */
static int rows_of_orphan(
	const struct client_place *place, const char *id, json_t *rows, struct error *err)
{
	_cleanup_(client_target_close) struct client_target t = CLIENT_TARGET_INIT;
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = client_target_open_direct(place, id, &t, &why);

	if (r != 0 || !client_target_is_orphan(&t))
		return (int)err->code;
	error_clear(err);
	return rows_from_runtime(&t, rows, err);
}

static int run_ps(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	static const struct column columns[] = {
		{ "PID", "pid" },
		{ "EXEC", "exec_id" },
		{ "COMMAND", "command" },
	};
	_cleanup_json_ json_t *rows = json_array();
	struct client_target t;
	int r = client_target_open(&cli->place, argv[0], NULL, &t, err);

	(void)options;
	(void)argc;
	if (r != 0)
		return r;
	r = t.line ? rows_from_shim(&t, rows, err) : rows_from_runtime(&t, rows, err);
	if (r == CODE_FAILED_PRECONDITION && t.is_hub)
		r = rows_of_orphan(&cli->place, argv[0], rows, err);
	client_target_close(&t);
	if (r != 0)
		return r;
	if (cli->g.json)
		return print_json(rows, err);
	return print_table(rows, columns, sizeof(columns) / sizeof(*columns), err);
}

const struct command command_ps = {
	.name = "ps",
	.group = GROUP_INSIDE,
	.usage = "ID",
	.brief = "List the processes in a container",
	.n_min = 1,
	.n_max = 1,
	.run = run_ps,
};
