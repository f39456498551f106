/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a bed. Never mounts by itself. Subtle: of the whole table of mounts none may be new, so a
 * program that compares needs a mount namespace of its own, where nobody else mounts.
 */
#include "test/integration/bed_mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"

char *bed_place(const struct bed *bed, const char *text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	for (; *text; text++) {
		if (strncmp(text, "$D", 2) == 0)
			fputs(bed->dir, f);
		else if (strncmp(text, "$R", 2) == 0)
			fprintf(f, "%s/rootfs", bed->bundle);
		else
			fputc(*text, f);
		text += *text == '$';
	}
	fclose(f);
	return out;
}

bool bed_kernel_is_before(int major, int minor)
{
	struct utsname u;
	int has_major = 0, has_minor = 0;

	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%d.%d", &has_major, &has_minor), 2);
	return has_major < major || (has_major == major && has_minor < minor);
}

/* --- creating --- */

static void fill(struct bed *bed, const struct bed_mount *from, Containerd__Types__Mount *to,
	struct argv *options)
{
	_cleanup_free_ char *all = bed_place(bed, from->options ? from->options : "");
	char *state = NULL;

	containerd__types__mount__init(to);
	to->type = (char *)from->type;
	to->source = bed_place(bed, from->source);
	to->target = bed_place(bed, from->target ? from->target : "");
	for (char *o = strtok_r(all, ";", &state); o; o = strtok_r(NULL, ";", &state))
		assert_int_equal(argv_add(options, o), 0);
	to->options = options->v;
	to->n_options = options->n;
}

int bed_create_on(struct bed *bed, const struct bed_mount *mounts, size_t n, uint32_t *ret_pid,
	struct error *err)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Containerd__Types__Mount *list = calloc(n + 1, sizeof(*list));
	Containerd__Types__Mount **rootfs = calloc(n + 1, sizeof(*rootfs));
	struct argv *options = calloc(n + 1, sizeof(*options));
	ProtobufCMessage *answer = NULL;
	Google__Protobuf__Any any;
	uint8_t room[1024];
	const struct ttrpc_request request = {
		.service = TASK,
		.method = "Create",
		.message = &r.base,
		.response = &containerd__task__v2__create_task_response__descriptor,
		.timeout_ms = CALL_MS,
	};
	int code;

	for (size_t i = 0; i < n; i++) {
		fill(bed, &mounts[i], &list[i], &options[i]);
		rootfs[i] = &list[i];
	}
	r.id = bed->id;
	r.bundle = bed->bundle;
	r.stdout = bed->out;
	r.stderr = bed->out;
	r.options = bed_options(bed, room, &any);
	r.rootfs = rootfs;
	r.n_rootfs = n;
	code = ttrpc_client_call(bed->client, &request, &answer, err);
	if (code == 0 && ret_pid)
		*ret_pid = ((Containerd__Task__V2__CreateTaskResponse *)answer)->pid;
	if (code == 0)
		bed_free(answer);
	for (size_t i = 0; i < n; i++) {
		free(list[i].source);
		free(list[i].target);
		argv_deinit(&options[i]);
	}
	free(list);
	free(rootfs);
	free(options);
	return code;
}

void bed_created_on(struct bed *bed, const struct bed_mount *mounts, size_t n)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (bed_create_on(bed, mounts, n, NULL, &err) != 0) {
		bed_print_log(bed);
		fail_msg("Create: %s", error_message(&err));
	}
}

/* --- folders --- */

void bed_put_folder(const struct bed *bed, const char *name)
{
	_cleanup_free_ char *path = bed_format("%s/%s", bed->dir, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

void bed_put_file(const struct bed *bed, const char *name, const char *text, unsigned owner)
{
	_cleanup_free_ char *path = bed_format("%s/%s", bed->dir, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchown(fd, owner, owner), 0);
}

void bed_take_rootfs(struct bed *bed)
{
	_cleanup_free_ char *from = bed_format("%s/rootfs", bed->bundle);
	_cleanup_free_ char *to = bed_format("%s/lower", bed->dir);

	assert_int_equal(rename(from, to), 0);
}

/* --- what is there --- */

#define END_OF_MOUNTS "--\n"

static void put_mounts(FILE *f)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b, 16u << 20), 0);
	fprintf(f, "%.*s", (int)b.len, (const char *)buf_head(&b));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Names below a folder with what they are, in order, whatever is mounted there. */
static void put_tree(FILE *f, const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, by_name);

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		_cleanup_free_ char *full = bed_format("%s/%s", path, name);

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			fprintf(f, "%d %s\n", names[i]->d_type, full);
			if (names[i]->d_type == DT_DIR)
				put_tree(f, full);
		}
		free(names[i]);
	}
	free(names);
}

static void put_process(FILE *f, const struct bed *bed)
{
	_cleanup_free_ char *children =
		bed_format("/proc/%d/task/%d/children", bed->shim.pid, bed->shim.pid);
	_cleanup_free_ char *fds = bed_format("/proc/%d/fd", bed->shim.pid);
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_closedir_ DIR *dir = opendir(fds);
	int n = 0;

	assert_int_equal(fd_read_file(AT_FDCWD, children, &b, 4096), 0);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	fprintf(f, "children %.*s\n%d descriptors\n", (int)b.len, (const char *)buf_head(&b), n);
}

char *bed_surroundings(const struct bed *bed)
{
	_cleanup_free_ char *folder = bed_format("%s/c/default/%s", bed->root, bed->id);
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	put_mounts(f);
	fputs(END_OF_MOUNTS, f);
	put_tree(f, bed->bundle);
	put_tree(f, folder);
	put_tree(f, bed->runtime_root);
	put_process(f, bed);
	fclose(f);
	return out;
}

/* Whether each line of what is in one table, up to its end, is in the other; only: with that word. */
static bool has_lines(const char *table, const char *other, const char *only)
{
	const char *end = strstr(table, END_OF_MOUNTS), *next;
	size_t other_size = (size_t)(strstr(other, END_OF_MOUNTS) - other);

	for (const char *line = table; line < end; line = next) {
		size_t n;

		next = strchr(line, '\n') + 1;
		n = (size_t)(next - line);
		if ((!only || memmem(line, n, only, strlen(only))) &&
			!memmem(other, other_size, line, n))
			return false;
	}
	return true;
}

void bed_assert_surroundings(const struct bed *bed, const char *before, const char *what)
{
	_cleanup_free_ char *after = bed_surroundings(bed);

	if (!has_lines(after, before, NULL) || !has_lines(before, after, bed->dir) ||
		strcmp(strstr(after, END_OF_MOUNTS), strstr(before, END_OF_MOUNTS)) != 0)
		fail_msg("after \"%s\":\n%s\nbefore:\n%s", what, after, before);
}
