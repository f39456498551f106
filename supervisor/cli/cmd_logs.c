/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `logs`: what a process wrote, from the log that it was given. Subtle: a process's end is told before
 * the last of its output is written; what is followed is therefore followed until its writer has let go of
 * the file, for as long as a delete would wait for that.
 */
#include "supervisor/cli/commands.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/client_look.h"
#include "common/client_wait.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/stdio_uri.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/log_reader.h"

/* A writer that lets go of its file tells nobody who waits for it. */
#define LET_GO_MS 20

struct logs_options {
	bool follow, timestamps;
	const char *since, *tail, *exec_id;
};

static const struct option logs_option_table[] = {
	OPTION_FLAG(
		'f', "follow", struct logs_options, follow, "go on until the process has ended"),
	OPTION_VALUE(0, "since", "TIME", struct logs_options, since,
		"what is newer: a time (2026-01-02T03:04:05Z), or how long ago (1h30m)"),
	OPTION_VALUE(0, "tail", "N", struct logs_options, tail, "the last N lines"),
	OPTION_FLAG(
		't', "timestamps", struct logs_options, timestamps, "each line's time before it"),
	OPTION_VALUE(0, "exec-id", "ID", struct logs_options, exec_id, "an exec's, not the init's"),
	OPTION_END,
};

/* --- options --- */

/* Such as 90s, 1h30m, 500ms: *ret in nanoseconds. False: no such thing. */
static bool parse_duration(const char *text, int64_t *ret)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "ms", 1000000 }, { "h", 3600000000000 }, { "m", 60000000000 },
		{ "s", 1000000000 }, { "d", 86400000000000 } };
	int64_t sum = 0;

	if (!*text)
		return false;
	while (*text) {
		size_t n = strspn(text, "0123456789"), u = 0;
		int64_t value = strtoll(text, NULL, 10), part;

		text += n;
		while (u < sizeof(units) / sizeof(*units) &&
			strncmp(text, units[u].name, strlen(units[u].name)) != 0)
			u++;
		if (n == 0 || n > 12 || u == sizeof(units) / sizeof(*units) ||
			__builtin_mul_overflow(value, units[u].ns, &part) ||
			__builtin_add_overflow(sum, part, &sum))
			return false;
		text += strlen(units[u].name);
	}
	*ret = sum;
	return true;
}

static int parse_since(const char *text, moment *ret, struct error *err)
{
	int64_t ago;

	*ret = 0;
	if (!text || clock_parse(text, ret) == 0)
		return 0;
	if (!parse_duration(text, &ago))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"--since \"%s\" is neither a time (2026-01-02T03:04:05Z) nor a duration (1h30m)",
			text);
	*ret = ago < clock_now() ? clock_now() - ago : 1;
	return 0;
}

static int parse_tail(const char *text, uint64_t *ret, struct error *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		return error_set(err, CODE_INVALID_ARGUMENT, "--tail \"%s\" is no number", text);
	return 0;
}

/* --- where it is --- */

/* Of a process; both NULL where there is no such exec. */
struct uris {
	char *out, *err;
};

static void uris_free(struct uris *u)
{
	if (!u)
		return;
	free(u->out);
	free(u->err);
	free(u);
}

static void *make_uris(const char *out, const char *stderr_uri, struct error *err)
{
	struct uris *u = calloc(1, sizeof(*u));

	if (u) {
		u->out = strdup(out ? out : "");
		u->err = strdup(stderr_uri ? stderr_uri : "");
	}
	if (u && u->out && u->err)
		return u;
	uris_free(u);
	error_errno(err, -ENOMEM, "logs");
	return NULL;
}

struct asked {
	const struct client_place *place;
	const char *id, *exec_id;
	struct uris *found;
};

static void *no_exec(struct error *err)
{
	struct uris *u = calloc(1, sizeof(*u));

	if (!u)
		error_errno(err, -ENOMEM, "logs");
	return u;
}

static void *from_info(
	const struct asked *a, const Cleat__Shim__V1__InfoResponse *info, struct error *err)
{
	for (size_t i = 0; i < info->n_processes; i++) {
		const Cleat__Shim__V1__ProcessRecord *p = info->processes[i];

		if (strcmp(p->exec_id, a->exec_id) == 0)
			return make_uris(p->stdout_uri, p->stderr_uri, err);
	}
	return no_exec(err);
}

static void *from_dir(const struct asked *a, const struct state_dir *dir, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record r = { 0 };

	if (container_record_read(dir, &r, err) != 0)
		return NULL;
	if (!*a->exec_id)
		return make_uris(r.stdout_uri, r.stderr_uri, err);
	for (size_t i = 0; i < r.n_execs; i++)
		if (strcmp(r.execs[i].exec_id, a->exec_id) == 0)
			return make_uris(r.execs[i].stdout_uri, r.execs[i].stderr_uri, err);
	return no_exec(err);
}

/* cleatd tells of a container whose shim is dead less than its files. */
static void *from_root(const struct asked *a, struct error *err)
{
	struct state_dir dir = STATE_DIR_INIT;
	void *made;

	if (!a->place->root) {
		error_set(err, CODE_UNAVAILABLE,
			"container %s: its shim is dead, and where its files are "
			"was not said (--root)",
			a->id);
		return NULL;
	}
	if (state_dir_open(a->place->root, a->place->ns, a->id, &dir, err) != 0)
		return NULL;
	made = from_dir(a, &dir, err);
	state_dir_close(&dir);
	return made;
}

static void *make(const struct client_seen *seen, void *userdata, struct error *err)
{
	const struct asked *a = userdata;

	if (seen->info && *seen->info->status)
		return from_info(a, seen->info, err);
	if (seen->dir)
		return from_dir(a, seen->dir, err);
	if (seen->container)
		return from_root(a, err);
	error_set(err, CODE_NOT_FOUND, "container %s: does not exist", a->id);
	return NULL;
}

static void take(void *made, void *userdata)
{
	((struct asked *)userdata)->found = made;
}

static void drop(void *made)
{
	uris_free(made);
}

/* --- what is shown --- */

struct shown {
	struct log_reader *reader;
	bool to_stderr; /* a plain file that is stderr's alone */
	bool is_plain;
};

struct logs {
	struct cli *cli;
	const struct logs_options *o;
	const char *id, *exec_id;
	moment since;
	uint64_t tail;
	struct shown shown[2];
	size_t n_shown;
	FILE *last; /* what was written to last */
};

static bool is_wanted(const struct log_entry *entry, void *userdata)
{
	const struct logs *l = userdata;
	char time[CLOCK_TEXT_MAX];
	moment at;

	if (l->since == 0 || entry->n_time >= sizeof(time))
		return true;
	memcpy(time, entry->time, entry->n_time);
	time[entry->n_time] = '\0';
	return clock_parse(time, &at) < 0 || at >= l->since;
}

struct showing {
	struct logs *logs;
	const struct shown *shown;
};

static int show(const struct log_entry *entry, void *userdata, struct error *err)
{
	const struct showing *s = userdata;
	struct logs *l = s->logs;
	FILE *to = entry->is_err || s->shown->to_stderr ? stderr : stdout;

	if (!is_wanted(entry, l))
		return 0;
	/* two streams that end up in one place are to keep their order there */
	if (l->last && l->last != to)
		fflush(l->last);
	l->last = to;
	if (l->o->timestamps && entry->begins) {
		fwrite(entry->time, 1, entry->n_time, to);
		fputc(' ', to);
	}
	fwrite(entry->text, 1, entry->n_text, to);
	if (ferror(to))
		return error_set(err, CODE_INTERNAL, "%s: %s", to == stdout ? "stdout" : "stderr",
			strerror(errno));
	return 0;
}

static int show_all(struct logs *l, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n_shown; i++) {
		struct showing s = { l, &l->shown[i] };

		r = log_reader_read(l->shown[i].reader, show, &s, err);
	}
	fflush(stderr);
	if (r == 0)
		r = cli_flush(err);
	return r;
}

/* --- following --- */

struct following {
	int inotify_fd, stop_fd;
	struct client_wait *wait; /* NULL: there is nobody left to wait for */
	int64_t ended_at;	  /* monotonic; 0: it has not */
};

static int watch_folder(int inotify_fd, const char *path, struct error *err)
{
	_cleanup_free_ char *folder = strdup(path);

	if (!folder)
		return error_errno(err, -ENOMEM, "%s", path);
	*(strrchr(folder, '/') + (strrchr(folder, '/') == folder)) = '\0';
	if (inotify_add_watch(inotify_fd, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE) <
		0)
		return error_errno(err, -errno, "watch %s", folder);
	return 0;
}

static int begin_following(struct logs *l, struct following *f, struct error *err)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	int r = cli_catch_stop(&f->stop_fd, err);

	if (r != 0)
		return r;
	f->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->inotify_fd < 0)
		return error_errno(err, -errno, "follow");
	for (size_t i = 0; r == 0 && i < l->n_shown; i++)
		r = watch_folder(f->inotify_fd, log_reader_path(l->shown[i].reader), err);
	if (r == 0 && client_wait_begin(&l->cli->place, l->id, l->exec_id, &f->wait, &why) != 0)
		f->ended_at = clock_monotonic_ms(); /* it has gone meanwhile */
	return r;
}

static void look_at_end(struct following *f)
{
	_cleanup_error_ struct error why = ERROR_INIT;
	struct client_exit exit;

	if (!f->ended_at && client_wait_take(f->wait, 0, &exit, &why) != CODE_DEADLINE_EXCEEDED)
		f->ended_at = clock_monotonic_ms();
}

/* All that will ever come is there. */
static bool is_complete(const struct logs *l, const struct following *f)
{
	if (!f->ended_at)
		return false;
	if (clock_monotonic_ms() - f->ended_at > DRAIN_DEADLINE_MS)
		return true;
	for (size_t i = 0; i < l->n_shown; i++)
		if (log_reader_is_written(l->shown[i].reader))
			return false;
	return true;
}

/* False: we were told to stop. */
static bool wait_for_more(struct following *f)
{
	struct pollfd p[] = {
		{ .fd = f->inotify_fd, .events = POLLIN },
		{ .fd = f->stop_fd, .events = POLLIN },
		{ .fd = f->ended_at ? -1 : client_wait_fd(f->wait), .events = POLLIN },
	};
	char events[4096];

	poll(p, 3, f->ended_at ? LET_GO_MS : -1);
	while (read(f->inotify_fd, events, sizeof(events)) > 0)
		;
	return !p[1].revents;
}

static int follow(struct logs *l, struct following *f, struct error *err)
{
	for (;;) {
		bool complete;
		int r;

		look_at_end(f);
		complete = is_complete(l, f);
		r = show_all(l, err);
		if (r != 0 || complete || !wait_for_more(f))
			return r;
	}
}

static int run_following(struct logs *l, struct error *err)
{
	struct following f = { .inotify_fd = -1, .stop_fd = -1 };
	int r = begin_following(l, &f, err);

	if (r == 0)
		r = follow(l, &f, err);
	if (f.wait)
		client_wait_free(f.wait);
	fd_close(&f.inotify_fd);
	fd_close(&f.stop_fd);
	return r;
}

/* --- the command --- */

/* Names the process, for a sentence. */
static int whose(const struct logs *l, struct error *err)
{
	return *l->exec_id ? error_wrap(err, "container %s: exec %s", l->id, l->exec_id)
			   : error_wrap(err, "container %s", l->id);
}

static int no_log(const struct stdio_uri *u, struct error *err)
{
	if (u->scheme == STDIO_FIFO)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"has no log: its output goes to who reads the FIFO %s", u->path);
	if (u->scheme == STDIO_LOGGER)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"its output goes to a logging program, %s, which has it", u->path);
	return error_set(err, CODE_FAILED_PRECONDITION,
		"was created without --log: its output is not kept (--log cri:///PATH, json://, "
		"file:// of run, create and exec keep it)");
}

static int open_log(struct logs *l, const char *uri, bool is_err, struct error *err)
{
	_cleanup_stdio_uri_ struct stdio_uri u = STDIO_URI_INIT;
	struct shown *s = &l->shown[l->n_shown];
	enum log_kind kind;
	int r = stdio_uri_parse(uri, &u, err);

	if (r != 0)
		return r;
	if (u.scheme != STDIO_FILE && u.scheme != STDIO_LOG)
		return no_log(&u, err);
	s->is_plain = u.scheme == STDIO_FILE;
	s->to_stderr = s->is_plain && is_err;
	if (s->is_plain && (l->o->since || l->o->timestamps))
		return error_set(err, CODE_INVALID_ARGUMENT,
			"its log is %.1024s, which has no times: --since and --timestamps are for cri:// "
			"and json://",
			uri);
	kind = s->is_plain ? LOG_KIND_PLAIN : u.format == LOG_CRI ? LOG_KIND_CRI : LOG_KIND_JSON;
	r = log_reader_open(u.path, kind, &s->reader, err);
	if (r == 0)
		l->n_shown++;
	return r;
}

static int open_logs(struct logs *l, const struct uris *u, struct error *err)
{
	_cleanup_error_ struct error ignored = ERROR_INIT;
	int r = open_log(l, u->out, false, err);

	if (*u->err && strcmp(u->out, u->err) != 0) {
		/* one of them will do */
		if (r == CODE_FAILED_PRECONDITION) {
			error_clear(err);
			r = open_log(l, u->err, true, err);
		} else if (r == 0) {
			r = open_log(l, u->err, true, &ignored);
			if (r != CODE_FAILED_PRECONDITION && r != 0)
				error_move(err, &ignored);
			else
				r = 0;
		}
	}
	return r == 0 ? 0 : whose(l, err);
}

static int find_and_open(struct logs *l, struct error *err)
{
	struct asked asked = { .place = &l->cli->place, .id = l->id, .exec_id = l->exec_id };
	const struct client_look look = { make, take, drop, &asked };
	int r = client_look_one(&l->cli->place, l->id, &look, err);

	if (r == 0 && !asked.found->out)
		r = error_set(err, CODE_NOT_FOUND, "container %s: no exec %s", l->id, l->exec_id);
	else if (r == 0)
		r = open_logs(l, asked.found, err);
	uris_free(asked.found);
	return r;
}

static void complain_of_gap(const struct logs *l, const struct log_reader *reader)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!log_reader_has_gap(reader))
		return;
	error_set(&err, CODE_DATA_LOSS, "%s: older files were removed before they could be read",
		log_reader_path(reader));
	cli_complain(l->id, &err);
}

/* What could not be shown. */
static int tell_losses(const struct logs *l, struct error *err)
{
	for (size_t i = 0; i < l->n_shown; i++)
		complain_of_gap(l, l->shown[i].reader);
	for (size_t i = 0; i < l->n_shown; i++) {
		uint64_t n = log_reader_n_bad(l->shown[i].reader);

		if (n == 0)
			continue;
		error_set(err, CODE_DATA_LOSS, "%s: lines that are no record of its format: %llu",
			log_reader_path(l->shown[i].reader), (unsigned long long)n);
		return whose(l, err);
	}
	return 0;
}

static int run_logs(struct cli *cli, const void *options, int argc, char **argv, struct error *err)
{
	const struct logs_options *o = options;
	struct logs l = {
		.cli = cli, .o = o, .id = argv[0], .exec_id = o->exec_id ? o->exec_id : ""
	};
	int r = parse_since(o->since, &l.since, err);

	(void)argc;
	if (r == 0 && o->tail)
		r = parse_tail(o->tail, &l.tail, err);
	if (r == 0 && o->exec_id)
		r = id_check(o->exec_id, "exec id", err);
	if (r == 0)
		r = find_and_open(&l, err);
	for (size_t i = 0; r == 0 && o->tail && i < l.n_shown; i++)
		r = log_reader_tail(l.shown[i].reader, l.tail, is_wanted, &l, err);
	setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
	if (r == 0)
		r = o->follow ? run_following(&l, err) : show_all(&l, err);
	if (r == 0)
		r = tell_losses(&l, err);
	for (size_t i = 0; i < l.n_shown; i++)
		log_reader_free(l.shown[i].reader);
	return r;
}

const struct command command_logs = {
	.name = "logs",
	.group = GROUP_LOOK,
	.usage = "[OPTIONS] ID",
	.brief = "Print what a container wrote, from the log that it was created with (--log)",
	.more = "stdout's to stdout and stderr's to stderr, byte for byte, from the oldest file of a\n"
		"rotated log to the newest. A file:// log does not tell the streams apart, and has no\n"
		"times: --since and --timestamps need cri:// or json://.",
	.options = logs_option_table,
	.options_size = sizeof(struct logs_options),
	.n_min = 1,
	.n_max = 1,
	.run = run_logs,
};
