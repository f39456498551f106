/* SPDX-License-Identifier: Apache-2.0 */
#include "test/fault/fake_script.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longest wait for a file: past it the test that should have made it is gone. */
#define WAIT_MAX_MS (10 * 60 * 1000)

#define SCRIPT_ERROR 70

/* One line, and how it stands with its `once:`. */
struct directive {
	const struct directive_kind *kind;
	char *command;
	char *arg; /* "" for none */
	int line;
	bool after, once;
	enum { CLAIM_OPEN, CLAIM_OURS, CLAIM_LOST } claim;
};

enum arg_kind { ARG_NONE, ARG_OPTIONAL, ARG_TEXT, ARG_SIZE, ARG_SIGNAL };

/* act: done before or after the work; -1 to go on, else an exit status. NULL for a trait. */
struct directive_kind {
	const char *name;
	enum arg_kind arg;
	int (*act)(struct fake *fake, const char *arg);
	enum trait trait;
	bool ignores_term;
};

struct script {
	char *path;
	struct directive *directives;
	size_t n_directives;
};

static void hang(void) __attribute__((noreturn));

static void hang(void)
{
	for (;;)
		pause();
}

void script_crash(void)
{
	kill(getpid(), SIGKILL);
	hang();
}

static int act_touch(struct fake *fake, const char *arg)
{
	(void)fake;
	return touch_file(arg) < 0 ? SCRIPT_ERROR : -1;
}

static int act_wait(struct fake *fake, const char *arg)
{
	(void)fake;
	return wait_for_file(arg, WAIT_MAX_MS) < 0 ? SCRIPT_ERROR : -1;
}

static int act_sleep(struct fake *fake, const char *arg)
{
	struct timespec left;
	uint64_t ms;

	(void)fake;
	parse_size(arg, &ms);
	left = (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	while (nanosleep(&left, &left) < 0)
		;
	return -1;
}

static int act_hang(struct fake *fake, const char *arg)
{
	(void)fake, (void)arg;
	hang();
}

static int act_crash(struct fake *fake, const char *arg)
{
	(void)fake, (void)arg;
	script_crash();
}

static int act_fail(struct fake *fake, const char *arg)
{
	return fake_fail_bare(fake, arg);
}

static int act_exit(struct fake *fake, const char *arg)
{
	uint64_t code;

	(void)fake;
	parse_size(arg, &code);
	return (int)code & 255;
}

/* Binary noise with an end of line every 128 bytes. */
static int write_noise(int fd, const char *arg)
{
	struct random_stream random;
	uint8_t data[64 * 1024];
	uint64_t n;

	random_init(&random, 2);
	for (parse_size(arg, &n); n > 0;) {
		size_t part = n < sizeof(data) ? (size_t)n : sizeof(data);

		random_fill(&random, data, part);
		for (size_t i = 127; i < part; i += 128)
			data[i] = '\n';
		if (write_all(fd, data, part) < 0)
			return -1;
		n -= part;
	}
	return -1;
}

static int act_stdout_noise(struct fake *fake, const char *arg)
{
	(void)fake;
	return write_noise(STDOUT_FILENO, arg);
}

static int act_stderr_noise(struct fake *fake, const char *arg)
{
	(void)fake;
	return write_noise(STDERR_FILENO, arg);
}

static int act_log_noise(struct fake *fake, const char *arg)
{
	_cleanup_close_ int fd =
		fake->log ? open(fake->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;

	return fd < 0 ? -1 : write_noise(fd, arg);
}

/* A child in our own group and session that has nothing open but stdout and stderr. */
static int act_hold_stdout(struct fake *fake, const char *arg)
{
	uint64_t seconds = 0;
	pid_t pid = fork();

	(void)fake;
	if (pid != 0)
		return pid < 0 ? SCRIPT_ERROR : -1;
	close(STDIN_FILENO);
	parse_size(arg, &seconds);
	alarm((unsigned)seconds);
	hang();
}

static int act_grandchild_hang(struct fake *fake, const char *arg)
{
	pid_t pid = fork();

	(void)fake, (void)arg;
	if (pid < 0)
		return SCRIPT_ERROR;
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0)
			;
	hang();
}

static int act_argv_to(struct fake *fake, const char *arg)
{
	_cleanup_close_ int fd = open(arg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	_cleanup_free_ char *text = NULL;
	json_t *array = json_array();

	for (int i = 0; i < fake->argc; i++)
		json_array_append_new(
			array, json_stringn_nocheck(fake->argv[i], strlen(fake->argv[i])));
	text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	return fd < 0 || !text || emitf(fd, "%s\n", text) < 0 ? SCRIPT_ERROR : -1;
}

static int act_env_to(struct fake *fake, const char *arg)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)fake;
	for (char **e = environ; *e; e++)
		fprintf(out, "%s\n", *e);
	return fclose(out) != 0 || fake_write_file(arg, text) < 0 ? SCRIPT_ERROR : -1;
}

static int act_fds_to(struct fake *fake, const char *arg)
{
	_cleanup_free_ char *text = NULL;

	(void)fake;
	return list_fds(&text) < 0 || fake_write_file(arg, text) < 0 ? SCRIPT_ERROR : -1;
}

static const struct directive_kind kinds[] = {
	{ "touch", ARG_TEXT, act_touch },
	{ "wait", ARG_TEXT, act_wait },
	{ "sleep", ARG_SIZE, act_sleep },
	{ "hang", ARG_NONE, act_hang, .ignores_term = true },
	{ "grandchild-hang", ARG_NONE, act_grandchild_hang, .ignores_term = true },
	{ "crash", ARG_NONE, act_crash },
	{ "fail", ARG_TEXT, act_fail },
	{ "exit", ARG_SIZE, act_exit },
	{ "stdout-noise", ARG_SIZE, act_stdout_noise },
	{ "stderr-noise", ARG_SIZE, act_stderr_noise },
	{ "log-noise", ARG_SIZE, act_log_noise },
	{ "hold-stdout", ARG_OPTIONAL, act_hold_stdout },
	{ "argv-to", ARG_TEXT, act_argv_to },
	{ "env-to", ARG_TEXT, act_env_to },
	{ "fds-to", ARG_TEXT, act_fds_to },
	{ "crash-after-fork", ARG_NONE, .trait = TRAIT_CRASH_AFTER_FORK },
	{ "crash-after-pid", ARG_NONE, .trait = TRAIT_CRASH_AFTER_PID },
	{ "no-pid-file", ARG_NONE, .trait = TRAIT_NO_PID_FILE },
	{ "pid-file", ARG_OPTIONAL, .trait = TRAIT_PID_FILE },
	{ "reused-pid", ARG_NONE, .trait = TRAIT_REUSED_PID },
	{ "print", ARG_OPTIONAL, .trait = TRAIT_PRINT },
	{ "half-json", ARG_NONE, .trait = TRAIT_HALF_JSON },
	{ "init-exits", ARG_SIZE, .trait = TRAIT_INIT_EXITS },
	{ "init-killed", ARG_SIGNAL, .trait = TRAIT_INIT_KILLED },
	{ "early-orphan", ARG_NONE, .trait = TRAIT_EARLY_ORPHAN },
	{ "late-orphan", ARG_TEXT, .trait = TRAIT_LATE_ORPHAN },
	{ "await-exit", ARG_NONE, .trait = TRAIT_AWAIT_EXIT },
	{ "no-console", ARG_NONE, .trait = TRAIT_NO_CONSOLE },
	{ "bad-console", ARG_NONE, .trait = TRAIT_BAD_CONSOLE },
};

static bool arg_fits(enum arg_kind kind, const char *arg)
{
	uint64_t size;
	int sig;

	switch (kind) {
	case ARG_NONE:
		return *arg == '\0';
	case ARG_OPTIONAL:
		return true;
	case ARG_TEXT:
		return *arg != '\0';
	case ARG_SIZE:
		return parse_size(arg, &size);
	case ARG_SIGNAL:
		return parse_signal(arg, &sig);
	}
	return false;
}

/* Strips a prefix off *word where it is there. */
static bool take_prefix(char **word, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*word, prefix, n) != 0)
		return false;
	*word += n;
	return true;
}

static char *next_word(char **text)
{
	char *word;

	*text += strspn(*text, " \t");
	word = *text;
	*text += strcspn(*text, " \t");
	if (**text != '\0')
		*(*text)++ = '\0';
	*text += strspn(*text, " \t");
	return word;
}

/* Takes a line apart in place; what ret holds points into it. */
static bool parse_line(char *line, struct directive *ret)
{
	char *command = next_word(&line), *name = next_word(&line);
	struct directive d = { .command = command, .arg = line };

	for (bool more = true; more;) {
		bool once = take_prefix(&name, "once:"), after = take_prefix(&name, "after:");

		d.once = d.once || once;
		d.after = d.after || after;
		more = once || after;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			d.kind = &kinds[i];
	if (!d.kind || !arg_fits(d.kind->arg, d.arg) || (d.after && !d.kind->act))
		return false;
	*ret = d;
	return true;
}

/* Adds a line to the script, which then owns it. false where it makes no sense. */
static bool add_line(struct script *script, char *line, int number)
{
	struct directive d;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return true;
	if (!parse_line(line, &d))
		return false;
	d.line = number;
	script->directives = realloc(
		script->directives, (script->n_directives + 1) * sizeof(*script->directives));
	if (!script->directives)
		abort();
	script->directives[script->n_directives++] = d;
	return true;
}

static bool concerns(const struct fake *fake, const struct directive *d)
{
	return strcmp(d->command, "*") == 0 || strcmp(d->command, fake->command->name) == 0;
}

static void marker_path(const struct script *script, const struct directive *d, char *ret, size_t n)
{
	snprintf(ret, n, "%s.once.%d", script->path, d->line);
}

/* Whether the directive takes effect; the first one to ask makes the marker of a `once:`. */
static bool claim(struct fake *fake, struct directive *d)
{
	char path[4096];
	int fd;

	if (!concerns(fake, d))
		return false;
	if (!d->once)
		return true;
	if (d->claim == CLAIM_OPEN) {
		marker_path(fake->script, d, path, sizeof(path));
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		d->claim = fd < 0 ? CLAIM_LOST : CLAIM_OURS;
		if (fd >= 0)
			close(fd);
	}
	return d->claim == CLAIM_OURS;
}

/* TERM is ignored from the first moment where we are going to hang: a `touch` before the `hang`
 * tells a test that it may send one. */
static void ignore_term_early(struct fake *fake)
{
	char path[4096];

	for (size_t i = 0; i < fake->script->n_directives; i++) {
		const struct directive *d = &fake->script->directives[i];

		if (!d->kind->ignores_term || !concerns(fake, d))
			continue;
		marker_path(fake->script, d, path, sizeof(path));
		if (!d->once || access(path, F_OK) != 0)
			signal(SIGTERM, SIG_IGN);
	}
}

int script_load(struct fake *fake, const char *path)
{
	_cleanup_fclose_ FILE *file = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	fake->script = calloc(1, sizeof(*fake->script));
	if (!fake->script)
		abort();
	if (!path)
		return 0;
	fake->script->path = strdup(path);
	file = fopen(path, "re");
	if (!file) {
		(void)emitf(STDERR_FILENO, "script %s: %s\n", path, strerror(errno));
		return SCRIPT_ERROR;
	}
	for (int number = 1; (n = getline(&line, &size, file)) >= 0; number++) {
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (!add_line(fake->script, line, number)) {
			(void)emitf(STDERR_FILENO, "script %s: line %d is wrong\n", path, number);
			return SCRIPT_ERROR;
		}
		line = NULL;
		size = 0;
	}
	free(line);
	ignore_term_early(fake);
	return 0;
}

int script_act(struct fake *fake, bool after)
{
	for (size_t i = 0; i < fake->script->n_directives; i++) {
		struct directive *d = &fake->script->directives[i];
		int r;

		if (!d->kind->act || d->after != after || !claim(fake, d))
			continue;
		r = d->kind->act(fake, d->arg);
		if (r == SCRIPT_ERROR)
			(void)emitf(STDERR_FILENO, "script %s: line %d failed\n",
				fake->script->path, d->line);
		if (r >= 0)
			return r;
	}
	return -1;
}

bool script_trait(struct fake *fake, enum trait trait, const char **ret_arg)
{
	for (size_t i = 0; i < fake->script->n_directives; i++) {
		struct directive *d = &fake->script->directives[i];

		if (d->kind->act || d->kind->trait != trait || !claim(fake, d))
			continue;
		if (ret_arg)
			*ret_arg = d->arg;
		return true;
	}
	return false;
}

struct verdict script_verdict(struct fake *fake)
{
	struct verdict verdict = { VERDICT_NONE, 0 };
	const char *arg;
	uint64_t code;

	if (script_trait(fake, TRAIT_INIT_EXITS, &arg)) {
		parse_size(arg, &code);
		verdict = (struct verdict){ VERDICT_EXIT, (int)code & 255 };
	} else if (script_trait(fake, TRAIT_INIT_KILLED, &arg)) {
		verdict.kind = VERDICT_SIGNAL;
		parse_signal(arg, &verdict.value);
	}
	return verdict;
}
