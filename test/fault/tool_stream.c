/* SPDX-License-Identifier: Apache-2.0 */

/* The multi-tool's streams of bytes: copied, made, checked, counted. Everything goes straight to
 * the descriptor; a failed write ends the command with 1 (SIGPIPE ends the process before that). */

#include "test/fault/tool.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One size for all: a pipe's whole default capacity, and a multiple of the stream's word. */
#define CHUNK (64 * 1024)

/* Up to here a burst is made before the first byte of it is written. */
#define BURST_MAX (64 * 1024 * 1024)

static int copy_stdin(bool also_stderr)
{
	uint8_t data[CHUNK];

	for (;;) {
		ssize_t n = read_some(STDIN_FILENO, data, sizeof(data));
		int r = 0;

		if (n == 0)
			return 0;
		if (n < 0)
			return tool_fail("reading stdin: %s", strerror((int)-n));
		r = write_all(STDOUT_FILENO, data, (size_t)n);
		if (r == 0 && also_stderr)
			r = write_all(STDERR_FILENO, data, (size_t)n);
		if (r < 0)
			return tool_fail("writing: %s", strerror(-r));
	}
}

int tool_cat(int n_args, char **args)
{
	(void)n_args, (void)args;
	return copy_stdin(false);
}

int tool_tee2(int n_args, char **args)
{
	(void)n_args, (void)args;
	return copy_stdin(true);
}

static int write_stream(int fd, uint64_t seed, uint64_t n)
{
	struct random_stream random;
	uint8_t data[CHUNK];

	random_init(&random, seed);
	while (n > 0) {
		size_t part = n < sizeof(data) ? (size_t)n : sizeof(data);
		int r;

		random_fill(&random, data, part);
		r = write_all(fd, data, part);
		if (r < 0)
			return tool_fail("writing: %s", strerror(-r));
		n -= part;
	}
	return 0;
}

int tool_burst(int n_args, char **args)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint64_t n, fd = STDOUT_FILENO;
	struct random_stream random;
	int r;

	if (!parse_size(args[0], &n) || (n_args > 1 && (!parse_size(args[1], &fd) || fd > 65536)))
		return tool_fail("burst: not a number");
	if (n > BURST_MAX)
		return write_stream((int)fd, 1, n);
	data = malloc(n);
	if (!data)
		return tool_fail("burst: out of memory");
	random_init(&random, 1);
	random_fill(&random, data, n);
	r = write_all((int)fd, data, n);
	return r < 0 ? tool_fail("writing: %s", strerror(-r)) : 0;
}

int tool_random(int n_args, char **args)
{
	uint64_t seed, n;

	(void)n_args;
	if (!parse_size(args[0], &seed) || !parse_size(args[1], &n))
		return tool_fail("random: not a number");
	return write_stream(STDOUT_FILENO, seed, n);
}

/* Compares what was read, which begins at offset of the stream, with what was expected. */
static int compare(const uint8_t *got, const uint8_t *wanted, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++)
		if (got[i] != wanted[i])
			return tool_fail("check: byte %llu is 0x%02x, not 0x%02x",
				(unsigned long long)(offset + i), got[i], wanted[i]);
	return 0;
}

int tool_check(int n_args, char **args)
{
	uint8_t got[CHUNK], wanted[CHUNK];
	uint64_t seed, n, offset = 0;
	struct random_stream random;

	(void)n_args;
	if (!parse_size(args[0], &seed) || !parse_size(args[1], &n))
		return tool_fail("check: not a number");
	random_init(&random, seed);
	for (;;) {
		ssize_t part = read_some(STDIN_FILENO, got, sizeof(got));

		if (part < 0)
			return tool_fail("reading stdin: %s", strerror((int)-part));
		if (part == 0)
			break;
		if (offset + (uint64_t)part > n)
			return tool_fail("check: more than %llu bytes", (unsigned long long)n);
		random_fill(&random, wanted, (size_t)part);
		if (compare(got, wanted, (size_t)part, offset) != 0)
			return 1;
		offset += (uint64_t)part;
	}
	if (offset != n)
		return tool_fail("check: ended after %llu of %llu bytes",
			(unsigned long long)offset, (unsigned long long)n);
	return 0;
}

int tool_count_stdin(int n_args, char **args)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325), total = 0;
	uint8_t data[CHUNK];

	(void)n_args, (void)args;
	for (;;) {
		ssize_t n = read_some(STDIN_FILENO, data, sizeof(data));

		if (n < 0)
			return tool_fail("reading stdin: %s", strerror((int)-n));
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
		total += (uint64_t)n;
	}
	return emitf(STDOUT_FILENO, "%llu %016llx\n", (unsigned long long)total,
		       (unsigned long long)hash) < 0;
}

int tool_lines(int n_args, char **args)
{
	char data[CHUNK];
	size_t used = 0;
	uint64_t n;

	(void)n_args;
	if (!parse_size(args[0], &n))
		return tool_fail("lines: not a number");
	for (uint64_t i = 1; i <= n; i++) {
		used += (size_t)snprintf(
			data + used, sizeof(data) - used, "line %llu\n", (unsigned long long)i);
		if (used < sizeof(data) - 64 && i < n)
			continue;
		if (write_all(STDOUT_FILENO, data, used) < 0)
			return tool_fail("writing failed");
		used = 0;
	}
	return 0;
}

int tool_notify(int n_args, char **args)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[8192];
	size_t n = 0;

	if (!path || strlen(path) >= sizeof(sa.sun_path))
		return tool_fail("notify: NOTIFY_SOCKET is no path");
	strcpy(sa.sun_path, path);
	for (int i = 0; i < n_args && n < sizeof(text); i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s%s", i > 0 ? "\n" : "", args[i]);
	if (n >= sizeof(text))
		return tool_fail("notify: more than a datagram");
	if (fd < 0 || sendto(fd, text, n, 0, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return tool_fail("notify: %s: %s", path, strerror(errno));
	return 0;
}
