/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals of a foreground session: which are passed on, which are ours. Never decides how
 * the session ends but through session_leave(). Subtle: signals are taken through a signalfd,
 * also those that the shell had ignored for a background job; only an ignored SIGHUP stays
 * ignored, since somebody asked for that (nohup).
 */
#include "supervisor/cli/session_private.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/signals.h"
#include "supervisor/cli/cli.h"

/* How long a process may take to end after its terminal was told to go. */
#define TERMINAL_GRACE_MS 3000

/* What belongs to us, to libc, to the kernel's job control, or can't be caught. */
static bool is_passed_on(int sig)
{
	switch (sig) {
	case SIGKILL:
	case SIGSTOP:
	case SIGCHLD:
	case SIGCONT:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGURG:
	case SIGWINCH:
	case 32:
	case 33:
		return false;
	default:
		return true;
	}
}

static bool is_ignored(int sig)
{
	struct sigaction sa;

	return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

static void fill_set(bool terminal, sigset_t *set)
{
	sigemptyset(set);
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		if (is_passed_on(sig) && !(sig == SIGHUP && is_ignored(sig)))
			sigaddset(set, sig);
	if (!terminal)
		return;
	sigaddset(set, SIGWINCH);
	sigaddset(set, SIGCONT);
	sigaddset(set, SIGTSTP);
	/* our own writes raise it, so it cannot be told from somebody's wish */
	sigdelset(set, SIGPIPE);
}

void session_block_signals(void)
{
	sigset_t set;

	fill_set(false, &set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What makes an interactive user's program go away. */
static bool is_end(int sig)
{
	return sig == SIGINT || sig == SIGTERM || sig == SIGQUIT || sig == SIGHUP;
}

static void stop_ourselves(struct session *s)
{
	terminal_restore(&s->caller);
	raise(SIGSTOP);
	/* SIGCONT is in the signalfd by now and makes it raw again */
}

/* Before it runs there is nobody to tell: the first ends it as soon as it can, the second now. */
static void on_early(struct session *s, int sig)
{
	if (is_end(sig) && s->interrupted) {
		session_leave(s, STATUS_SIGNAL + sig);
		return;
	}
	if (is_end(sig))
		s->interrupted = sig;
	if (!is_end(sig) || s->phase != SESSION_ADDING)
		s->pending |= 1ull << (sig - 1);
}

static void on_running(struct session *s, int sig)
{
	session_kill(s, sig);
	/* a shell takes no SIGTERM, and whoever sent it wants the terminal back */
	if (s->terminal && (sig == SIGTERM || sig == SIGHUP))
		session_leave_soon(s, STATUS_SIGNAL + sig, TERMINAL_GRACE_MS);
}

static void on_signal(struct session *s, int sig)
{
	if (sig == SIGWINCH) {
		session_resize(s);
	} else if (sig == SIGTSTP) {
		stop_ourselves(s);
	} else if (sig == SIGCONT) {
		/* before the relays begin there is no terminal in it */
		if (s->caller.raw || s->phase == SESSION_STARTING || s->phase == SESSION_RUNNING)
			terminal_make_raw(&s->caller);
		session_resize(s);
	} else if (s->phase == SESSION_RUNNING) {
		on_running(s, sig);
	} else if (s->phase == SESSION_ADDING || s->phase == SESSION_STARTING) {
		on_early(s, sig);
	} else if (is_end(sig)) {
		session_leave(s, s->exited ? (int)s->exit_status : STATUS_SIGNAL + sig);
	}
}

static void on_signal_fd(evutil_socket_t fd, short what, void *userdata)
{
	struct session *s = userdata;
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		on_signal(s, (int)info.ssi_signo);
}

int session_watch_signals(struct session *s)
{
	sigset_t set;

	fill_set(s->terminal, &set);
	if (s->terminal)
		signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return -errno;
	s->signal_event = event_new(s->base, s->signal_fd, EV_READ | EV_PERSIST, on_signal_fd, s);
	if (!s->signal_event || event_add(s->signal_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void session_kill_pending(struct session *s)
{
	uint64_t pending = s->pending;

	s->pending = 0;
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		if (pending & (1ull << (sig - 1)))
			session_kill(s, sig);
}
