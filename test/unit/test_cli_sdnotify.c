/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a container's words passes, and a systemd that does not read: everything comes, in order, and
 * nothing of ours waits for it. The rest is in test/integration/cli_sdnotify.bats.
 */
#include "supervisor/cli/sdnotify.h"

#include <errno.h>

#include "test/unit/unit.h"

static void passes(const char *text, size_t n, const char *wanted)
{
	struct buf got = BUF_INIT;

	assert_int_equal(sdnotify_filter(text, n, &got), 0);
	assert_int_equal(buf_append(&got, "", 1), 0);
	assert_string_equal((const char *)buf_head(&got), wanted);
	buf_deinit(&got);
}

#define PASSES(text, wanted) passes((text), sizeof(text) - 1, (wanted))

static void test_filter(void **state)
{
	(void)state;
	PASSES("READY=1", "READY=1");
	PASSES("READY=1\n", "READY=1");
	PASSES("\nSTOPPING=1\n\nWATCHDOG=1", "STOPPING=1\nWATCHDOG=1");
	PASSES("STATUS=a\tb\x1b c", "STATUS=a b  c");
	PASSES("STATUS=", "STATUS=");
	PASSES("STATUS=a\0READY=1", "STATUS=a READY=1");
	PASSES("", "");
	PASSES("READY=0\nREADY=10\nREADY=1 \n READY=1\nXREADY=1", "");
	PASSES("MAINPID=1\nFDSTORE=1\nWATCHDOG=trigger\nWATCHDOG_USEC=1\nRELOADING=1\nSTATUSX=1",
		"");
	PASSES("READY=1\0", "");
}

/* As long as a datagram may be, it is cut. */
static void test_long_status(void **state)
{
	char text[4096];
	struct buf got = BUF_INIT;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "STATUS=", 7);
	assert_int_equal(sdnotify_filter(text, sizeof(text), &got), 0);
	assert_int_equal(got.len, 7 + 1024 + 3);
	buf_deinit(&got);
}

/* --- a systemd that does not read --- */

static int make_socket(const char *path, int *ret_peer)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (ret_peer) {
		*ret_peer = fd;
		return connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	}
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void turn(struct event_base *base, int ms)
{
	const struct timeval tv = { 0, ms * 1000 };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static size_t receive(int fd, char text[static 8192])
{
	ssize_t n = recv(fd, text, 8191, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void test_slow(void **state)
{
	struct bed *bed = *state;
	struct event_base *base = event_base_new();
	struct sdnotify n = SDNOTIFY_INIT;
	struct error err = ERROR_INIT;
	int systemd, other, container, sent = 0, refused = 0, seen = 0;
	char path[128], text[8192], *rest;

	snprintf(path, sizeof(path), "%s/systemd", bed->path);
	systemd = make_socket(path, NULL);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_ok(sdnotify_init(&n, "container", "web", base, &err), &err);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_true(sdnotify_has_socket(&n));
	assert_ok(sdnotify_serve(&n, bed->dir, bed->path, &err), &err);
	/* systemd's queue is full of others' words, and ours waits */
	assert_int_equal(make_socket(path, &other), 0);
	while (send(other, "X", 1, 0) == 1)
		sent++;
	assert_int_equal(errno, EAGAIN);
	sdnotify_running(&n);
	turn(base, 10);
	/* the container's words wait in its own socket, up to what the kernel gives it */
	snprintf(path, sizeof(path), "%s/notify/notify.sock", bed->path);
	assert_int_equal(make_socket(path, &container), 0);
	for (int i = 0; i < 5000 && !refused; i++) {
		snprintf(text, sizeof(text), "STATUS=%d", i);
		refused = send(container, text, strlen(text), 0) < 0 ? i : 0;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_true(refused > 0);
	/* then it reads again, and gets all of it */
	while (receive(systemd, text) == 1)
		sent--;
	assert_int_equal(sent, 0);
	for (int i = 0; i < 100 && seen < refused; i++) {
		turn(base, 20);
		while (receive(systemd, text) > 0)
			for (char *line = strtok_r(text, "\n", &rest); line;
				line = strtok_r(NULL, "\n", &rest))
				if (strncmp(line, "STATUS=Container", 16) != 0)
					assert_int_equal(atoi(line + 7), seen++);
	}
	assert_int_equal(seen, refused);
	sdnotify_deinit(&n);
	sdnotify_deinit(&n);
	event_base_free(base);
	close(systemd);
	close(other);
	close(container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_long_status),
		bed_test(test_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
