/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminal modes and sizes. Copies nothing. Subtle: output is left alone on the way back
 * (TCSADRAIN), since flushing would take away what the user has typed ahead for the shell.
 */
#include "supervisor/cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/fd.h"

void terminal_init(struct terminal *t)
{
	*t = TERMINAL_INIT;
	if (isatty(STDIN_FILENO))
		t->fd = STDIN_FILENO;
}

int terminal_make_raw(struct terminal *t)
{
	struct termios raw;

	if (t->fd < 0)
		return 0;
	if (!t->raw && tcgetattr(t->fd, &t->saved) < 0)
		return -errno;
	raw = t->saved;
	cfmakeraw(&raw);
	if (tcsetattr(t->fd, TCSADRAIN, &raw) < 0)
		return -errno;
	t->raw = true;
	return 0;
}

void terminal_restore(struct terminal *t)
{
	if (!t->raw)
		return;
	tcsetattr(t->fd, TCSADRAIN, &t->saved);
	t->raw = false;
}

bool terminal_size(uint32_t *ret_width, uint32_t *ret_height)
{
	static const int fds[] = { STDIN_FILENO, STDOUT_FILENO };
	struct winsize size;

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (ioctl(fds[i], TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
			continue;
		*ret_width = size.ws_col;
		*ret_height = size.ws_row;
		return true;
	}
	return false;
}

int terminal_reopen(int fd, int flags)
{
	char path[FD_PATH_MAX];

	fd_path(fd, path);
	return open(path, flags | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}
