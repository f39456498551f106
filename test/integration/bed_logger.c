/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Never looks into the shim: only at what a logger has left in its folder. */
#include "test/integration/bed_logger.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"

#define TOOL "build/test/tool"

char *bed_logger(struct bed *bed, const char *scheme, const char *name, const char *query)
{
	_cleanup_free_ char *folder = bed_format("%s/%s", bed->dir, name);
	_cleanup_free_ char *tool = realpath(TOOL, NULL);
	char *uri;
	size_t size;
	FILE *f = open_memstream(&uri, &size);

	assert_non_null(tool);
	assert_int_equal(mkdir(folder, 0755), 0);
	fprintf(f, "%s://%s?logger=%s&", scheme, tool, folder);
	for (; *query; query++)
		if (*query == '@')
			fputs(bed->dir, f);
		else
			fputc(*query, f);
	fclose(f);
	return uri;
}

char *bed_logged(const struct bed *bed, const char *file)
{
	_cleanup_free_ char *path = bed_format("%s/%s", bed->dir, file);
	_cleanup_buf_ struct buf data = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &data, 64u << 20) != 0)
		return bed_format("%s", "");
	return bed_format("%.*s", (int)data.len, (const char *)buf_head(&data));
}

void bed_await_logged(const struct bed *bed, const char *file, const char *text, size_t n)
{
	int64_t end = clock_monotonic_ms() + CALL_MS;

	while (bed_count_logged(bed, file, text) < n) {
		if (clock_monotonic_ms() > end)
			fail_msg("not %zu \"%s\" in %s", n, text, file);
		poll(NULL, 0, 5);
	}
}

size_t bed_count_logged(const struct bed *bed, const char *file, const char *text)
{
	_cleanup_free_ char *all = bed_logged(bed, file);
	size_t n = 0;

	for (const char *at = all; (at = strstr(at, text)); at++)
		n++;
	return n;
}

void bed_check_logged(const struct bed *bed, const char *file, unsigned seed, size_t n)
{
	_cleanup_free_ char *command =
		bed_format(TOOL " check %u %zu <%s/%s", seed, n, bed->dir, file);

	assert_int_equal(system(command), 0);
}

void bed_create_logged(struct bed *bed, const char *out, const char *err, bool terminal)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.terminal = terminal;
	r.stdout = (char *)out;
	r.stderr = (char *)err;
	r.options = bed_options(bed, room, &any);
	bed_free(bed_ok(
		bed, TASK, "Create", &r, &containerd__task__v2__create_task_response__descriptor));
}

void bed_exec_logged(struct bed *bed, const char *exec_id, const char *args, const char *out,
	const char *err, bool terminal)
{
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	const char *spec = bed_spec(args, terminal);

	any.value = (ProtobufCBinaryData){ strlen(spec), (uint8_t *)spec };
	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.terminal = terminal;
	r.spec = &any;
	r.stdout = (char *)out;
	r.stderr = (char *)err;
	bed_done(bed, TASK, "Exec", &r);
}
