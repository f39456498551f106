/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats a log line into a bounded buffer and writes it with one write(2). Never allocates and
 * never waits. Subtle: values are quoted and escaped unless they are plain words, so a container
 * cannot forge a line through a name that we log.
 */
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define LINE_MAX_BYTES 2048

static enum log_level the_level = LOG_LEVEL_INFO;
static int the_fd = STDERR_FILENO;

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

void log_init(enum log_level level, int fd)
{
	the_level = level;
	the_fd = fd;
}

bool log_enabled(enum log_level level)
{
	return the_fd >= 0 && level >= the_level;
}

static void line_put(struct line *l, const char *s, size_t n)
{
	/* room is kept for the newline; what does not fit is cut */
	size_t room = sizeof(l->text) - 1 - l->len;

	if (n > room)
		n = room;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void line_puts(struct line *l, const char *s)
{
	line_put(l, s, strlen(s));
}

static bool is_plain(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._/@^+:";

	return *s && s[strspn(s, plain)] == '\0';
}

static void line_quote(struct line *l, const char *s)
{
	line_puts(l, "\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[5];

		if (c == '\n')
			line_puts(l, "\\n");
		else if (c == '"' || c == '\\')
			line_put(l, (char[]){ '\\', (char)c }, 2);
		else if (c < 0x20 || c == 0x7f)
			line_put(l, esc, (size_t)snprintf(esc, sizeof(esc), "\\x%02x", c));
		else
			line_put(l, s, 1);
	}
	line_puts(l, "\"");
}

static void line_value(struct line *l, const char *s)
{
	if (is_plain(s))
		line_puts(l, s);
	else
		line_quote(l, s);
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
	static const char *const names[_LOG_LEVEL_MAX] = { "debug", "info", "warning", "error" };
	struct line l = { .len = 0 };
	char stamp[CLOCK_TEXT_MAX];
	int saved = errno;

	clock_format(clock_now(), stamp);
	line_puts(&l, "time=\"");
	line_puts(&l, stamp);
	line_puts(&l, "\" level=");
	line_puts(&l, names[level]);
	line_puts(&l, " msg=");
	line_quote(&l, msg);
	for (; fields->key; fields++) {
		char number[24];

		line_puts(&l, " ");
		line_puts(&l, fields->key);
		line_puts(&l, "=");
		if (fields->text) {
			line_value(&l, fields->text);
		} else {
			snprintf(number, sizeof(number), "%lld", fields->number);
			line_puts(&l, number);
		}
	}
	l.text[l.len++] = '\n';
	/* a log that cannot be written has nobody to be told about it */
	if (write(the_fd, l.text, l.len) < 0)
		errno = saved;
	errno = saved;
}
