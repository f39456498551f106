/* SPDX-License-Identifier: Apache-2.0 */

/* How the scripted runtime tells: errors as runc 1.1 does, in its log and on stderr, and the
 * answers that a command promises on stdout. Nothing is kept open between two lines. */

#include "test/fault/fake_script.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void fake_time(char *ret, size_t n, bool nanoseconds)
{
	struct timespec now;
	struct tm tm;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used = strftime(ret, n, "%Y-%m-%dT%H:%M:%S", &tm);
	if (nanoseconds)
		used += (size_t)snprintf(ret + used, n - used, ".%09ld", now.tv_nsec);
	snprintf(ret + used, n - used, "Z");
}

/* A value as JSON, whatever bytes it has. The caller frees it. */
static char *quote(const char *text)
{
	json_t *value = json_stringn_nocheck(text, strlen(text));
	char *quoted = json_dumps(value, JSON_ENCODE_ANY);

	json_decref(value);
	return quoted;
}

static void write_line(struct fake *fake, int fd, const char *level, const char *message)
{
	_cleanup_free_ char *quoted = quote(message);
	char now[64];

	fake_time(now, sizeof(now), false);
	if (fake->log_json)
		(void)emitf(
			fd, "{\"level\":\"%s\",\"msg\":%s,\"time\":\"%s\"}\n", level, quoted, now);
	else
		(void)emitf(fd, "time=\"%s\" level=%s msg=%s\n", now, level, quoted);
}

static int open_log(const struct fake *fake)
{
	return open(fake->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

int fake_fail_bare(struct fake *fake, const char *message)
{
	_cleanup_close_ int log = fake->log ? open_log(fake) : -1;

	if (log >= 0) {
		write_line(fake, log, "error", message);
		(void)emitf(STDERR_FILENO, "%s\n", message);
	} else {
		write_line(fake, STDERR_FILENO, "error", message);
	}
	return fake->command ? fake->command->failure : 1;
}

int fake_fail(struct fake *fake, const char *format, ...)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0 ||
		asprintf(&message, "%s%s", fake->command ? fake->command->prefix : "", text) < 0)
		return 1;
	return fake_fail_bare(fake, message);
}

void fake_debug(struct fake *fake, const char *message)
{
	_cleanup_close_ int log = fake->log ? open_log(fake) : -1;

	if (fake->debug)
		write_line(fake, log >= 0 ? log : STDERR_FILENO, "debug", message);
}

int fake_promise(struct fake *fake, const char *text)
{
	size_t n = strlen(text);
	const char *other;
	int r;

	if (script_trait(fake, TRAIT_PRINT, &other))
		r = emitf(STDOUT_FILENO, "%s\n", other);
	else if (script_trait(fake, TRAIT_HALF_JSON, NULL))
		r = write_all(STDOUT_FILENO, text, n / 2);
	else
		r = write_all(STDOUT_FILENO, text, n);
	return r < 0 ? 1 : 0;
}

int fake_promise_json(struct fake *fake, const json_t *value, size_t flags)
{
	_cleanup_free_ char *text = json_dumps(value, flags);
	_cleanup_free_ char *line = NULL;

	if (!text || asprintf(&line, "%s\n", text) < 0)
		return 1;
	return fake_promise(fake, line);
}

int fake_write_file(const char *path, const char *text)
{
	_cleanup_free_ char *new = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (asprintf(&new, "%s.new-%d", path, (int)getpid()) < 0)
		return -ENOMEM;
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0 && rename(new, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(new);
	return r;
}
