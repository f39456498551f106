/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, times, and protobuf messages as JSON. */
#include "supervisor/cli/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/json.h"
#include "events.pb-c.h"
#include "supervisor/cli/proto_json.h"

/* What print prints on stdout, in a buffer. */
static void capture(int (*print)(struct error *err), char *ret, size_t size)
{
	FILE *file = tmpfile();
	int before = dup(STDOUT_FILENO);
	struct error err = ERROR_INIT;
	size_t n;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	assert_int_equal(print(&err), 0);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(file);
	n = fread(ret, 1, size - 1, file);
	ret[n] = '\0';
	fclose(file);
}

static const struct column columns[] = {
	{ "ID", "id" },
	{ "PID", "pid" },
	{ "PATH", "path" },
};

static int print_rows(struct error *err)
{
	_cleanup_json_ json_t *rows =
		json_pack("[{s:s, s:i, s:s}, {s:s, s:n, s:s}]", "id", "web", "pid", 1234, "path",
			"/b", "id", "a-longer-name", "pid", "path", "/\x1b[31m\xc3\xa9\n");

	return print_table(rows, columns, 3, err);
}

static int print_no_rows(struct error *err)
{
	_cleanup_json_ json_t *rows = json_array();

	return print_table(rows, columns, 3, err);
}

static void test_table(void **state)
{
	char text[512];

	(void)state;
	capture(print_rows, text, sizeof(text));
	assert_string_equal(text, "ID              PID    PATH\n"
				  "web             1234   /b\n"
				  "a-longer-name   -      / [31m\xc3\xa9\n");
	capture(print_no_rows, text, sizeof(text));
	assert_string_equal(text, "ID   PID   PATH\n");
}

static void test_text(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "", "\"\"" },
		{ "a\xc3\xa9\n", "\"a\xc3\xa9\\n\"" },
		{ "file:///l\xff\xfe.log", "\"file:///l??.log\"" },
		{ "\xff", "\"?\"" },
		{ NULL, "null" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_json_ json_t *j = print_text(cases[i].text);
		char *said = json_text(j);

		assert_string_equal(said, cases[i].wanted);
		free(said);
	}
}

static void test_moment(void **state)
{
	_cleanup_json_ json_t *none = print_moment(0), *one = print_moment(1000000001);

	(void)state;
	assert_true(json_is_null(none));
	assert_string_equal(json_string_value(one), "1970-01-01T00:00:01.000000001Z");
}

static void pack_exit(uint8_t *bytes, Google__Protobuf__Any *any)
{
	Containerd__Events__TaskExit exit = CONTAINERD__EVENTS__TASK_EXIT__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	at.seconds = 2;
	exit.container_id = (char *)"web";
	exit.id = (char *)"probe";
	exit.pid = 42;
	exit.exited_at = &at;
	google__protobuf__any__init(any);
	any->value.data = bytes;
	any->value.len = containerd__events__task_exit__pack(&exit, bytes);
}

static const ProtobufCMessageDescriptor *const types[] = {
	&containerd__events__task_start__descriptor,
	&containerd__events__task_exit__descriptor,
	NULL,
};

/* Fields that are 0 are there too: an exit status of 0 is one. */
static void test_message(void **state)
{
	_cleanup_json_ json_t *j = NULL, *with_prefix = NULL;
	Google__Protobuf__Any any;
	uint8_t bytes[256];
	char *text;

	(void)state;
	pack_exit(bytes, &any);
	any.type_url = (char *)"containerd.events.TaskExit";
	j = proto_json_any(&any, types);
	text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, "{\"container_id\":\"web\",\"exit_status\":0,"
				  "\"exited_at\":\"1970-01-01T00:00:02.000000000Z\","
				  "\"id\":\"probe\",\"pid\":42}");
	free(text);
	any.type_url = (char *)"type.googleapis.com/containerd.events.TaskExit";
	with_prefix = proto_json_any(&any, types);
	assert_true(json_equal(j, with_prefix));
}

static void test_message_of_other_type(void **state)
{
	Google__Protobuf__Any any;
	uint8_t bytes[256];

	(void)state;
	pack_exit(bytes, &any);
	any.type_url = (char *)"containerd.events.TaskPaused";
	assert_null(proto_json_any(&any, types));
	any.type_url = (char *)"containerd.events.TaskExit";
	any.value.len = 3;
	assert_null(proto_json_any(&any, types));
}

static void test_nested_and_repeated(void **state)
{
	Containerd__Events__TaskCreate create = CONTAINERD__EVENTS__TASK_CREATE__INIT;
	Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;
	Containerd__Types__Mount mount = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &mount, &mount };
	char *options[] = { (char *)"ro", (char *)"bind" };
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	mount.type = (char *)"bind";
	mount.options = options;
	mount.n_options = 2;
	create.rootfs = mounts;
	create.n_rootfs = 2;
	io.terminal = true;
	create.io = &io;
	j = proto_json(&create.base);
	assert_int_equal(json_array_size(json_object_get(j, "rootfs")), 2);
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(json_array_get(json_object_get(j, "rootfs"), 1), "options"),
			1)),
		"bind");
	assert_true(json_is_true(json_object_get(json_object_get(j, "io"), "terminal")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_moment),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_message_of_other_type),
		cmocka_unit_test(test_nested_and_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
