/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that cleat needs, or can make use of, and the files that set it up. */
#include "supervisor/cli/doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/run.h"
#include "common/runtime.h"
#include "common/runtime_look.h"
#include "common/runtimes.h"
#include "common/shim_start.h"
#include "common/spawn.h"
#include "common/text.h"
#include "supervisor/config.h"

#define ANSWER_MS   5000
#define LIMIT_WORDS 4096

/* --- runtimes --- */

static int ask_version(const struct runtime *rt, struct runtime_version *ret, struct error *err)
{
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	const struct runtime_request request = { .verb = RUNTIME_VERSION };
	int r = runtime_run(rt, &request, &outcome, err);

	if (r == 0)
		r = runtime_judge(rt, RUNTIME_VERSION, &outcome, NULL, err);
	return r == 0 ? runtime_read_version(rt, &outcome.out, ret, err) : r;
}

int doctor_runtime(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_(runtime_version_deinit) struct runtime_version version = RUNTIME_VERSION_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = runtime_init(&rt, name, NULL, "/", ANSWER_MS, &err);

	(void)d;
	if (r == CODE_NOT_FOUND)
		return doctor_find(ret, "not there");
	if (r == 0)
		r = ask_version(&rt, &version, &err);
	if (r == 0)
		return doctor_find(ret, "%s, version %s", rt.command, version.version);
	r = doctor_find(ret, "%s%s%s", rt.command ? rt.command : "", rt.command ? ": " : "",
		error_message(&err));
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_WARNING,
			       "it does not tell its version, so nothing will run under it: install it "
			       "anew, or use another with --runtime");
}

int doctor_any_runtime(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	size_t n = 0;
	int r;

	(void)d;
	(void)name;
	for (int kind = 0; kind < _RUNTIME_KIND_MAX; kind++) {
		_cleanup_free_ char *path = NULL;

		n += spawn_find_program(runtime_kind_name((enum runtime_kind)kind), &path) == 0;
	}
	r = doctor_find(ret, "%zu of runc, crun and runsc in PATH", n);
	if (r < 0 || n > 0)
		return r;
	return doctor_advise(
		ret, DOCTOR_ERROR, "install one: apt-get install runc, or crun; or set PATH");
}

/* --- files --- */

static int find_mistake(struct doctor_finding *ret, const struct error *err)
{
	int r = doctor_find(ret, "%s", error_message(err));

	return r < 0 ? r : doctor_advise(ret, DOCTOR_ERROR, "mend that line, or remove the file");
}

/* A link that leads nowhere is there. */
static bool is_there(const char *path)
{
	char target;

	return access(path, F_OK) == 0 || readlink(path, &target, 1) >= 0;
}

int doctor_runtimes_json(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_runtime_set_ struct runtime_set set = RUNTIME_SET_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	const char *path = runtimes_path();
	int r;

	(void)d;
	(void)name;
	if (!is_there(path))
		return doctor_find(ret, "%s is not there, and need not be", path);
	r = runtimes_find(path, "", &set, &err); /* no set has such a name */
	if (r != CODE_NOT_FOUND || access(path, F_OK) < 0)
		return find_mistake(ret, &err);
	return doctor_find(ret, "%s has no mistakes", path);
}

int doctor_cleatd_json(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_config_ struct config config = CONFIG_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)name;
	if (!is_there(d->config))
		return doctor_find(ret, "%s is not there, and need not be", d->config);
	if (config_read(d->config, &config, &err) != 0)
		return find_mistake(ret, &err);
	return doctor_find(ret, "%s has no mistakes", d->config);
}

/* --- others --- */

/* "Version: 3.17.1" of its first line, or what it says there. NULL: no answer. */
static char *criu_version(char *path)
{
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	char *argv[] = { path, (char *)"--version", NULL };
	const struct run_options options = {
		.argv = argv,
		.out_limit = LIMIT_WORDS,
		.err_limit = LIMIT_WORDS,
		.deadline_ms = ANSWER_MS,
	};
	_cleanup_free_ char *line = NULL;
	const char *colon;

	if (run_program(&options, &run) < 0 || run.timed_out || !WIFEXITED(run.wait_status) ||
		WEXITSTATUS(run.wait_status) != 0 || run.out.len == 0)
		return NULL;
	line = text_first_line(buf_head(&run.out), run.out.len, LIMIT_WORDS);
	colon = line ? strstr(line, ": ") : NULL;
	return colon ? strdup(colon + 2) : TAKE_PTR(line);
}

int doctor_criu(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_free_ char *path = NULL, *version = NULL;
	int r;

	(void)d;
	if (spawn_find_program(name, &path) < 0)
		return doctor_find(
			ret, "not there: runc and crun make no checkpoints, and restore none");
	version = criu_version(path);
	if (version)
		return doctor_find(ret, "%s, version %s", path, version);
	r = doctor_find(ret, "%s does not tell its version", path);
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_WARNING,
			       "install it anew: no checkpoint will come of it");
}

int doctor_shim(const struct doctor *d, const char *name, struct doctor_finding *ret)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *path = NULL;
	int r;

	(void)d;
	(void)name;
	if (shim_find(&path, &err) == 0)
		return doctor_find(ret, "%s", path);
	r = doctor_find(ret, "%s", error_message(&err));
	return r < 0 ? r
		     : doctor_advise(ret, DOCTOR_ERROR,
			       "install it beside cleat (make install): nothing can be started "
			       "without");
}
