/* SPDX-License-Identifier: Apache-2.0 */
#include "test/fault/util.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void wait_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	(void)poll(&p, 1, -1);
}

int write_all(int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done >= 0) {
			p += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) {
			wait_ready(fd, POLLOUT);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

ssize_t read_some(int fd, void *data, size_t n)
{
	for (;;) {
		ssize_t got = read(fd, data, n);

		if (got >= 0)
			return got;
		if (errno == EIO)
			return 0;
		if (errno == EAGAIN)
			wait_ready(fd, POLLIN);
		else if (errno != EINTR)
			return -errno;
	}
}

int emitf(int fd, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return write_all(fd, text, (size_t)n);
}

void random_init(struct random_stream *random, uint64_t seed)
{
	const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15);

	*random = (struct random_stream){ .state = seed * golden };
	if (random->state == 0)
		random->state = golden;
}

static uint64_t random_next(struct random_stream *random)
{
	uint64_t x = random->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return random->state = x;
}

static void put_word(uint8_t *p, uint64_t word)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(word >> (8 * i));
}

void random_fill(struct random_stream *random, uint8_t *data, size_t n)
{
	while (n > 0) {
		if (random->n_left == 0 && n >= 8) {
			put_word(data, random_next(random));
			data += 8;
			n -= 8;
			continue;
		}
		if (random->n_left == 0) {
			put_word(random->word, random_next(random));
			random->n_left = 8;
		}
		*data++ = random->word[8 - random->n_left--];
		n--;
	}
}

bool parse_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "KMG";
	char *end;
	uint64_t n;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	if (*end != '\0') {
		const char *unit = strchr(units, *end);

		if (!unit || end[1] != '\0')
			return false;
		n <<= 10 * (unit - units + 1);
	}
	*ret_size = n;
	return true;
}

bool parse_signal(const char *text, int *ret_signal)
{
	uint64_t n;

	if (parse_size(text, &n)) {
		if (n < 1 || n > 64)
			return false;
		*ret_signal = (int)n;
		return true;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	if (strncasecmp(text, "RTMIN+", 6) == 0) {
		if (!parse_size(text + 6, &n) || n > 30)
			return false;
		*ret_signal = 34 + (int)n;
		return true;
	}
	for (int i = 1; i < 32; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0) {
			*ret_signal = i;
			return true;
		}
	}
	return false;
}

int touch_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0 || futimens(fd, NULL) < 0)
		return -errno;
	return 0;
}

int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Watches the folder that the path will appear in. -1 where it can't be watched. */
static int watch_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = !slash	      ? strdup(".")
				      : slash == path ? strdup("/")
						      : strndup(path, (size_t)(slash - path));
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (!folder || fd < 0 ||
		inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) < 0)
		return -1;
	return TAKE_FD(fd);
}

int wait_for_file(const char *path, int deadline_ms)
{
	_cleanup_close_ int watch = watch_folder(path);
	int64_t end = monotonic_ms() + deadline_ms;
	char events[4096];

	for (;;) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		int64_t left = end - monotonic_ms();

		if (access(path, F_OK) == 0)
			return 0;
		if (left <= 0)
			return -ETIMEDOUT;
		(void)poll(&p, 1, left < 200 ? (int)left : 200);
		if (watch >= 0 && read(watch, events, sizeof(events)) < 0 && errno != EAGAIN &&
			errno != EINTR)
			return -errno;
	}
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* The numbers of /proc/self/fd, sorted, without the descriptor that reads it. */
static int read_fd_numbers(int *numbers, size_t n_max, size_t *ret_n)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t n = 0;

	if (!d)
		return -errno;
	while ((entry = readdir(d))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(d))
			continue;
		if (n == n_max)
			return -E2BIG;
		numbers[n++] = fd;
	}
	qsort(numbers, n, sizeof(numbers[0]), compare_ints);
	*ret_n = n;
	return 0;
}

int list_fds(char **ret_text)
{
	int numbers[4096];
	size_t n = 0, size = 0;
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *out = NULL;
	int r = read_fd_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]), &n);

	if (r < 0)
		return r;
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		char link[64], target[PATH_MAX];
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", numbers[i]);
		len = readlink(link, target, sizeof(target));
		if (len < 0)
			return -errno;
		fprintf(out, "%d %.*s\n", numbers[i], (int)len, target);
	}
	if (fclose(TAKE_PTR(out)) != 0)
		return -ENOMEM;
	*ret_text = TAKE_PTR(text);
	return 0;
}
