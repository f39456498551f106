/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending boxes. Ends only what it started, by descriptors of processes: a shim that does
 * not end in order is killed, its container removed by the runtime, and that is told as a fault.
 */
#include "test/conformance/box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/file.h"
#include "test/conformance/ask.h"
#include "test/conformance/launch.h"
#include "test/conformance/leftovers.h"
#include "test/conformance/sink.h"

#define END_MS 10000

bool box_wait(struct box *box, bool (*holds)(void *userdata), void *userdata, int64_t timeout_ms)
{
	int64_t left = box->deadline - clock_monotonic_ms();

	return conform_wait(box->conform, holds, userdata, left < timeout_ms ? left : timeout_ms);
}

/* --- the bundle --- */

const char *box_command(const struct box *box)
{
	return box->terminal ? "[\"sh\",\"-c\",\"while read x; do stty size; done\"]" : "[\"cat\"]";
}

char *box_process(const struct box *box, const char *command)
{
	return format("{\"terminal\":%s,\"args\":%s,\"cwd\":\"/\",\"env\":[\"PATH=/bin\","
		      "\"TERM=dumb\"],\"user\":{\"uid\":0,\"gid\":0},\"noNewPrivileges\":true}",
		box->terminal ? "true" : "false", command);
}

void box_config(struct box *box, const char *command)
{
	_cleanup_free_ char *process = box_process(box, command);
	_cleanup_free_ char *path = format("%s/config.json", box->dir);
	_cleanup_free_ char *text = format(
		"{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"%s\",\"readonly\":"
		"true},\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":"
		"\"proc\"},{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
		"\"options\":[\"nosuid\",\"mode=755\"]},{\"destination\":\"/dev/pts\",\"type\":"
		"\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\",\"ptmxmode=0666\"]"
		"}],\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]}}",
		process, box->conform->rootfs);

	if (file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644) < 0)
		die("%s: cannot be written", path);
}

static void make_fifo(const char *path)
{
	if (mkfifo(path, 0600) < 0)
		die("%s: %m", path);
}

/* What containerd has in a bundle besides: a folder for the shim's work. */
static void make_work(const struct box *box)
{
	_cleanup_free_ char *path = format("%s/work", box->dir);

	if (mkdir(path, 0700) < 0)
		die("%s: %m", path);
}

static void make_streams(struct box *box, enum who who)
{
	struct streams *s = &box->streams[who];
	const char *name = who == INIT ? "init" : "exec";

	s->in = format("%s/%s-in", box->dir, name);
	s->out = format("%s/%s-out", box->dir, name);
	s->err = format("%s/%s-err", box->dir, name);
	s->in_fd = s->out_fd = s->err_fd = -1;
	s->seen = s->seen_err = BUF_INIT;
	make_fifo(s->in);
	make_fifo(s->out);
	make_fifo(s->err);
	box_open_streams(box, who);
}

/* containerd has made the FIFO for the shim's log, and reads it. */
static void make_log(struct box *box)
{
	_cleanup_free_ char *path = format("%s/log", box->dir);

	make_fifo(path);
	box->log_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

/* --- the shim --- */

static void connect_to(struct box *box)
{
	_cleanup_answer_ struct answer a = { 0 };
	_cleanup_error_ struct error err = ERROR_INIT;

	if (ttrpc_client_connect(box->socket, box->conform->base, &box->client, &err) != 0)
		die("%s", error_message(&err));
	if (ask(box, &(struct ask){ .call = CALL_CONNECT }, &a) != 0)
		die("Connect: %s", a.words);
	if (pidref_open((pid_t)((Containerd__Task__V2__ConnectResponse *)a.message)->shim_pid,
		    &box->shim) < 0)
		die("the shim of %s is gone", box->id);
}

struct box *box_new(struct conform *conform, bool terminal, const char *command)
{
	struct box *box = calloc(1, sizeof(*box));
	unsigned n = ++conform->n_boxes;

	if (!box)
		die("no memory");
	box->conform = conform;
	box->terminal = terminal;
	box->id = format("%s-%u", strrchr(conform->dir, '/') + 1, n);
	box->dir = format("%s/b/%s", conform->dir, box->id);
	box->shim = PIDREF_INIT;
	box->log_fd = -1;
	if (mkdir(box->dir, 0711) < 0)
		die("%s: %m", box->dir);
	box_config(box, command ? command : box_command(box));
	make_streams(box, INIT);
	make_streams(box, EXEC);
	make_log(box);
	make_work(box);
	sink_begin(conform->sink, &(struct sink_subject){ box->id, EXEC_ID, box->dir });
	box->deadline = clock_monotonic_ms() + BOX_MS;
	box->socket = launch(conform, box->id, box->dir);
	if (!box->socket)
		die("no shim could be started");
	connect_to(box);
	return box;
}

struct count {
	const struct sink *sink;
	size_t n;
};

static bool has_events(void *userdata)
{
	const struct count *count = userdata;

	return sink_count(count->sink) >= count->n;
}

bool box_expect_events(struct box *box, size_t n)
{
	struct count count = { box->conform->sink, n };

	box->n_setup = n;
	return box_wait(box, has_events, &count, 5000);
}

/* --- streams --- */

void box_open_streams(struct box *box, enum who who)
{
	struct streams *s = &box->streams[who];
	const int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;

	/* both ends: no cell depends on who opens first */
	s->in_fd = open(s->in, flags);
	s->out_fd = open(s->out, flags);
	s->err_fd = open(s->err, flags);
	if (s->in_fd < 0 || s->out_fd < 0 || s->err_fd < 0)
		die("%s: %m", s->in);
}

void box_close_input(struct box *box, enum who who)
{
	fd_close(&box->streams[who].in_fd);
}

void box_write(struct box *box, enum who who, const char *text)
{
	if (write(box->streams[who].in_fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s: %m", box->streams[who].in);
}

static void read_some(int fd, struct buf *seen)
{
	for (;;) {
		uint8_t *at = buf_reserve(seen, 4096);
		ssize_t n = at ? read(fd, at, 4096) : -1;

		if (n <= 0)
			return;
		buf_commit(seen, (size_t)n);
	}
}

void box_read(struct box *box, enum who who)
{
	read_some(box->streams[who].out_fd, &box->streams[who].seen);
	read_some(box->streams[who].err_fd, &box->streams[who].seen_err);
}

struct wanted {
	struct box *box;
	enum who who;
	const char *text;
};

static bool has_text(void *userdata)
{
	const struct wanted *w = userdata;
	const struct buf *seen = &w->box->streams[w->who].seen;

	box_read(w->box, w->who);
	return seen->len && memmem(buf_head(seen), seen->len, w->text, strlen(w->text));
}

bool box_await_output(struct box *box, enum who who, const char *text, int64_t timeout_ms)
{
	struct wanted w = { box, who, text };

	return box_wait(box, has_text, &w, timeout_ms);
}

/* --- the end --- */

static void expect_tail(struct box *box, const char *word)
{
	if (box->n_tail < BOX_TAIL)
		box->tail[box->n_tail++] = word;
}

static bool kill_and_wait(struct box *box, enum who who)
{
	if (ask_for(box, CALL_KILL, who) != 0 || ask_for(box, CALL_WAIT, who) != 0)
		return false;
	expect_tail(box, who == INIT ? "exit:init=137" : "exit:exec=137");
	return true;
}

static void end_exec(struct box *box)
{
	const char *status = ask_status(box, EXEC);

	if (strcmp(status, "running") == 0)
		kill_and_wait(box, EXEC);
	if (strcmp(status, "NOT_FOUND") == 0 || ask_for(box, CALL_DELETE, EXEC) != 0)
		return;
	if (launch_tells_exec_delete(box->conform))
		expect_tail(box, "delete:exec=");
}

/* By Task, in the order that leaves the events of the end known. */
static void end_container(struct box *box)
{
	const char *status = ask_status(box, INIT);

	if (strcmp(status, "paused") == 0 && ask_for(box, CALL_RESUME, INIT) == 0)
		expect_tail(box, "resumed");
	if (strcmp(status, "NOT_FOUND") != 0) {
		end_exec(box);
		if (strcmp(status, "stopped") != 0)
			kill_and_wait(box, INIT);
		if (ask_for(box, CALL_DELETE, INIT) == 0)
			expect_tail(box, "delete:init=");
	}
	ask_for(box, CALL_SHUTDOWN, INIT);
}

static bool shim_is_gone(void *userdata)
{
	struct box *box = userdata;
	struct pollfd p = { .fd = box->shim.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* False for a shim that had to be killed. */
static bool end_shim(struct box *box)
{
	if (conform_wait(box->conform, shim_is_gone, box, END_MS))
		return true;
	pidref_signal(&box->shim, SIGKILL);
	conform_wait(box->conform, shim_is_gone, box, END_MS);
	return false;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether the last events are those of our own end. */
static bool has_tail(const struct box *box)
{
	const struct sink *sink = box->conform->sink;
	size_t n = sink_count(sink);
	bool has = n >= box->n_setup + box->n_tail;

	for (size_t i = 0; has && i < box->n_tail; i++) {
		const char *word = sink_word(sink, n - box->n_tail + i);

		has = strncmp(word, box->tail[i], strlen(box->tail[i])) == 0;
	}
	return has;
}

static void print_events(const struct box *box, FILE *f)
{
	const struct sink *sink = box->conform->sink;
	bool is_whole = has_tail(box);
	size_t end = sink_count(sink) - (is_whole ? box->n_tail : 0), n = 0;
	const char *words[SINK_EVENTS];

	for (size_t i = box->n_setup; i < end; i++)
		words[n++] = sink_word(sink, i);
	if (box->any_order)
		qsort(words, n, sizeof(*words), compare_words);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%s", i ? "," : "; ", words[i]);
	if (!is_whole)
		fputs("; !end", f);
}

static void free_box(struct box *box)
{
	ttrpc_client_free(box->client);
	pidref_close(&box->shim);
	for (int who = INIT; who < _WHO_MAX; who++) {
		struct streams *s = &box->streams[who];

		fd_close(&s->in_fd);
		fd_close(&s->out_fd);
		fd_close(&s->err_fd);
		buf_deinit(&s->seen);
		buf_deinit(&s->seen_err);
		free(s->in);
		free(s->out);
		free(s->err);
	}
	fd_close(&box->log_fd);
	remove_tree(AT_FDCWD, box->dir);
	free(box->socket);
	free(box->dir);
	free(box->id);
	free(box);
}

char *box_end(struct box *box, FILE *events)
{
	struct conform *conform = box->conform;
	bool was_ended = conform->ended, in_order;
	char *fault;

	conform->ended = false; /* also whoever is interrupted leaves nothing */
	box->deadline = clock_monotonic_ms() + BOX_MS;
	end_container(box);
	in_order = end_shim(box);
	print_events(box, events);
	if (!in_order)
		fputs(" !the shim did not end", events);
	fault = leftovers_remove(box);
	sink_begin(conform->sink, &(struct sink_subject){ "", "", "" });
	free_box(box);
	conform->ended = conform->ended || was_ended;
	return fault;
}
