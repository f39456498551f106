/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd would get from cleatd, on a socket that stands in for its own, and what is taken from it. */
#include "supervisor/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "test/unit/unit.h"

/* A datagram socket at PATH/notify that NOTIFY_SOCKET names. */
static int systemd_begin(const struct bed *bed)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", bed->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", sa.sun_path, 1), 0);
	return fd;
}

static void assert_told(int fd, const char *wanted)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	assert_string_equal(text, wanted);
}

static void assert_nothing_told(int fd)
{
	char c;

	assert_int_equal(recv(fd, &c, 1, 0), -1);
}

static void assert_clean_environment(void)
{
	static const char *const gone[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" };

	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
		assert_null(getenv(gone[i]));
}

static void test_words(void **state)
{
	struct notify n = NOTIFY_INIT;
	int fd = systemd_begin(*state);
	char text[64];
	long long us;

	assert_int_equal(notify_init(&n), 0);
	assert_clean_environment();
	assert_int_equal(notify_ready(&n, "3 containers"), 0);
	assert_told(fd, "READY=1\nSTATUS=3 containers");
	assert_int_equal(notify_status(&n, "4\ncontainers"), 0);
	assert_told(fd, "STATUS=4 containers");
	assert_int_equal(notify_stopping(&n, "ends"), 0);
	assert_told(fd, "STOPPING=1\nSTATUS=ends");
	assert_int_equal(notify_ready(&n, NULL), 0);
	assert_told(fd, "READY=1");
	assert_int_equal(notify_stopping(&n, NULL), 0);
	assert_told(fd, "STOPPING=1");
	assert_int_equal(notify_reloading(&n), 0);
	memset(text, 0, sizeof(text));
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lld", &us), 1);
	assert_true(us / 1000 <= clock_monotonic_ms() && us / 1000 > clock_monotonic_ms() - 60000);
	assert_clean_environment();
	notify_deinit(&n);
	notify_deinit(&n);
	close(fd);
}

static void test_nobody(void **state)
{
	struct notify n = NOTIFY_INIT;
	struct event_base *base = event_base_new();

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_int_equal(notify_init(&n), 0);
	assert_clean_environment();
	assert_int_equal(notify_ready(&n, "x"), 0);
	assert_int_equal(notify_reloading(&n), 0);
	assert_int_equal(notify_watch(&n, base), 0);
	assert_null(n.timer);
	notify_deinit(&n);
	event_base_free(base);
}

/* systemd is gone: told, and not for ever. */
static void test_gone(void **state)
{
	struct notify n = NOTIFY_INIT;
	int fd = systemd_begin(*state);

	assert_int_equal(notify_init(&n), 0);
	close(fd);
	assert_true(notify_ready(&n, "x") < 0);
	assert_clean_environment();
	notify_deinit(&n);
}

/* --- the watchdog --- */

struct watched {
	struct event_base *base;
	int fd;
	int n_signs;
	int64_t begun, last_gap, last;
};

static void on_sign(evutil_socket_t fd, short what, void *userdata)
{
	struct watched *w = userdata;
	int64_t now = clock_monotonic_ms();

	(void)what;
	assert_told(fd, "WATCHDOG=1");
	w->last_gap = now - (w->n_signs ? w->last : w->begun);
	w->last = now;
	if (++w->n_signs == 4)
		event_base_loopbreak(w->base);
}

static void test_watchdog(void **state)
{
	struct notify n = NOTIFY_INIT;
	struct watched w = { event_base_new(), systemd_begin(*state), 0, 0, 0, 0 };
	struct event *told;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_USEC", "200000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_init(&n), 0);
	assert_clean_environment();
	assert_int_equal(n.watchdog_us, 200000);
	told = event_new(w.base, w.fd, EV_READ | EV_PERSIST, on_sign, &w);
	event_add(told, NULL);
	w.begun = clock_monotonic_ms();
	assert_int_equal(notify_watch(&n, w.base), 0);
	event_base_dispatch(w.base);
	assert_int_equal(w.n_signs, 4);
	/* four of them: at half the time each, not sooner */
	assert_true(w.last - w.begun >= 390);
	notify_deinit(&n);
	event_free(told);
	event_base_free(w.base);
	close(w.fd);
}

/* A watchdog that is another process's is none of ours. */
static void test_watchdog_of_another(void **state)
{
	struct notify n = NOTIFY_INIT;
	struct event_base *base = event_base_new();
	int fd = systemd_begin(*state);

	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_init(&n), 0);
	assert_clean_environment();
	assert_int_equal(notify_watch(&n, base), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_nothing_told(fd);
	notify_deinit(&n);
	event_base_free(base);
	close(fd);
}

/* --- the socket --- */

enum passed {
	PASSED_LISTENING,
	PASSED_CONNECTED,
	PASSED_DATAGRAM,
	PASSED_FILE,
};

static int make_passed(enum passed what)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int type = what == PASSED_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
	int fd = what == PASSED_FILE ? open("/dev/null", O_RDONLY) : socket(AF_UNIX, type, 0);

	if (what == PASSED_LISTENING &&
		(bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) < 0 ||
			listen(fd, 1) < 0))
		_exit(98);
	return fd;
}

/* As systemd starts a service: what is passed from 3 on. Prints what notify_take_socket() said. */
static void child(const enum passed *passed, int n, int out)
{
	struct error err = ERROR_INIT;
	int made[4], fd = -2, r;
	const char *names = "a:a:a:a"; /* the last n of them */
	char text[16];

	for (int i = 0; i < n; i++)
		made[i] = fcntl(make_passed(passed[i]), F_DUPFD, 50);
	for (int i = 0; i < n; i++)
		dup2(made[i], 3 + i);
	if (n > 0) {
		snprintf(text, sizeof(text), "%d", n);
		setenv("LISTEN_FDS", text, 1);
		snprintf(text, sizeof(text), "%d", getpid());
		setenv("LISTEN_PID", text, 1);
		setenv("LISTEN_FDNAMES", names + strlen(names) + 1 - 2 * n, 1);
	}
	r = notify_take_socket(&fd, &err);
	if (r != 0 && (fd != -1 || fcntl(3, F_GETFD) != -1))
		_exit(97);
	if (r == 0 && fd >= 0 &&
		(!(fcntl(fd, F_GETFD) & FD_CLOEXEC) || !(fcntl(fd, F_GETFL) & O_NONBLOCK)))
		_exit(96);
	if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES"))
		_exit(95);
	dprintf(out, "%s %d %s", code_name(r), fd, r ? error_message(&err) : "");
	_exit(0);
}

static void assert_taken(const enum passed *passed, int n, const char *wanted)
{
	struct buf said = BUF_INIT;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork_child();
	if (pid == 0)
		child(passed, n, fcntl(ends[1], F_DUPFD, 60));
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], &said, 4096), 0);
	assert_int_equal(buf_append(&said, "", 1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal((const char *)buf_head(&said), wanted);
	buf_deinit(&said);
	close(ends[0]);
}

static void test_socket(void **state)
{
	static const enum passed one[] = { PASSED_LISTENING };
	static const enum passed three[] = { PASSED_LISTENING, PASSED_LISTENING, PASSED_FILE };

	(void)state;
	assert_taken(one, 1, "OK 3 ");
	assert_taken(one, 0, "OK -1 ");
	assert_taken(three, 3,
		"FAILED_PRECONDITION -1 systemd passed 3 sockets (a, a, a), where one is expected");
}

static void test_no_listener(void **state)
{
	static const enum passed wrong[] = { PASSED_CONNECTED, PASSED_DATAGRAM, PASSED_FILE };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_taken(&wrong[i], 1,
			"FAILED_PRECONDITION -1 what systemd passed (a) is no listening Unix "
			"stream socket");
}

/* Sockets that were meant for whoever started us. */
static void test_socket_of_another(void **state)
{
	struct error err = ERROR_INIT;
	int fd = -2;

	(void)state;
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", "1", 1);
	assert_ok(notify_take_socket(&fd, &err), &err);
	assert_int_equal(fd, -1);
	assert_clean_environment();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_words),
		bed_test(test_nobody),
		bed_test(test_gone),
		bed_test(test_watchdog),
		bed_test(test_watchdog_of_another),
		bed_test(test_socket),
		bed_test(test_no_listener),
		bed_test(test_socket_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
