/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes through a process's streams: FIFOs, a terminal, nothing; the end of input; sizes.
 * Everything that was written is compared.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "test/conformance/ask.h"
#include "test/conformance/cells.h"
#include "test/conformance/state.h"

#define MUCH	(1u << 20)
#define LONG_MS 5000

/* Creates and starts the process that a scenario is about, with a command. */
static bool start(struct box *box, enum who who, const char *command, bool no_streams, FILE *f)
{
	_cleanup_free_ char *process = box_process(box, command);
	_cleanup_free_ char *fault = NULL;
	_cleanup_answer_ struct answer a = { 0 };
	const struct ask make = { .call = who == INIT ? CALL_CREATE : CALL_EXEC,
		.no_streams = no_streams,
		.json = process };

	if (who == EXEC)
		fault = state_enter(box, STATE_RUNNING, INIT);
	if (!fault && ask(box, &make, &a) == 0 && ask_for(box, CALL_START, who) == 0)
		return true;
	fprintf(f, "!%s", fault ? fault : "it could not be started");
	return false;
}

static void print_text(const char *name, const struct buf *seen, FILE *f)
{
	fprintf(f, ", %s ", name);
	for (size_t i = 0; i < seen->len; i++) {
		char c = (char)buf_head(seen)[i];

		if (c == '\n')
			fputs("\\n", f);
		else if (c == '\r')
			fputs("\\r", f);
		else
			fputc(c, f);
	}
	if (seen->len == 0)
		fputs("nothing", f);
}

/* The end and what was said, looked at after Delete, which waits for the last byte. */
static void print_end(struct box *box, enum who who, FILE *f)
{
	_cleanup_answer_ struct answer w = { 0 }, d = { 0 };

	ask(box, &(struct ask){ .call = CALL_WAIT, .who = who }, &w);
	answer_print(box, &w, f);
	ask(box, &(struct ask){ .call = CALL_DELETE, .who = who }, &d);
	fprintf(f, ", deleted %s", code_name(d.code));
	box_read(box, who);
	print_text("stdout", &box->streams[who].seen, f);
	print_text("stderr", &box->streams[who].seen_err, f);
}

#define TALKS "[\"sh\",\"-c\",\"cat; echo done >&2; exit 3\"]"

static void through_fifos(struct box *box, enum who who, FILE *f)
{
	if (!start(box, who, TALKS, false, f))
		return;
	box_write(box, who, "hello\nworld");
	box_await_output(box, who, "world", LONG_MS);
	box_close_input(box, who);
	ask_for(box, CALL_CLOSE_IO, who);
	print_end(box, who, f);
}

/* Written before anybody reads it, and the end of input right after. */
static void queued_input(struct box *box, enum who who, FILE *f)
{
	if (!start(box, who, TALKS, false, f))
		return;
	box_write(box, who, "queued");
	box_close_input(box, who);
	ask_for(box, CALL_CLOSE_IO, who);
	print_end(box, who, f);
}

struct flow {
	struct box *box;
	enum who who;
	size_t n_written;
	uint8_t *bytes;
};

static bool has_flown(void *userdata)
{
	struct flow *flow = userdata;
	struct streams *s = &flow->box->streams[flow->who];
	ssize_t n = flow->n_written < MUCH
			    ? write(s->in_fd, flow->bytes + flow->n_written, MUCH - flow->n_written)
			    : 0;

	flow->n_written += n > 0 ? (size_t)n : 0;
	box_read(flow->box, flow->who);
	return s->seen.len >= MUCH;
}

static void much(struct box *box, enum who who, FILE *f)
{
	_cleanup_free_ uint8_t *bytes = malloc(MUCH);
	struct flow flow = { box, who, 0, bytes };
	struct buf *seen = &box->streams[who].seen;

	for (size_t i = 0; i < MUCH; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	if (!start(box, who, "[\"cat\"]", false, f))
		return;
	box_wait(box, has_flown, &flow, BOX_MS);
	fprintf(f, "%zu bytes, %s", seen->len,
		seen->len == MUCH && memcmp(buf_head(seen), bytes, MUCH) == 0 ? "as written"
									      : "not as written");
}

static void no_streams(struct box *box, enum who who, FILE *f)
{
	if (start(box, who, TALKS, true, f))
		print_end(box, who, f);
}

#define ON_TERMINAL "[\"sh\",\"-c\",\"tty; echo done >&2; read x; exit 4\"]"

static void on_terminal(struct box *box, enum who who, FILE *f)
{
	if (!start(box, who, ON_TERMINAL, false, f))
		return;
	box_await_output(box, who, "done", LONG_MS);
	box_write(box, who, "x\n");
	print_end(box, who, f);
}

/* ^D typed: a terminal's own end of input. */
static void terminal_eof(struct box *box, enum who who, FILE *f)
{
	if (!start(box, who, "[\"cat\"]", false, f))
		return;
	box_write(box, who, "line\n");
	box_await_output(box, who, "line\r\nline", LONG_MS);
	box_write(box, who, "\004");
	print_end(box, who, f);
}

static void unsized_terminal(struct box *box, enum who who, FILE *f)
{
	if (start(box, who, "[\"stty\",\"size\"]", false, f))
		print_end(box, who, f);
}

static void resize_without(struct box *box, enum who who, FILE *f)
{
	_cleanup_free_ char *fault = state_enter(box, STATE_RUNNING, who);
	_cleanup_answer_ struct answer a = { 0 };

	if (fault) {
		fprintf(f, "!%s", fault);
		return;
	}
	ask(box, &(struct ask){ .call = CALL_RESIZE_PTY, .who = who }, &a);
	answer_print(box, &a, f);
	fprintf(f, "; then %s", ask_status(box, who));
}

static void close_twice(struct box *box, enum who who, FILE *f)
{
	_cleanup_answer_ struct answer a = { 0 };

	if (!start(box, who, TALKS, false, f))
		return;
	box_close_input(box, who);
	ask_for(box, CALL_CLOSE_IO, who);
	ask(box, &(struct ask){ .call = CALL_CLOSE_IO, .who = who }, &a);
	answer_print(box, &a, f);
	fputs(", ", f);
	print_end(box, who, f);
}

/* The client keeps its end open: what is said is then CloseIO's doing alone. */
static void close_with_writer(struct box *box, enum who who, enum state state, FILE *f)
{
	_cleanup_free_ char *fault = state_enter(box, state, who);
	_cleanup_answer_ struct answer a = { 0 }, w = { 0 };

	if (fault) {
		fprintf(f, "!%s", fault);
		return;
	}
	box_write(box, who, "queued");
	ask(box, &(struct ask){ .call = CALL_CLOSE_IO, .who = who }, &a);
	answer_print(box, &a, f);
	if (state == STATE_CREATED)
		ask_for(box, CALL_START, who);
	ask_begin(box, &(struct ask){ .call = CALL_WAIT, .who = who }, &w);
	fputs(", wait ", f);
	if (ask_await(box, &w, conform_watch_ms(box->conform)))
		answer_print(box, &w, f);
	else
		fputs("stays open", f);
	box_await_output(box, who, "queued", LONG_MS);
	print_text("stdout", &box->streams[who].seen, f);
}

static void close_running(struct box *box, enum who who, FILE *f)
{
	close_with_writer(box, who, STATE_RUNNING, f);
}

static void close_early(struct box *box, enum who who, FILE *f)
{
	close_with_writer(box, who, STATE_CREATED, f);
}

const struct scenario scenarios_streams[] = {
	{ "stdio fifo", INIT, .command = TALKS, .run = through_fifos },
	{ "stdio fifo", EXEC, .run = through_fifos },
	{ "stdio queued", INIT, .command = TALKS, .run = queued_input },
	{ "stdio queued", EXEC, .run = queued_input },
	{ "stdio much", INIT, .run = much },
	{ "stdio much", EXEC, .run = much },
	{ "stdio none", INIT, .command = TALKS, .run = no_streams },
	{ "stdio none", EXEC, .run = no_streams },
	{ "terminal talk", INIT, true, .command = ON_TERMINAL, .run = on_terminal },
	{ "terminal talk", EXEC, true, .run = on_terminal },
	{ "terminal end-of-input", INIT, true, .command = "[\"cat\"]", .run = terminal_eof },
	{ "terminal end-of-input", EXEC, true, .run = terminal_eof },
	{ "terminal no-size", INIT, true, .command = "[\"stty\",\"size\"]",
		.run = unsized_terminal },
	{ "terminal no-size", EXEC, true, .run = unsized_terminal },
	{ "ResizePty no-terminal", INIT, .run = resize_without },
	{ "ResizePty no-terminal", EXEC, .run = resize_without },
	{ "CloseIO twice", INIT, .command = TALKS, .run = close_twice },
	{ "CloseIO twice", EXEC, .run = close_twice },
	{ "CloseIO alone", INIT, .run = close_running },
	{ "CloseIO alone", EXEC, .run = close_running },
	{ "CloseIO alone-early", INIT, .run = close_early },
	{ "CloseIO alone-early", EXEC, .run = close_early },
	{ 0 },
};
