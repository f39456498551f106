/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What tests of mounting stand on: a mount namespace of the program's own with a tmpfs to work in, and
 * the verb in a child, as the shim runs it. The program is its own child, so its main() ends with
 * mount_bed_main(). Needs root.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/mount_spec.h"
#include "shim/mount_verb.h"
#include "test/unit/mount_list.h"

#define AREA   "/media/test-mount"
#define ROOTFS AREA "/rootfs"

/* --- the verb, in a child, as the shim runs it --- */

struct outcome {
	int status; /* exit status */
	int code;
	unsigned n_detached;
	char sentence[4097];
};

/* In the child: its descriptors, then this program again, which main() sends to mount_verb(). */
static inline _Noreturn void run_child(
	const char *verb, const char *rootfs, const char *forbidden, int list, int answer)
{
	char self[PATH_MAX + 1] = "";
	char *argv[] = { self, (char *)verb, (char *)rootfs, (char *)forbidden, NULL };
	int high_list = fcntl(list, F_DUPFD_CLOEXEC, 20);
	int high_answer = fcntl(answer, F_DUPFD_CLOEXEC, 20);

	dup2(high_list, MOUNT_LIST_FD);
	dup2(high_answer, MOUNT_ANSWER_FD);
	/* read, not executed as it is: under valgrind that link's target is valgrind */
	if (readlink("/proc/self/exe", self, PATH_MAX) > 0)
		execv(self, argv);
	_exit(98);
}

/* forbidden: the name of a system call that this kernel is not to have, or a root; NULL: none. */
static inline struct outcome run_verb(
	const char *verb, const char *rootfs, const struct list *l, const char *forbidden)
{
	struct outcome o = { .code = -1 };
	struct mount_answer a;
	struct buf bytes = BUF_INIT;
	char text[MOUNT_ANSWER_MAX];
	int answer[2], list, status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
	list = memfd_create("list", MFD_CLOEXEC);
	assert_true(list >= 0);
	assert_int_equal(mount_specs_encode(l ? l->v : NULL, l ? l->n : 0, &bytes), 0);
	assert_int_equal(fd_write_all(list, buf_head(&bytes), bytes.len), 0);
	assert_int_equal(lseek(list, 0, SEEK_SET), 0);
	buf_deinit(&bytes);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_child(verb, rootfs, forbidden, list, answer[1]);
	close(list);
	close(answer[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	o.status = WEXITSTATUS(status);
	n = read(answer[0], text, sizeof(text));
	close(answer[0]);
	if (n >= (ssize_t)sizeof(a)) {
		memcpy(&a, text, sizeof(a));
		o.code = a.code;
		o.n_detached = a.n_detached;
		memcpy(o.sentence, text + sizeof(a), (size_t)n - sizeof(a));
	}
	return o;
}

static inline void assert_ok(struct outcome o)
{
	if (o.status != 0 || o.code != CODE_OK)
		fail_msg("status %d, code %d: %s", o.status, o.code, o.sentence);
}

static inline void assert_failed(struct outcome o, int code, const char *sentence)
{
	assert_string_equal(o.sentence, sentence);
	assert_int_equal(o.code, code);
	assert_int_equal(o.status, 1);
}

/* --- the host as the tests see it --- */

static inline char *read_mounts(void)
{
	struct buf b = BUF_INIT;

	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b, 16u << 20), 0);
	assert_int_equal(buf_append(&b, "", 1), 0);
	return (char *)b.data;
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static inline void assert_file(const char *path, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &b, 4096) != 0)
		fail_msg("%s cannot be read", path);
	assert_int_equal(b.len, strlen(text));
	assert_memory_equal(buf_head(&b), text, b.len);
}

static inline void make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

static inline int area_make(void **state)
{
	if (mkdir(AREA, 0700) < 0)
		return -1;
	if (mount("area", AREA, "tmpfs", 0, "mode=0700") < 0)
		return -1;
	make_dir(AREA "/a");
	make_dir(AREA "/b");
	write_file(AREA "/a/name", "a");
	write_file(AREA "/b/name", "b");
	*state = read_mounts();
	return 0;
}

/* Every test has to leave the mounts as they were. */
static inline int area_remove(void **state)
{
	_cleanup_free_ char *before = *state, *after = read_mounts();
	int r = strcmp(before, after) == 0 ? 0 : -1;

	if (r < 0)
		print_error("before:\n%safter:\n%s", before, after);
	while (umount2(AREA, MNT_DETACH) == 0)
		;
	rmdir(AREA);
	return r;
}

static inline void unmount_rootfs(void)
{
	struct outcome o = run_verb("unmount", ROOTFS, NULL, NULL);

	assert_ok(o);
	assert_int_equal(o.n_detached, 0);
}

/*
 * n layers in folders of their own, each with a file of its number. width: how long each layer's
 * own part of the path is; depth: how many folders of that length it is made of.
 */
static inline char *make_layers(int n, int width, int depth)
{
	char *option = NULL, path[4096];
	size_t size = 0;
	FILE *f = open_memstream(&option, &size);

	fputs("lowerdir=", f);
	for (int i = 0; i < n; i++) {
		int at = snprintf(path, sizeof(path), AREA "/layers");

		for (int level = 0; level < depth; level++) {
			mkdir(path, 0755);
			at += snprintf(path + at, sizeof(path) - (size_t)at, "/%0*d", width, i);
		}
		make_dir(path);
		fprintf(f, "%s%s", i ? ":" : "", path);
		snprintf(path + at, sizeof(path) - (size_t)at, "/file-%d", i);
		write_file(path, "layer");
	}
	fclose(f);
	return option;
}

static inline void assert_layers(int n)
{
	char path[200];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), ROOTFS "/file-%d", i);
		assert_file(path, "layer");
	}
}

static inline bool kernel_is_before(int major, int minor)
{
	struct utsname u;
	int has_major = 0, has_minor = 0;

	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%d.%d", &has_major, &has_minor), 2);
	return has_major < major || (has_major == major && has_minor < minor);
}

#define test(f) cmocka_unit_test_setup_teardown(f, area_make, area_remove)

/* Makes a system call fail as an old kernel does, in this process. */
static inline void forbid(const char *name)
{
	static const struct {
		const char *name;
		unsigned nr;
	} calls[] = {
		{ "openat2", SYS_openat2 },
		{ "fsopen", SYS_fsopen },
		{ "mount_setattr", SYS_mount_setattr },
		{ "setns", SYS_setns },
		{ "unshare", SYS_unshare },
	};
	unsigned nr = ~0u;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strcmp(name, calls[i].name) == 0)
			nr = calls[i].nr;

	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (nr == ~0u || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(99);
}

/* The third word of a child: the name of a system call to do without, or the path of a root. */
static inline int mount_bed_child(int argc, char **argv)
{
	if (argc > 3 && *argv[3] == '/') {
		if (chroot(argv[3]) < 0 || chdir("/") < 0)
			_exit(99);
	} else if (argc > 3) {
		forbid(argv[3]);
	}
	return mount_verb(argc > 2 ? 2 : 1, argv + 1);
}

/* False, with a word about it, where there can be none. */
static inline bool mount_bed_namespace(void)
{
	/* a folder of our own: two runs at once share no folder, and none is left on the host */
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("media", "/media", "tmpfs", 0, NULL) == 0)
		return true;
	perror("a mount namespace of our own");
	return false;
}

#define mount_bed_main(argc, argv, tests)                                                          \
	((argc) > 1			 ? mount_bed_child(argc, argv)                             \
		: !mount_bed_namespace() ? 1                                                       \
					 : cmocka_run_group_tests(tests, NULL, NULL))
