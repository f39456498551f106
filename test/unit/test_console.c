/* SPDX-License-Identifier: Apache-2.0 */
/* The console socket: a forked child stands for the runtime that connects and sends a master. */
#include "shim/console.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test/unit/stream_bed.h"

#include "common/cleanup.h"

struct heard {
	struct console *console;
	int times, master, error;
	bool frees;
};

static void on_master(int master_take, int error, void *userdata)
{
	struct heard *h = userdata;

	h->times++;
	h->master = master_take;
	h->error = error;
	if (h->frees)
		console_free(h->console);
}

static bool was_heard(void *userdata)
{
	return ((struct heard *)userdata)->times > 0;
}

static void listen_in(struct bed *b, const char *dir, struct heard *h)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (console_listen(b->base, dir, on_master, h, &h->console, &err))
		fail_msg("%s", error_message(&err));
}

/* What the runtime sends, in this order. */
struct runtime {
	const char *path;
	const char *first; /* bytes alone */
	const char *name;  /* bytes with the descriptors; NULL: nothing is sent */
	int fds[6];
	int n_fds;
	uid_t uid;
};

static int run_runtime(const struct runtime *r)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(6 * sizeof(int))];
	} control = { 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct iovec iov = { (char *)r->name, r->name ? strlen(r->name) : 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (r->uid && setuid(r->uid) < 0)
		return 1;
	strcpy(address.sun_path, r->path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return 2;
	if (r->first && write(fd, r->first, strlen(r->first)) < 0)
		return 3;
	if (!r->name)
		return 0;
	if (r->n_fds > 0) {
		struct cmsghdr *c = &control.align;

		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE((size_t)r->n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)r->n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), r->fds, (size_t)r->n_fds * sizeof(int));
	}
	return sendmsg(fd, &m, 0) < 0 ? 4 : 0;
}

/* Its wait status. Unlike the bed's actors it keeps descriptors: those are what it sends. */
static int send_status(struct bed *b, const struct runtime *r)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_runtime(r));
	b->actors[b->n_actors++] = pid;
	return bed_join(b, pid);
}

static void send_from(struct bed *b, const struct runtime *r)
{
	assert_int_equal(send_status(b, r), 0);
}

static int open_master(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlockpt(fd), 0);
	return fd;
}

static void test_a_master(void **state)
{
	struct bed *b = *state;
	struct heard h = { .master = -2 };
	int master = open_master();
	struct stat st;
	unsigned number, sent;

	listen_in(b, b->dir, &h);
	assert_int_equal(strncmp(console_path(h.console), b->dir, strlen(b->dir)), 0);
	assert_int_equal(stat(console_path(h.console), &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	send_from(b, &(struct runtime){
			     .path = console_path(h.console),
			     .name = "/dev/ptmx",
			     .fds = { master },
			     .n_fds = 1,
		     });
	assert_true(bed_until(b, was_heard, &h));
	assert_int_equal(h.error, 0);
	assert_int_equal(ioctl(master, TIOCGPTN, &sent), 0);
	assert_int_equal(ioctl(h.master, TIOCGPTN, &number), 0);
	assert_int_equal(number, sent);
	assert_true(fcntl(h.master, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(stat(console_path(h.console), &st), -1); /* of use no longer */
	bed_settle(b);
	assert_int_equal(h.times, 1);
	console_free(h.console);
	close(h.master);
	close(master);
}

/* The limit of an address is 107 bytes: at it, one above, far above. */
static void test_long_folders(void **state)
{
	struct bed *b = *state;
	char dir[600];
	size_t n;

	n = (size_t)snprintf(dir, sizeof(dir), "%s/", b->dir);
	while (n < 94) /* and "/pty-12345678": 107 */
		dir[n++] = 'd';
	for (int round = 0; round < 3; round++) {
		struct heard h = { .frees = true };
		const char *path;
		char parent[128];
		struct stat st;
		int master;

		dir[n] = '\0';
		assert_int_equal(mkdir(dir, 0700), 0);
		listen_in(b, dir, &h);
		path = console_path(h.console);
		assert_true(strlen(path) <= 107);
		assert_int_equal(strncmp(path, b->dir, strlen(b->dir)) == 0, round == 0);
		if (round == 0)
			assert_int_equal(strlen(path), 107);
		snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
		assert_int_equal(stat(parent, &st), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0700);
		master = open_master();
		send_from(b, &(struct runtime){
				     .path = path, .name = "x", .fds = { master }, .n_fds = 1 });
		assert_true(bed_until(b, was_heard, &h));
		assert_int_equal(h.error, 0);
		close(h.master);
		close(master);
		assert_int_equal(stat(parent, &st), round == 0 ? 0 : -1);
		dir[n++] = 'd';
		if (round == 1) {
			dir[n - 1] = '/';
			memset(dir + n, 'e', 200);
			n += 200;
		}
	}
}

static void test_where_the_private_folder_goes(void **state)
{
	struct bed *b = *state;
	struct heard h = { 0 };
	char dir[300];
	const char *want;

	memset(dir, 'd', sizeof(dir));
	memcpy(dir, b->dir, strlen(b->dir));
	dir[strlen(b->dir)] = '/';
	dir[250] = '\0';
	assert_int_equal(mkdir(dir, 0700), 0);
	setenv("XDG_RUNTIME_DIR", b->dir, 1);
	want = access("/run/cleat", W_OK) == 0 ? "/run/cleat/" : b->dir;
	listen_in(b, dir, &h);
	assert_int_equal(strncmp(console_path(h.console), want, strlen(want)), 0);
	console_free(h.console);
	/* Too long as well, or not there: the next one. */
	setenv("XDG_RUNTIME_DIR", dir, 1);
	want = access("/run/cleat", W_OK) == 0 ? "/run/cleat/" : "/tmp/pty-";
	listen_in(b, dir, &h);
	assert_int_equal(strncmp(console_path(h.console), want, strlen(want)), 0);
	console_free(h.console);
	unsetenv("XDG_RUNTIME_DIR");
}

static void expect_error(struct bed *b, struct runtime r, int error)
{
	struct heard h = { .frees = true };

	listen_in(b, b->dir, &h);
	r.path = console_path(h.console);
	send_from(b, &r);
	assert_true(bed_until(b, was_heard, &h));
	assert_int_equal(h.error, error);
	assert_int_equal(h.master, -1);
	bed_settle(b);
	assert_int_equal(h.times, 1);
}

static void test_not_a_master(void **state)
{
	struct bed *b = *state;
	int master = open_master(), file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	expect_error(b, (struct runtime){ 0 }, -ECONNRESET);
	expect_error(b, (struct runtime){ .name = "text alone" }, -ECONNRESET);
	expect_error(b, (struct runtime){ .name = "x", .fds = { file }, .n_fds = 1 }, -EPROTO);
	expect_error(b, (struct runtime){ .name = "x", .fds = { slave }, .n_fds = 1 }, -EPROTO);
	expect_error(
		b, (struct runtime){ .name = "x", .fds = { master, file }, .n_fds = 2 }, -EPROTO);
	expect_error(b,
		(struct runtime){
			.name = "x", .fds = { master, file, file, file, file, file }, .n_fds = 6 },
		-EPROTO);
	close(master);
	close(slave);
	close(file);
}

static void test_bytes_before_the_master(void **state)
{
	struct bed *b = *state;
	struct heard h = { .frees = true };
	int master = open_master();

	listen_in(b, b->dir, &h);
	send_from(b, &(struct runtime){
			     .path = console_path(h.console),
			     .first = "hello",
			     .name = "x",
			     .fds = { master },
			     .n_fds = 1,
		     });
	assert_true(bed_until(b, was_heard, &h));
	assert_int_equal(h.error, 0);
	close(h.master);
	close(master);
}

static void test_another_user_is_turned_away(void **state)
{
	struct bed *b = *state;
	struct heard h = { .frees = true };
	int master = open_master();
	struct runtime r = { .name = "x", .fds = { master }, .n_fds = 1, .uid = 65534 };

	if (geteuid() != 0)
		skip();
	listen_in(b, b->dir, &h);
	r.path = console_path(h.console);
	/* Let in by the modes, for the test: the uid has to do. */
	assert_int_equal(chmod(b->dir, 0755) | chmod(r.path, 0666), 0);
	/* It may see that it is cut off. */
	if (send_status(b, &r) != W_EXITCODE(4, 0))
		bed_settle(b);
	assert_int_equal(h.times, 0);
	r.uid = 0;
	send_from(b, &r);
	assert_true(bed_until(b, was_heard, &h));
	assert_int_equal(h.error, 0);
	close(h.master);
	close(master);
}

static void test_nobody_came(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct bed *b = *state;
	struct heard h = { 0 };
	struct stat st;
	char path[108];

	listen_in(b, b->dir, &h);
	strcpy(path, console_path(h.console));
	bed_assert_idle(b);
	console_free(h.console);
	console_free(NULL);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(h.times, 0);
	assert_int_equal(
		console_listen(b->base, bed_path(b, "no"), on_master, &h, &h.console, &err),
		CODE_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "/no"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_a_master),
		bed_test(test_long_folders),
		bed_test(test_where_the_private_folder_goes),
		bed_test(test_not_a_master),
		bed_test(test_bytes_before_the_master),
		bed_test(test_another_user_is_turned_away),
		bed_test(test_nobody_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
