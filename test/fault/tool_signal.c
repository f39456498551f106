/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multi-tool's ends and waits. A signal that is waited for is blocked, gets a handler (for
 * process 1 the kernel drops the others) and is then taken with sigwaitinfo: no handler ever does
 * anything, and no signal falls between a check and a wait.
 */

#include "test/fault/tool.h"

#include "test/fault/util.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void do_nothing(int sig)
{
	(void)sig;
}

/* Blocks the signal and makes sure that it will be delivered to us, whoever we are. */
static int claim_signal(int sig, sigset_t *ret_set)
{
	struct sigaction action = { .sa_handler = do_nothing };

	sigemptyset(ret_set);
	if (sigaddset(ret_set, sig) < 0 || sigprocmask(SIG_BLOCK, ret_set, NULL) < 0 ||
		sigaction(sig, &action, NULL) < 0)
		return -errno;
	return 0;
}

/* As process 1 the orphans of others become ours: let the kernel reap them. */
static void ignore_children(void)
{
	signal(SIGCHLD, SIG_IGN);
}

static void take_signal(const sigset_t *set)
{
	while (sigwaitinfo(set, NULL) < 0)
		;
}

int tool_exit(int n_args, char **args)
{
	uint64_t code;

	(void)n_args;
	if (!parse_size(args[0], &code) || code > 255)
		return tool_fail("exit: not 0 to 255");
	return (int)code;
}

int tool_kill_self(int n_args, char **args)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;
	int sig;

	(void)n_args;
	if (!parse_signal(args[0], &sig))
		return tool_fail("kill-self: no signal \"%s\"", args[0]);
	prctl(PR_SET_DUMPABLE, 0);
	sigaction(sig, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
	tool_fail("kill-self: signal %d did not end process %d", sig, (int)getpid());
	return 125;
}

int tool_pause(int n_args, char **args)
{
	sigset_t set;

	(void)n_args, (void)args;
	ignore_children();
	claim_signal(SIGTERM, &set);
	take_signal(&set);
	return 0;
}

int tool_ignore_term(int n_args, char **args)
{
	(void)n_args, (void)args;
	ignore_children();
	signal(SIGTERM, SIG_IGN);
	if (emitf(STDOUT_FILENO, "ready\n") < 0)
		return 1;
	for (;;)
		pause();
}

int tool_trap(int n_args, char **args)
{
	uint64_t code;
	sigset_t set;
	int sig;

	(void)n_args;
	if (!parse_signal(args[0], &sig) || !parse_size(args[1], &code) || code > 255)
		return tool_fail("trap: needs a signal and 0 to 255");
	ignore_children();
	if (claim_signal(sig, &set) < 0)
		return tool_fail("trap: signal %d can't be caught", sig);
	if (emitf(STDOUT_FILENO, "ready\n") < 0)
		return 1;
	take_signal(&set);
	return (int)code;
}

int tool_sleep(int n_args, char **args)
{
	struct timespec left;
	uint64_t ms;

	(void)n_args;
	if (!parse_size(args[0], &ms))
		return tool_fail("sleep: not a number");
	left = (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	while (nanosleep(&left, &left) < 0)
		;
	return 0;
}

int tool_spin(int n_args, char **args)
{
	struct timespec used;
	uint64_t ms;

	(void)n_args;
	if (!parse_size(args[0], &ms))
		return tool_fail("spin: not a number");
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while ((uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000 < ms);
	return 0;
}
