/* SPDX-License-Identifier: Apache-2.0 */
/* `doctor`: the table of its checks, and how they are told. */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/doctor.h"
#include "supervisor/cli/print.h"
#include "supervisor/config.h"

#define LIMIT_LINE   1024 /* bytes of a line that is printed */
#define STATUS_ERROR 1

struct doctor_options {
	const char *config;
};

static const struct option doctor_option_table[] = {
	OPTION_VALUE(0, "config", "FILE", struct doctor_options, config,
		"cleatd's configuration [" CONFIG_PATH "]"),
	OPTION_END,
};

static const struct {
	const char *name;
	doctor_check check;
} checks[] = {
	{ "kernel", doctor_kernel },
	{ "pidfd", doctor_pidfd },
	{ "pidfd exits", doctor_pidfd_exits },
	{ "cgroups", doctor_cgroups },
	{ "user namespaces", doctor_userns },
	{ "subordinate ids", doctor_subids },
	{ "runc", doctor_runtime },
	{ "crun", doctor_runtime },
	{ "runsc", doctor_runtime },
	{ "runtimes", doctor_any_runtime },
	{ "criu", doctor_criu },
	{ "cleat-shim", doctor_shim },
	{ "runtimes.json", doctor_runtimes_json },
	{ "cleatd.json", doctor_cleatd_json },
	{ "root", doctor_root },
	{ "folders", doctor_folders },
	{ "space", doctor_space },
	{ "cleatd", doctor_cleatd },
	{ "orphans", doctor_orphans },
	{ "unfinished", doctor_unfinished },
	{ "sockets", doctor_sockets },
	{ "runtime state", doctor_states },
	{ "temporary files", doctor_temporaries },
};

#define N_CHECKS (sizeof(checks) / sizeof(*checks))

static const char *const state_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_ERROR] = "error",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == _DOCTOR_STATE_MAX, "a name for each");

static int print_line(const char *state, const char *name, const char *found, const char *advice)
{
	_cleanup_free_ char *clean = text_clean(found, strlen(found), LIMIT_LINE);
	_cleanup_free_ char *what = advice ? text_clean(advice, strlen(advice), LIMIT_LINE) : NULL;

	if (!clean || (advice && !what))
		return -ENOMEM;
	printf("%-10s%-18s%s\n", state, name, clean);
	if (what)
		printf("%-10s%-18s%s\n", "", "", what);
	return 0;
}

/* Into rows, or printed where there are none. */
static int tell(json_t *rows, const char *name, const struct doctor_finding *f)
{
	const char *state = state_names[f->state];

	if (!rows)
		return print_line(state, name, f->found, f->advice);
	return json_array_append_new(rows,
		       json_pack("{s:s, s:s, s:o, s:o}", "check", name, "state", state, "found",
			       print_text(f->found), "advice", print_text(f->advice))) < 0
		       ? -ENOMEM
		       : 0;
}

/* As they come: one that takes its time holds back what comes after it only. */
static int run_checks(const struct doctor *d, json_t *rows, bool *ret_any_error)
{
	int r = rows ? 0 : print_line("STATE", "CHECK", "FOUND", NULL);

	for (size_t i = 0; i < N_CHECKS && r == 0; i++) {
		struct doctor_finding f = DOCTOR_FINDING_INIT;

		r = checks[i].check(d, checks[i].name, &f);
		if (r == 0)
			r = tell(rows, checks[i].name, &f);
		*ret_any_error = *ret_any_error || f.state == DOCTOR_ERROR;
		doctor_finding_deinit(&f);
		if (!rows)
			fflush(stdout);
	}
	return r;
}

static int examine(struct cli *cli, const struct doctor *d, struct error *err)
{
	_cleanup_json_ json_t *rows = cli->g.json ? json_array() : NULL;
	bool any_error = false;
	int r;

	if (cli->g.json && !rows)
		return error_errno(err, -ENOMEM, "doctor");
	r = run_checks(d, rows, &any_error);
	if (r < 0)
		return error_errno(err, r, "doctor");
	cli->status = any_error ? STATUS_ERROR : 0;
	return rows ? print_json(rows, err) : cli_flush(err);
}

static int run_doctor(
	struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct doctor_options *o = options;
	struct doctor d = {
		.socket = cli->g.socket,
		.config = o->config ? o->config : CONFIG_PATH,
		.ns = cli->g.ns,
		.is_root = geteuid() == 0,
	};
	int r = cli_use_folders(cli, err);

	(void)argc;
	(void)argv;
	if (r == CODE_FAILED_PRECONDITION) /* there is no root: that is a finding */
		error_move(&d.no_root, err);
	else if (r != 0)
		return r;
	d.root = cli->place.root;
	if (d.root)
		strays_find(d.root, d.ns, false, &d.strays, &d.no_strays);
	r = examine(cli, &d, err);
	strays_deinit(&d.strays);
	error_clear(&d.no_strays);
	error_clear(&d.no_root);
	return r;
}

const struct command command_doctor = {
	.name = "doctor",
	.group = GROUP_KEEP,
	.usage = "[OPTIONS]",
	.brief = "Check this host and the root, and say what to do",
	.more = "Each line is ok, a warning or an error, and what is not ok has a line below it that says\n"
		"what to do. It exits with 1 if there is an error, and changes nothing. With -n it counts\n"
		"what is left in that namespace alone.",
	.options = doctor_option_table,
	.options_size = sizeof(struct doctor_options),
	.alone = true,
	.run = run_doctor,
};
