/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that are files: never taken from one that serves. */
#include "common/socket_file.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "test/unit/unit.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_replaced(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char path[128];
	int lock, fd;

	snprintf(path, sizeof(path), "%s/a/b/sock", bed->path);
	assert_false(socket_file_is_live(path));
	assert_ok(socket_file_lock(path, &lock, &err), &err);
	snprintf(path, sizeof(path), "%s/a/b", bed->path);
	assert_int_equal(mode_of(path), 0700);
	snprintf(path, sizeof(path), "%s/a/b/sock", bed->path);
	assert_ok(socket_file_replace(path, &fd, &err), &err);
	assert_int_equal(mode_of(path), 0600);
	assert_true(socket_file_is_live(path));
	close(fd);
	assert_false(socket_file_is_live(path)); /* as a killed shim leaves it */
	assert_ok(socket_file_replace(path, &fd, &err), &err);
	assert_true(socket_file_is_live(path));
	close(fd);
	close(lock);
}

/* Too busy to be connected to is not dead. */
static void test_full_is_live(void **state)
{
	struct bed *bed = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;
	int fds[SOMAXCONN + 2], n = 0, fd, r = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", bed->path);
	assert_ok(socket_file_replace(addr.sun_path, &fd, &err), &err);
	assert_int_equal(listen(fd, 1), 0);
	while (r == 0 && n < 10) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = connect(fds[n++], (struct sockaddr *)&addr, sizeof(addr));
	}
	assert_int_equal(r, -1);
	assert_true(socket_file_is_live(addr.sun_path));
	while (n > 0)
		close(fds[--n]);
	close(fd);
}

/* Dead is what the kernel refuses; what is not there, is no socket, or is busy is not dead. */
static void test_certainly_dead(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char path[128];
	int fd, dgram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	write_text(bed->dir, "file", "precious");
	assert_false(socket_file_is_dead(bed->dir, "none"));
	assert_false(socket_file_is_dead(bed->dir, "file"));
	snprintf(path, sizeof(path), "%s/sock", bed->path);
	assert_ok(socket_file_replace(path, &fd, &err), &err);
	assert_false(socket_file_is_dead(bed->dir, "sock"));
	close(fd);
	assert_true(socket_file_is_dead(bed->dir, "sock"));
	assert_int_equal(symlinkat("sock", bed->dir, "link"), 0);
	assert_false(socket_file_is_dead(bed->dir, "link"));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dgram", bed->path);
	assert_int_equal(bind(dgram, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_false(socket_file_is_dead(bed->dir, "dgram"));
	close(dgram);
}

static void test_what_is_no_socket(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/sock", bed->path);
	write_text(bed->dir, "sock", "precious");
	assert_error(socket_file_replace(path, &fd, &err), &err, CODE_ALREADY_EXISTS, NULL);
	assert_int_equal(access(path, F_OK), 0);
	assert_error(socket_file_replace("sock", &fd, &err), &err, CODE_INVALID_ARGUMENT,
		"socket \"sock\": must be an absolute path of 107 bytes at most");
	assert_error(socket_file_lock("/x/", &fd, &err), &err, CODE_INVALID_ARGUMENT, NULL);
}

/* The second waits, and sees what the first has made. */
static void test_lock_waits(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	int gate[2], lock, status;
	char path[128], byte;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/s/sock", bed->path);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_ok(socket_file_lock(path, &lock, &err), &err);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(lock); /* it is one description: ours keeps it */
		if (write(gate[1], "x", 1) != 1 || socket_file_lock(path, &lock, NULL) != 0)
			_exit(2);
		_exit(socket_file_is_live(path) ? 0 : 1);
	}
	assert_int_equal(read(gate[0], &byte, 1), 1);
	assert_ok(socket_file_replace(path, &status, &err), &err);
	close(lock);
	gate[1] = (close(gate[1]), status);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(gate[1]);
	close(gate[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_replaced),
		bed_test(test_full_is_live),
		bed_test(test_certainly_dead),
		bed_test(test_what_is_no_socket),
		bed_test(test_lock_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
