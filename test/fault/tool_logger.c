/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multi-tool as a logging program of binary://, which appends what comes on 3 and 4 to the files
 * out and err in its folder, and to the file runs what happens to it, a line each: `start PID`, `ready`,
 * `term`, `end`. What is in the files when it dies is what it had taken: nothing is in its hands.
 *
 *   key         value
 *   await       PATH: is not ready before that exists
 *   ready       byte: writes one on 5 and closes it (the default); close: only closes it; never: neither
 *   before      N: exits with N instead of getting ready
 *   gate        PATH: reads nothing before that exists, or
 *   after       BYTES: nothing more once it has taken so many
 *   die         BYTES: kills itself once it has taken so many in this run
 *   deaths      N: only its first N runs do so (all, without it)
 *   term        ignore: is not ended by SIGTERM (it exits 0, without it)
 *   end         hang: does not exit at the end of both
 *   child       MS: leaves a child of its own, which lives so long, as it gets ready
 *   look        1: writes its arguments, environment and descriptors to the files args, env, fds first
 *
 * Subtle rule: SIGTERM is blocked but while it polls, so that `term` is never lost between two looks.
 */

#include "test/fault/tool.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FD 3 /* of two */
#define READY_FD 5
#define CHUNK	 65536
#define WAIT_MS	 60000

struct logger {
	const char *dir;
	char **keys; /* key and value, alternating */
	int runs, files[2];
	uint64_t left; /* bytes to take before it dies */
	bool dies;
	const char *gate;    /* NULL: none, or it has been passed */
	uint64_t gate_after; /* bytes still to take before it */
};

static volatile sig_atomic_t got_term;

static void on_term(int sig)
{
	(void)sig;
	got_term = 1;
}

static const char *value_of(const struct logger *l, const char *key)
{
	for (char **k = l->keys; k[0] && k[1]; k += 2)
		if (strcmp(k[0], key) == 0)
			return k[1];
	return NULL;
}

static bool has(const struct logger *l, const char *key, const char *value)
{
	const char *v = value_of(l, key);

	return v && strcmp(v, value) == 0;
}

static int open_at(const struct logger *l, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void note(const struct logger *l, const char *word)
{
	(void)emitf(l->runs, "%s\n", word);
}

/* Runs until now, this one too. */
static unsigned count_runs(const struct logger *l)
{
	char text[CHUNK];
	ssize_t n = pread(l->runs, text, sizeof(text) - 1, 0);
	unsigned count = 0;

	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; (at = strstr(at, "start ")); at++)
		count++;
	return count;
}

static void look(const struct logger *l, char **args)
{
	_cleanup_free_ char *fds = NULL;
	int to = open_at(l, "args");

	for (; *args; args++)
		(void)emitf(to, "%s\n", *args);
	close(to);
	to = open_at(l, "env");
	for (char **e = environ; *e; e++)
		(void)emitf(to, "%s\n", *e);
	close(to);
	if (list_fds(&fds) < 0)
		return;
	to = open_at(l, "fds");
	(void)emitf(to, "%s", fds);
	close(to);
}

static void leave_child(uint64_t ms)
{
	const struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	if (fork() != 0)
		return;
	for (int fd = 0; fd < READY_FD + 10; fd++)
		close(fd);
	nanosleep(&t, NULL);
	_exit(0);
}

static void get_ready(struct logger *l)
{
	const char *path = value_of(l, "await"), *child = value_of(l, "child");
	uint64_t ms;

	if (path)
		wait_for_file(path, WAIT_MS);
	if (child && parse_size(child, &ms))
		leave_child(ms);
	if (has(l, "ready", "never"))
		return;
	note(l, "ready"); /* before it is known, so that who waits for that finds it */
	if (!has(l, "ready", "close"))
		(void)write_all(READY_FD, "", 1);
	close(READY_FD);
}

static void die(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	kill(getpid(), SIGKILL);
}

static void pass_gate(struct logger *l)
{
	if (!l->gate || l->gate_after > 0)
		return;
	wait_for_file(l->gate, WAIT_MS);
	l->gate = NULL;
}

/* false at its end */
static bool take(struct logger *l, int i)
{
	static uint8_t data[CHUNK];
	size_t room = l->dies && l->left < sizeof(data) ? (size_t)l->left : sizeof(data);
	ssize_t n;

	if (l->dies && l->left == 0)
		die();
	n = read_some(FIRST_FD + i, data, room);
	if (n <= 0)
		return false;
	if (write_all(l->files[i], data, (size_t)n) < 0)
		_exit(tool_fail("logger: cannot write"));
	l->left -= (uint64_t)n;
	l->gate_after -= (uint64_t)n < l->gate_after ? (uint64_t)n : l->gate_after;
	if (l->dies && l->left == 0)
		die();
	return true;
}

static void take_all(struct logger *l, const sigset_t *while_polling)
{
	struct pollfd p[2] = { { FIRST_FD, POLLIN, 0 }, { FIRST_FD + 1, POLLIN, 0 } };

	if (l->dies && l->left == 0)
		die();
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int n = ppoll(p, 2, NULL, while_polling);

		if (got_term) {
			note(l, "term");
			if (!has(l, "term", "ignore"))
				return;
			got_term = 0;
		}
		for (int i = 0; n > 0 && i < 2; i++)
			if (p[i].revents && !take(l, i))
				p[i].fd = -1;
		pass_gate(l);
	}
	while (has(l, "end", "hang")) {
		sigsuspend(while_polling);
		note(l, "term");
		if (!has(l, "term", "ignore"))
			return;
	}
}

static int fill(struct logger *l)
{
	const char *die_text = value_of(l, "die"), *deaths_text = value_of(l, "deaths");
	const char *after = value_of(l, "after");
	uint64_t deaths = UINT64_MAX;

	l->gate = value_of(l, "gate");
	l->runs = open_at(l, "runs");
	l->files[0] = open_at(l, "out");
	l->files[1] = open_at(l, "err");
	if (l->runs < 0 || l->files[0] < 0 || l->files[1] < 0)
		return tool_fail("logger: %s: %s", l->dir, strerror(errno));
	(void)emitf(l->runs, "start %d\n", (int)getpid());
	if (deaths_text && !parse_size(deaths_text, &deaths))
		return tool_fail("logger: deaths is no number");
	if (die_text && !parse_size(die_text, &l->left))
		return tool_fail("logger: die is no number");
	if (after && !parse_size(after, &l->gate_after))
		return tool_fail("logger: after is no number");
	l->dies = die_text && count_runs(l) <= deaths;
	return 0;
}

int tool_logger(int n_args, char **args)
{
	struct logger l = { .dir = args[0], .keys = args + 1 };
	struct sigaction action = { .sa_handler = on_term };
	const char *before;
	sigset_t term, before_term;
	uint64_t status;

	(void)n_args;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &before_term);
	sigaction(SIGTERM, &action, NULL);
	if (has(&l, "look", "1"))
		look(&l, args);
	if (fill(&l) != 0)
		return 1;
	before = value_of(&l, "before");
	if (before && parse_size(before, &status))
		return (int)status;
	get_ready(&l);
	pass_gate(&l);
	take_all(&l, &before_term);
	note(&l, "end");
	return 0;
}
