/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a shim, as its clients see it: one command, one line back. Never talks to the shim
 * itself. Subtle: the command may log to stderr; its sentence is the last line that is no log.
 */
#include "common/shim_start.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/run.h"
#include "common/spawn.h"
#include "common/text.h"

#define NAME	       "cleat-shim"
#define ADDRESS_PREFIX "unix://"
#define LIMIT_SENTENCE 4096

/* The folder of this program, without a slash at its end. */
static int own_folder(char ret[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	ret[n] = '\0';
	slash = strrchr(ret, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

/* The program below a folder, if it is there. */
static int find_below(const char *folder, const char *path, char **ret)
{
	char full[2 * PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", folder, path);
	return spawn_find_program(full, ret);
}

int shim_find(char **ret, struct error *err)
{
	char folder[PATH_MAX];
	int r = own_folder(folder);

	if (r == 0)
		r = find_below(folder, NAME, ret);
	if (r < 0 && r != -ENOMEM)
		r = find_below(folder, "../libexec/cleat/" NAME, ret);
	if (r < 0 && r != -ENOMEM)
		r = spawn_find_program(NAME, ret);
	if (r == -ENOENT)
		return error_set(err, CODE_NOT_FOUND,
			NAME " is neither in %s nor in ../libexec/cleat nor in PATH", folder);
	return r < 0 ? error_errno(err, r, NAME) : 0;
}

int shim_start_line(const char *program, const char *root, const char *ns, const char *id,
	const char *cgroup, bool debug, struct argv *ret)
{
	const char *const words[] = { program, "-root", root, "-namespace", ns, "-id", id,
		"-ttrpc-address=" };
	int r = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words) && r == 0; i++)
		r = argv_add(ret, words[i]);
	if (r == 0 && cgroup)
		r = argv_add(ret, "-cgroup");
	if (r == 0 && cgroup)
		r = argv_add(ret, cgroup);
	if (r == 0 && debug)
		r = argv_add(ret, "-debug");
	return r == 0 ? argv_add(ret, "start") : r;
}

/* NULL if there is none. */
static char *find_sentence(const struct buf *text)
{
	const char *p = (const char *)buf_head(text);
	char *sentence = NULL;
	size_t left = text->len;

	while (left > 0) {
		const char *stop = memchr(p, '\n', left);
		size_t n = stop ? (size_t)(stop - p) : left;
		char *line = text_clean(p, n, LIMIT_SENTENCE);

		n += stop != NULL;
		p += n;
		left -= n;
		if (!line || !*line || strncmp(line, "time=\"", 6) == 0) {
			free(line);
			continue;
		}
		free(sentence);
		sentence = line;
	}
	return sentence;
}

static int judge_failure(const struct run_result *run, struct error *err)
{
	_cleanup_free_ char *sentence = find_sentence(&run->err);
	int status = run->wait_status;
	enum code code = CODE_UNKNOWN;
	const char *text = sentence;

	if (run->timed_out)
		return error_set(err, CODE_DEADLINE_EXCEEDED, NAME " start: no answer in %d s",
			SHIM_START_DEADLINE_MS / 1000);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SHIM_START_EXISTS)
		code = CODE_ALREADY_EXISTS;
	if (text && strncmp(text, NAME ": ", strlen(NAME ": ")) == 0)
		text += strlen(NAME ": ");
	if (text)
		return error_set(err, code, "%s", text);
	if (WIFSIGNALED(status))
		return error_set(err, code, NAME " start: killed by signal %d without a word",
			WTERMSIG(status));
	return error_set(
		err, code, NAME " start: exited with %d without a word", WEXITSTATUS(status));
}

static int read_address(const struct run_result *run, char **ret, struct error *err)
{
	const size_t prefix = strlen(ADDRESS_PREFIX);
	_cleanup_free_ char *line = NULL;

	line = text_first_line(run->out.len ? (const void *)buf_head(&run->out) : "", run->out.len,
		SHIM_START_OUTPUT);
	if (!line)
		return error_errno(err, -ENOMEM, NAME " start");
	if (strncmp(line, ADDRESS_PREFIX, prefix) != 0 || line[prefix] != '/')
		return error_set(err, CODE_INTERNAL,
			NAME " start: printed \"%.200s\" instead of its address", line);
	*ret = strdup(line + prefix);
	return *ret ? 0 : error_errno(err, -ENOMEM, NAME " start");
}

int shim_start_judge(const struct run_result *run, char **ret, struct error *err)
{
	if (run->timed_out || !WIFEXITED(run->wait_status) || WEXITSTATUS(run->wait_status) != 0)
		return judge_failure(run, err);
	return read_address(run, ret, err);
}

int shim_start(
	const char *root, const char *ns, const char *id, bool debug, char **ret, struct error *err)
{
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	_cleanup_argv_ struct argv argv = ARGV_INIT;
	_cleanup_free_ char *program = NULL;
	struct run_options options = {
		.out_limit = SHIM_START_OUTPUT,
		.err_limit = SHIM_START_OUTPUT,
		.deadline_ms = SHIM_START_DEADLINE_MS,
	};
	int r = shim_find(&program, err);

	if (r != 0)
		return r;
	r = shim_start_line(program, root, ns, id, NULL, debug, &argv);
	options.argv = argv.v;
	if (r == 0)
		r = run_program(&options, &run);
	if (r < 0)
		return error_errno(err, r, "%s", program);
	return shim_start_judge(&run, ret, err);
}
