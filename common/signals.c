/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of signal names. Sends nothing. Subtle: real-time signals are counted from 34 whatever
 * this program's libc says, since the name is meant for a process with a libc of its own.
 */
#include "common/signals.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	int sig;
} names[] = {
	{ "HUP", SIGHUP },
	{ "INT", SIGINT },
	{ "QUIT", SIGQUIT },
	{ "ILL", SIGILL },
	{ "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT },
	{ "IOT", SIGABRT },
	{ "BUS", SIGBUS },
	{ "FPE", SIGFPE },
	{ "KILL", SIGKILL },
	{ "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },
	{ "TERM", SIGTERM },
	{ "STKFLT", SIGSTKFLT },
	{ "CHLD", SIGCHLD },
	{ "CLD", SIGCHLD },
	{ "CONT", SIGCONT },
	{ "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },
	{ "URG", SIGURG },
	{ "XCPU", SIGXCPU },
	{ "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM },
	{ "PROF", SIGPROF },
	{ "WINCH", SIGWINCH },
	{ "IO", SIGIO },
	{ "POLL", SIGIO },
	{ "PWR", SIGPWR },
	{ "SYS", SIGSYS },
};

#define N_NAMES (sizeof(names) / sizeof(*names))

/* Digits only, up to SIGNAL_MAX; -1 for anything else. */
static int parse_number(const char *text)
{
	int n = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return -1;
		n = 10 * n + (*text - '0');
		if (n > SIGNAL_MAX)
			return -1;
	}
	return n;
}

/* What follows "RTMIN" (sign '+') or "RTMAX" (sign '-'): nothing, or the sign and a number. */
static int parse_offset(int from, const char *text, char sign)
{
	int n;

	if (!*text)
		return from;
	if (*text != sign)
		return 0;
	n = parse_number(text + 1);
	if (n < 0 || n > SIGNAL_MAX - SIGNAL_RTMIN)
		return 0;
	return sign == '+' ? from + n : from - n;
}

int signal_parse(const char *text)
{
	int n = parse_number(text);

	if (n >= 0)
		return n;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	if (strncasecmp(text, "RTMIN", 5) == 0)
		return parse_offset(SIGNAL_RTMIN, text + 5, '+');
	if (strncasecmp(text, "RTMAX", 5) == 0)
		return parse_offset(SIGNAL_MAX, text + 5, '-');
	for (size_t i = 0; i < N_NAMES; i++)
		if (strcasecmp(text, names[i].name) == 0)
			return names[i].sig;
	return 0;
}

void signal_format(int sig, char ret[static SIGNAL_TEXT_MAX])
{
	for (size_t i = 0; i < N_NAMES; i++) {
		if (names[i].sig == sig) {
			snprintf(ret, SIGNAL_TEXT_MAX, "SIG%s", names[i].name);
			return;
		}
	}
	if (sig == SIGNAL_RTMIN)
		snprintf(ret, SIGNAL_TEXT_MAX, "SIGRTMIN");
	else if (sig > SIGNAL_RTMIN && sig <= SIGNAL_MAX)
		snprintf(ret, SIGNAL_TEXT_MAX, "SIGRTMIN+%d", sig - SIGNAL_RTMIN);
	else
		snprintf(ret, SIGNAL_TEXT_MAX, "%d", sig);
}
