/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Picks and makes the streams of a process. Copies nothing. Subtle: only our ends of the pipes
 * are non-blocking; the ends that are sent belong to others, who expect them as they were born.
 */
#include "supervisor/cli/streams.h"

#include "common/fd.h"

static int make_pipes(struct streams *s)
{
	int r = fd_pipe(&s->fds[0], &s->in, 0);

	if (r == 0)
		r = fd_pipe(&s->out, &s->fds[1], 0);
	if (r == 0)
		r = fd_set_nonblock(s->in, true);
	if (r == 0)
		r = fd_set_nonblock(s->out, true);
	return r;
}

static int foreground_terminal(struct streams *s, struct error *err)
{
	int r;

	s->piped = true;
	s->n_fds = 2;
	s->stdin_uri = "fd:0";
	s->stdout_uri = "fd:1";
	r = make_pipes(s);
	return r < 0 ? error_errno(err, r, "pipes for a terminal") : 0;
}

int streams_foreground(bool terminal, const char *log, struct streams *ret, struct error *err)
{
	*ret = STREAMS_INIT;
	if (terminal && log)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--log takes no terminal in the foreground; with --detach it does");
	if (terminal)
		return foreground_terminal(ret, err);
	ret->stdin_uri = "fd:0";
	ret->stdout_uri = log ? log : "fd:1";
	ret->stderr_uri = log ? log : "fd:2";
	ret->n_fds = log ? 1 : 3;
	for (int fd = 0; fd < 3; fd++)
		ret->fds[fd] = fd;
	return 0;
}

void streams_detached(bool terminal, const char *log, struct streams *ret)
{
	*ret = STREAMS_INIT;
	if (!log)
		return;
	ret->stdout_uri = log;
	ret->stderr_uri = terminal ? "" : log;
}

void streams_sent(struct streams *s)
{
	if (!s->piped)
		return;
	for (size_t i = 0; i < s->n_fds; i++)
		fd_close(&s->fds[i]);
	s->n_fds = 0;
}

void streams_deinit(struct streams *s)
{
	streams_sent(s);
	fd_close(&s->in);
	fd_close(&s->out);
}
