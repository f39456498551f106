/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloseIO and CloseStdin of a process that does not read yet, with more queued for it than its pipe
 * has room for: all of it comes, and then the end, though the writer stays.
 * deadline: 60
 */
#include "test/integration/bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"

#define RESPONSE(name) (&containerd__task__v2__##name##__descriptor)

/* A pipe has room for 64 KiB, and so has the FIFO: what is beyond the first lies in the second. */
#define QUEUED ((size_t)80000)

static void create_with_stdin(struct bed *bed, char *path)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	assert_int_equal(mkfifo(path, 0600), 0);
	bed_config(bed, "[\"/bin/tool\",\"cat\"]", false);
	r.id = bed->id;
	r.bundle = bed->bundle;
	r.stdin = path;
	r.stdout = bed->out;
	r.options = bed_options(bed, room, &any);
	bed_free(bed_ok(bed, TASK, "Create", &r, RESPONSE(create_task_response)));
}

static void fill(uint8_t *data, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
}

/* The init's output, once it has been deleted, is that. */
static void check_output(const struct bed *bed, const uint8_t *data, size_t n)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_int_equal(fd_read_file(AT_FDCWD, bed->out + strlen("file://"), &out, 1u << 20), 0);
	assert_int_equal(out.len, n);
	assert_memory_equal(buf_head(&out), data, n);
}

/* The init has been created and not started: there is nobody who reads. */
static void close_with_bytes_queued(
	struct bed *bed, const char *service, const char *method, const void *request)
{
	_cleanup_free_ char *path = bed_format("%s/in", bed->dir);
	_cleanup_close_ int writer = -1;
	uint8_t data[QUEUED];

	create_with_stdin(bed, path);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	fill(data, sizeof(data));
	assert_int_equal(write(writer, data, sizeof(data)), sizeof(data));
	bed_done(bed, service, method, request);
	bed_start(bed, "");
	assert_int_equal(bed_wait(bed, ""), 0);
	assert_int_equal(bed_delete(bed, ""), 0);
	check_output(bed, data, sizeof(data));
}

static void test_close_io(void **state)
{
	Containerd__Task__V2__CloseIORequest r = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
	struct bed *bed = *state;

	r.id = bed->id;
	r.stdin = true;
	close_with_bytes_queued(bed, TASK, "CloseIO", &r);
}

static void test_close_stdin(void **state)
{
	Cleat__Shim2017__CloseStdinRequest r = CLEAT__SHIM2017__CLOSE_STDIN_REQUEST__INIT;

	close_with_bytes_queued(*state, SHIM, "CloseStdin", &r);
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, bed_setup_fake, bed_teardown, NULL },                         \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_close_io),
		BOTH(test_close_stdin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
