/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output that goes to a logging program (binary://), also from a terminal: what the program is told,
 * and what it gets. It is a line of sh, in the URI itself, and keeps both in the box's folder.
 *
 * Subtle: from a terminal the program has a second pipe too, that nothing is written to. Whether that
 * one ends is not looked at: the reference forgets its other end until it exits.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd.h"
#include "test/conformance/ask.h"
#include "test/conformance/cells.h"
#include "test/conformance/state.h"

#define LONG_MS 5000
#define LOG_MAX 65536u
#define TALKS	"[\"sh\",\"-c\",\"echo one; echo two >&2; read x; echo over; echo over >&2; exit 3\"]"
#define PROGRAM                                                                                    \
	"trap '' TERM; cd %s; echo $CONTAINER_ID $CONTAINER_NAMESPACE >log-told; exec 5>&-; "      \
	"cat <&3 >log-out 4<&- & cat <&4 >log-err 3<&- & exec 3<&- 4<&-; wait"

/* binary:///bin/sh?-c=PROGRAM */
static char *make_uri(const struct box *box)
{
	_cleanup_free_ char *program = format(PROGRAM, box->dir);
	char *uri = format("binary:///bin/sh?-c=");

	for (const char *p = program; *p; p++) {
		_cleanup_free_ char *so_far = uri;

		uri = format(isalnum((unsigned char)*p) ? "%s%c" : "%s%%%02X", so_far, *p);
	}
	return uri;
}

static bool start(struct box *box, enum who who, FILE *f)
{
	_cleanup_free_ char *process = box_process(box, TALKS), *uri = make_uri(box);
	_cleanup_free_ char *fault = NULL;
	_cleanup_answer_ struct answer a = { 0 };
	const struct ask make = {
		.call = who == INIT ? CALL_CREATE : CALL_EXEC, .log = uri, .json = process
	};

	if (who == EXEC)
		fault = state_enter(box, STATE_RUNNING, INIT);
	if (!fault && ask(box, &make, &a) == 0 && ask_for(box, CALL_START, who) == 0)
		return true;
	fprintf(f, "!%s", fault ? fault : a.words ? a.words : "it could not be started");
	return false;
}

/* Text with an end; empty where there is no such file. */
static struct buf read_log(const struct box *box, const char *name)
{
	_cleanup_free_ char *path = format("%s/%s", box->dir, name);
	struct buf text = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &text, LOG_MAX) < 0)
		buf_deinit(&text);
	if (buf_append(&text, "", 1) < 0)
		die("no memory");
	return text;
}

static bool has(const struct box *box, const char *name, const char *words)
{
	_cleanup_buf_ struct buf text = read_log(box, name);

	return strstr((const char *)buf_head(&text), words) != NULL;
}

/* A terminal makes one of both outputs. */
static bool has_asked(void *userdata)
{
	const struct box *box = userdata;

	return has(box, box->terminal ? "log-out" : "log-err", "two");
}

static bool has_all(void *userdata)
{
	const struct box *box = userdata;

	return box->terminal ? has(box, "log-out", "over\r\nover\r\n")
			     : has(box, "log-out", "over\n") && has(box, "log-err", "over\n");
}

static void print_log(const struct box *box, const char *words, const char *name, FILE *f)
{
	_cleanup_buf_ struct buf text = read_log(box, name);
	const char *p = (const char *)buf_head(&text);

	fprintf(f, ", %s %s", words, *p ? "" : "nothing");
	if (strncmp(p, box->id, strlen(box->id)) == 0) {
		fputs("ID", f);
		p += strlen(box->id);
	}
	for (; *p; p++) {
		if (*p == '\n' || *p == '\r')
			fputs(*p == '\n' ? "\\n" : "\\r", f);
		else
			fputc(*p, f);
	}
}

static void to_program(struct box *box, enum who who, FILE *f)
{
	_cleanup_answer_ struct answer w = { 0 }, d = { 0 };

	if (!start(box, who, f))
		return;
	box_wait(box, has_asked, box, LONG_MS);
	box_write(box, who, "x\n");
	ask(box, &(struct ask){ .call = CALL_WAIT, .who = who }, &w);
	answer_print(box, &w, f);
	ask(box, &(struct ask){ .call = CALL_DELETE, .who = who }, &d);
	fprintf(f, ", deleted %s", code_name(d.code));
	box_wait(box, has_all, box, LONG_MS);
	print_log(box, "told", "log-told", f);
	print_log(box, "stdout", "log-out", f);
	print_log(box, "stderr", "log-err", f);
}

const struct scenario scenarios_logger[] = {
	{ "stdio logger", INIT, .command = TALKS, .run = to_program },
	{ "stdio logger", EXEC, .run = to_program },
	{ "terminal logger", INIT, true, .command = TALKS, .run = to_program },
	{ "terminal logger", EXEC, true, .run = to_program },
	{ 0 },
};
