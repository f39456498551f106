/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `top`: what containers use, again and again: a screen on a terminal, tables or JSON elsewhere. Subtle: the
 * terminal is put back on every way out, also before we are stopped by ^Z, and taken again afterwards.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/figures.h"
#include "supervisor/cli/print.h"
#include "supervisor/cli/terminal.h"
#include "supervisor/cli/top_view.h"

#define INTERVAL_MS 2000
#define FIRST_MS    1000 /* at most, between the two looks that the first table needs */

/* xterm's control sequences, which every terminal of today has */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define CURSOR_HOME  "\033[H"
#define CLEAR_LINE   "\033[K"
#define CLEAR_REST   "\033[J"

struct top_options {
	bool once;
	const char *interval, *sort;
};

static const struct option top_option_table[] = {
	OPTION_VALUE(0, "interval", "TIME", struct top_options, interval,
		"between two looks: 2s if not given; 500ms, 1m"),
	OPTION_VALUE(0, "sort", "KEY", struct top_options, sort,
		"cpu (if not given), memory, pids, io or id"),
	OPTION_FLAG(0, "once", struct top_options, once, "one table, and no more"),
	OPTION_END,
};

struct top {
	struct cli *cli;
	const char *id; /* NULL: all */
	int64_t interval_ms;
	enum top_order order;
	bool on_screen;
	struct terminal terminal;
	int signal_fd;
	struct top_table table;
	int64_t taken_ms; /* when it was */
	bool has_table;
};

/* --- the terminal --- */

static int say(const char *text, size_t n, struct error *err)
{
	int r = fd_write_all(STDOUT_FILENO, text, n);

	return r < 0 ? error_errno(err, r, "standard output") : 0;
}

static void leave_screen(struct top *top)
{
	if (!top->on_screen)
		return;
	(void)!write(STDOUT_FILENO, SCREEN_LEAVE, strlen(SCREEN_LEAVE));
	terminal_restore(&top->terminal);
}

static int enter_screen(struct top *top, struct error *err)
{
	int r;

	if (!top->on_screen)
		return 0;
	r = terminal_make_raw(&top->terminal);
	return r < 0 ? error_errno(err, r, "terminal")
		     : say(SCREEN_ENTER, strlen(SCREEN_ENTER), err);
}

static int draw_screen(struct top *top, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT, screen = BUF_INIT;
	uint32_t width = 80, height = 24;
	const char *line, *end;
	int r;

	terminal_size(&width, &height);
	r = top_table_draw(&top->table, top->order, true, width, height < 3 ? 3 : height, &text);
	if (r == 0)
		r = buf_append(&screen, CURSOR_HOME, strlen(CURSOR_HOME));
	line = (const char *)buf_head(&text);
	end = line + text.len;
	for (uint32_t i = 0; r == 0 && line < end && i < height; i++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		r = buf_append(&screen, line, (size_t)(stop - line));
		if (r == 0)
			r = buf_append(&screen, CLEAR_LINE, strlen(CLEAR_LINE));
		/* after the last one the screen would roll up */
		if (r == 0 && stop + 1 < end && i + 1 < height)
			r = buf_append(&screen, "\r\n", 2);
		line = stop + 1;
	}
	if (r == 0)
		r = buf_append(&screen, CLEAR_REST, strlen(CLEAR_REST));
	return r < 0 ? error_errno(err, r, "screen")
		     : say((const char *)buf_head(&screen), screen.len, err);
}

static int draw(struct top *top, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *rows = NULL;
	int r;

	top_table_sort(&top->table, top->order);
	if (top->cli->g.json) {
		rows = top_table_json(&top->table);
		return print_json(rows, err);
	}
	if (top->on_screen)
		return draw_screen(top, err);
	r = top_table_draw(&top->table, top->order, false, 0, 0, &text);
	return r < 0 ? error_errno(err, r, "table")
		     : say((const char *)buf_head(&text), text.len, err);
}

/* --- looking --- */

/* Of all, one may go meanwhile, or have no cgroup: it is not in the table. */
static int look_at(struct top *top, const char *id, struct top_table *to, struct error *err)
{
	_cleanup_error_ struct error failed = ERROR_INIT;
	_cleanup_json_ json_t *stats = NULL;
	struct figures now;
	int r = figures_ask(top->cli, id, top->signal_fd, &stats, &failed);

	if (r != 0 && !top->id && r != CODE_CANCELLED)
		return 0;
	if (r != 0) {
		error_move(err, &failed);
		return r;
	}
	figures_of(json_object_get(stats, "metrics"), &now);
	r = top_table_add(to, id, &now);
	return r < 0 ? error_errno(err, r, "table") : 0;
}

static int look(struct top *top, struct error *err)
{
	_cleanup_json_ json_t *ids = NULL;
	struct top_table now = { 0 };
	int64_t at = clock_monotonic_ms();
	const json_t *one;
	size_t i;
	int r = figures_choose(top->cli, top->id, &ids, err);

	json_array_foreach (ids, i, one)
		if (r == 0)
			r = look_at(top, json_string_value(one), &now, err);
	if (r != 0) {
		top_table_deinit(&now);
		return r;
	}
	if (top->has_table)
		top_table_compare(&now, &top->table, (double)(at - top->taken_ms) / 1000);
	top_table_deinit(&top->table);
	top->table = now;
	top->taken_ms = at;
	top->has_table = true;
	return 0;
}

/* --- keys and signals --- */

enum what_next { NEXT_WAIT, NEXT_DRAW, NEXT_END };

static enum what_next on_key(struct top *top, char key)
{
	static const char keys[] = "cmpin";
	const char *found = key ? strchr(keys, key) : NULL;

	if (key == 'q' || key == 'Q' || key == 3) /* ^C */
		return NEXT_END;
	if (key == 26) { /* ^Z */
		raise(SIGTSTP);
		return NEXT_WAIT;
	}
	if (!found)
		return NEXT_WAIT;
	top->order = (enum top_order)(found - keys);
	return NEXT_DRAW;
}

static enum what_next on_keys(struct top *top)
{
	enum what_next next = NEXT_WAIT;
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n <= 0)
		return NEXT_END;
	if (keys[0] == '\033') /* an arrow, or the like */
		return NEXT_WAIT;
	for (ssize_t i = 0; i < n && next != NEXT_END; i++) {
		enum what_next one = on_key(top, keys[i]);

		if (one != NEXT_WAIT)
			next = one;
	}
	return next;
}

/* Stopped with the terminal as it was, and back on the screen afterwards. */
static enum what_next stop(struct top *top, struct error *err)
{
	leave_screen(top);
	raise(SIGSTOP);
	return enter_screen(top, err) == 0 ? NEXT_DRAW : NEXT_END;
}

static enum what_next on_signals(struct top *top, struct error *err)
{
	struct signalfd_siginfo info;
	enum what_next next = NEXT_WAIT;

	while (next != NEXT_END &&
		read(top->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			next = stop(top, err);
		else
			next = info.ssi_signo == SIGWINCH ? NEXT_DRAW : NEXT_END;
	}
	return next;
}

/* Until it is time for the next look. False: it is to end. */
static bool pause_for(struct top *top, int64_t ms, struct error *err)
{
	int64_t end = clock_monotonic_ms() + ms, left;

	while ((left = end - clock_monotonic_ms()) > 0) {
		struct pollfd fds[] = { { .fd = top->signal_fd, .events = POLLIN },
			{ .fd = top->on_screen ? STDIN_FILENO : -1, .events = POLLIN } };
		enum what_next next = NEXT_WAIT;

		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			next = on_signals(top, err);
		if (next != NEXT_END && fds[1].revents)
			next = on_keys(top);
		if (next == NEXT_END || (next == NEXT_DRAW && draw(top, err) != 0))
			return false;
	}
	return true;
}

/* --- the whole --- */

static int open_signals(struct top *top)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (top->on_screen || signals[i] == SIGINT || signals[i] == SIGTERM)
			sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	top->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return top->signal_fd < 0 ? -errno : 0;
}

/* To be told to stop is the proper end; so is the end of the one that was asked for. */
static int go_round(struct top *top, bool once, struct error *err)
{
	int r = look(top, err);

	if (r != 0)
		return r;
	if (top->on_screen)
		r = draw(top, err);
	if (r == 0 &&
		!pause_for(top, top->interval_ms < FIRST_MS ? top->interval_ms : FIRST_MS, err))
		return (int)err->code;
	while (r == 0) {
		if (top->id && !once && figures_are_over(top->cli, top->id))
			return 0;
		r = look(top, err);
		if (r == 0)
			r = draw(top, err);
		if (r != 0 || once)
			break;
		if (!pause_for(top, top->interval_ms, err))
			return (int)err->code;
	}
	return r;
}

static int run_top(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct top_options *o = options;
	struct top top = { .cli = cli,
		.id = argc > 0 ? argv[0] : NULL,
		.interval_ms = INTERVAL_MS,
		.signal_fd = -1 };
	int r = o->interval ? figures_interval(o->interval, &top.interval_ms, err) : 0;

	if (r == 0 && o->sort && !top_order_parse(o->sort, &top.order))
		r = error_set(err, CODE_INVALID_ARGUMENT,
			"--sort \"%s\" is none of cpu, memory, pids, io, id", o->sort);
	if (r != 0)
		return r;
	terminal_init(&top.terminal);
	top.on_screen = top.terminal.fd >= 0 && isatty(STDOUT_FILENO) && !o->once && !cli->g.json;
	r = open_signals(&top);
	if (r < 0)
		return error_errno(err, r, "signals");
	r = enter_screen(&top, err);
	if (r == 0)
		r = go_round(&top, o->once, err);
	leave_screen(&top);
	fd_close(&top.signal_fd);
	top_table_deinit(&top.table);
	return r == CODE_CANCELLED ? 0 : r;
}

const struct command command_top = {
	.name = "top",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS] [ID]",
	.brief = "Show what containers use, again and again",
	.more = "On a terminal a screen that is kept up to date: c, m, p, i and n sort it by\n"
		"processor time, memory, processes, bytes read and written, and name; q ends it.\n"
		"In a pipe a table each time, with --json one array a line. CPU % is of one\n"
		"processor; a container that was not seen before has no rates yet.",
	.options = top_option_table,
	.options_size = sizeof(struct top_options),
	.n_max = 1,
	.run = run_top,
};
