/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call in every state of init and exec. A line has the answer, the status afterwards, what the
 * call did where a user would look for that, and the events that came of it.
 */
#include "test/conformance/cells.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd.h"
#include "test/conformance/ask.h"
#include "test/conformance/state.h"

#define ALIVE_MS 600 /* how long something is watched that should not happen */
#define END_MS	 3000
#define LONG_MS	 5000 /* for what is sure to come, on a busy machine too */

#define N_CELLS (_CALL_MAX * _STATE_MAX * _WHO_MAX)
_Static_assert(N_CELLS == 17 * 6 * 2, "every call in every state of init and exec");

struct cell {
	enum task_call call;
	enum state state;
	enum who who;
};

static struct cell cell_of(size_t i)
{
	return (struct cell){ i / (_STATE_MAX * _WHO_MAX), i / _WHO_MAX % _STATE_MAX,
		i % _WHO_MAX };
}

bool matrix_name(size_t i, char ret[static CELL_NAME_MAX])
{
	const struct cell c = cell_of(i);

	if (i >= N_CELLS)
		return false;
	snprintf(ret, CELL_NAME_MAX, "%s %s %s", call_name(c.call), state_name(c.state),
		c.who == INIT ? "init" : "exec");
	return true;
}

/* --- what came of it --- */

static bool is_stopped(struct box *box, enum who who, int64_t timeout_ms, uint32_t *ret)
{
	_cleanup_answer_ struct answer a = { 0 };

	ask_begin(box, &(struct ask){ .call = CALL_WAIT, .who = who }, &a);
	if (!ask_await(box, &a, timeout_ms) || a.code != 0)
		return false;
	*ret = ((Containerd__Task__V2__WaitResponse *)a.message)->exit_status;
	return true;
}

static void print_end(struct box *box, enum who who, int64_t timeout_ms, FILE *f)
{
	uint32_t status;

	if (is_stopped(box, who, timeout_ms, &status))
		fprintf(f, "; ends with %u", status);
	else
		fputs("; lives on", f);
}

/* Makes the process run, if it does not yet: what was asked for before has to show then. */
static bool make_run(struct box *box, const struct cell *c)
{
	if (c->state == STATE_CREATED)
		return ask_for(box, CALL_START, c->who) == 0;
	if (c->state == STATE_PAUSED)
		return ask_for(box, CALL_RESUME, INIT) == 0;
	return c->state == STATE_RUNNING;
}

static void after_close_io(struct box *box, const struct cell *c, FILE *f)
{
	bool is_early = c->state == STATE_CREATED && c->who == EXEC;

	box->any_order = c->state == STATE_PAUSED; /* a thawed process ends when it likes */
	if (!make_run(box, c))
		return;
	/* of these cells, this is the one in which the reference's process lives on */
	print_end(box, c->who, is_early ? conform_watch_ms(box->conform) : LONG_MS, f);
	if (c->state == STATE_RUNNING)
		fprintf(f, "; then %s", ask_status(box, c->who));
}

struct asked {
	struct box *box;
	enum who who;
};

/* Its answer is the second line: the first is the echo of what was asked. */
static bool has_told_size(void *userdata)
{
	const struct asked *asked = userdata;
	const struct buf *seen = &asked->box->streams[asked->who].seen;
	const uint8_t *p;

	box_read(asked->box, asked->who);
	p = seen->len ? memchr(buf_head(seen), '\n', seen->len) : NULL;
	return p && memchr(p + 1, '\n', (size_t)(buf_head(seen) + seen->len - p - 1));
}

static void after_resize(struct box *box, const struct cell *c, FILE *f)
{
	struct asked asked = { box, c->who };
	const struct buf *seen = &box->streams[c->who].seen;

	if (!make_run(box, c))
		return;
	box_write(box, c->who, "\n");
	box_wait(box, has_told_size, &asked, LONG_MS);
	if (seen->len && memmem(buf_head(seen), seen->len, "40 100", 6))
		fputs("; size 40 100", f);
	else
		fputs("; another size", f);
}

/* The signal takes its time; a frozen exec is not reached before it is thawed. */
static void after_kill(struct box *box, const struct cell *c, FILE *f)
{
	bool is_frozen = c->state == STATE_PAUSED && c->who == EXEC;

	print_end(box, c->who, is_frozen ? ALIVE_MS : END_MS, f);
	fprintf(f, "; then %s", ask_status(box, c->who));
	if (!is_frozen || !make_run(box, c))
		return;
	box->any_order = true;
	fputs("; thawed", f);
	print_end(box, c->who, END_MS, f);
}

/* The limit that the kernel has now, in either version of cgroups. */
static void after_update(struct box *box, const struct cell *c, FILE *f)
{
	_cleanup_free_ char *path = format("/proc/%u/cgroup", box->pid[INIT]);
	_cleanup_buf_ struct buf groups = BUF_INIT, limit = BUF_INIT;
	_cleanup_free_ char *text = NULL, *limit_path = NULL;
	char *at;

	(void)c;
	fd_read_file(AT_FDCWD, path, &groups, 65536);
	text = format("%.*s", (int)groups.len, groups.len ? (const char *)buf_head(&groups) : "");
	at = strstr(text, ":pids:");
	at = at ? at + strlen(":pids:") : strstr(text, "0::");
	if (!at)
		return;
	at += strncmp(at, "0::", 3) == 0 ? 3 : 0;
	at[strcspn(at, "\n")] = '\0';
	limit_path =
		format("/sys/fs/cgroup%s%s/pids.max", strstr(text, ":pids:") ? "/pids" : "", at);
	fd_read_file(AT_FDCWD, limit_path, &limit, 64);
	fprintf(f, "; pids.max=%d", limit.len ? atoi((const char *)buf_head(&limit)) : -1);
}

static void after_exec(struct box *box, const struct cell *c, FILE *f)
{
	(void)c;
	fprintf(f, "; exec %s", ask_status(box, EXEC));
}

/* --- Wait: asked first, then the process ends --- */

static void run_wait(struct box *box, const struct cell *c, FILE *f)
{
	const struct ask wait = { .call = CALL_WAIT, .who = c->who };
	_cleanup_answer_ struct answer a = { 0 };

	ask_begin(box, &wait, &a);
	ask_for(box, CALL_CONNECT, INIT); /* answered after it, were it answered at once */
	if (!a.done && c->state <= STATE_PAUSED) {
		fputs("open; ", f);
		make_run(box, c);
		ask_for(box, CALL_KILL, c->who);
	}
	if (ask_await(box, &a, END_MS))
		answer_print(box, &a, f);
	else
		fputs("no answer", f);
}

/* --- the others: asked, then looked --- */

static bool shim_ended(void *userdata)
{
	struct box *box = userdata;

	return !pidref_exists(&box->shim) || ask_for(box, CALL_CONNECT, INIT) != 0;
}

static void run_shutdown(struct box *box, const struct cell *c, const struct answer *a, FILE *f)
{
	bool has_container = c->who == EXEC || c->state <= STATE_STOPPED;

	(void)a;
	if (has_container ? shim_ended(box) : box_wait(box, shim_ended, box, 5000))
		fputs("; shim ends", f);
	else
		fprintf(f, "; shim stays, %s", ask_status(box, c->who));
}

/* Calls that the process may have ended by at once, or not: its status is told after it has. */
static bool ends_process(const struct cell *c)
{
	return c->call == CALL_KILL || (c->call == CALL_CLOSE_IO && c->state == STATE_RUNNING);
}

static void run_call(struct box *box, const struct cell *c, FILE *f)
{
	static void (*const after[_CALL_MAX])(struct box *, const struct cell *, FILE *) = {
		[CALL_CLOSE_IO] = after_close_io,
		[CALL_RESIZE_PTY] = after_resize,
		[CALL_KILL] = after_kill,
		[CALL_UPDATE] = after_update,
		[CALL_EXEC] = after_exec,
	};
	_cleanup_answer_ struct answer a = { 0 };

	if (c->call == CALL_CLOSE_IO)
		box_close_input(box, c->who);
	ask(box, &(struct ask){ .call = c->call, .who = c->who }, &a);
	answer_print(box, &a, f);
	if (c->call == CALL_SHUTDOWN) {
		run_shutdown(box, c, &a, f);
		return;
	}
	if (a.code != 0 || !ends_process(c))
		fprintf(f, "; then %s", ask_status(box, c->who));
	if (a.code == 0 && after[c->call])
		after[c->call](box, c, f);
}

void matrix_run(struct conform *conform, size_t i, FILE *f)
{
	const struct cell c = cell_of(i);
	struct box *box = box_new(conform, c.call == CALL_RESIZE_PTY, NULL);
	_cleanup_free_ char *fault = state_enter(box, c.state, c.who), *left = NULL;

	if (fault)
		fprintf(f, "!%s", fault);
	else if (c.call == CALL_WAIT)
		run_wait(box, &c, f);
	else
		run_call(box, &c, f);
	left = box_end(box, f);
	if (left)
		fprintf(f, " !%s", left);
}
