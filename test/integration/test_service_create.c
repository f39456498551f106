/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Create refuses, over a real shim, with runc and with the scripted runtime: each with its code
 * and sentence, nothing left of it, and a good Create possible after it.
 * deadline: 300
 */
#include "test/integration/bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/limits.h"

#define ALIVE	       "[\"/bin/tool\",\"pause\"]"
#define RESPONSE(name) (&containerd__task__v2__##name##__descriptor)

static void create_refused(
	struct bed *bed, const char *id, const char *bundle, int code, const char *beginning)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = (char *)id;
	r.bundle = (char *)bundle;
	r.options = bed_options(bed, room, &any);
	bed_refused_like(bed, TASK, "Create", &r, RESPONSE(create_task_response), code, beginning);
}

static void put(const struct bed *bed, const char *name, const char *text, size_t n)
{
	_cleanup_free_ char *path = NULL;
	FILE *f;

	if (asprintf(&path, "%s/%s", bed->bundle, name) < 0)
		abort();
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void test_create_bad_ids(void **state)
{
	struct bed *bed = *state;
	char longest[LIMIT_ID + 2];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	create_refused(
		bed, "", bed->bundle, CODE_INVALID_ARGUMENT, "container id must not be empty");
	create_refused(
		bed, "../x", bed->bundle, CODE_INVALID_ARGUMENT, "container id \"../x\" must be ");
	create_refused(bed, ".new-x", bed->bundle, CODE_INVALID_ARGUMENT,
		"container id \".new-x\" must be ");
	create_refused(bed, longest, bed->bundle, CODE_INVALID_ARGUMENT, "container id \"xxxx");
	create_refused(bed, "other", bed->bundle, CODE_INVALID_ARGUMENT,
		"this shim is for container ID, not for \"other\"");
	bed_assert_alive(bed);
}

static void test_create_bad_bundle(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *path = NULL, *missing = NULL, *broken = NULL, *large = NULL;
	char huge[1] = { ' ' };

	if (asprintf(&path, "%s/config.json", bed->bundle) < 0 ||
		asprintf(&missing, "%s/nothing", bed->dir) < 0 ||
		asprintf(&broken, "%s: line 1, ", path) < 0 ||
		asprintf(&large, "%s: larger than 4194304 bytes", path) < 0)
		abort();
	create_refused(
		bed, bed->id, "", CODE_INVALID_ARGUMENT, "bundle \"\" is not an absolute path");
	create_refused(bed, bed->id, "x/y", CODE_INVALID_ARGUMENT,
		"bundle \"x/y\" is not an absolute path");
	create_refused(bed, bed->id, missing, CODE_NOT_FOUND, "");
	put(bed, "config.json", "{ \"no", 5);
	create_refused(bed, bed->id, bed->bundle, CODE_INVALID_ARGUMENT, broken);
	put(bed, "config.json", "", 0);
	create_refused(bed, bed->id, bed->bundle, CODE_INVALID_ARGUMENT, broken);
	put(bed, "config.json", huge, 1);
	assert_int_equal(truncate(path, 100 << 20), 0);
	create_refused(bed, bed->id, bed->bundle, CODE_RESOURCE_EXHAUSTED, large);
	assert_int_equal(unlink(path), 0);
	create_refused(bed, bed->id, bed->bundle, CODE_NOT_FOUND, "");
	assert_int_equal(mkdir(path, 0700), 0);
	create_refused(bed, bed->id, bed->bundle, CODE_INVALID_ARGUMENT, "");
	assert_int_equal(rmdir(path), 0);
	/* and after all that, a good one */
	bed_config(bed, ALIVE, false);
	bed_create(bed, false);
	bed_finish(bed);
}

static void test_create_missing_program(void **state)
{
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "looks for the program at start, not at create");
	bed_config(bed, "[\"/bin/nope\"]", false);
	create_refused(bed, bed->id, bed->bundle, CODE_UNKNOWN, "OCI runtime create failed: ");
	bed_assert_alive(bed);
	bed_config(bed, ALIVE, false);
	bed_create(bed, false);
	bed_finish(bed);
}

static void test_create_bad_runtime(void **state)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Cleat__Shim__V1__RuntimeOptions o = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	struct bed *bed = *state;
	uint8_t room[1024];

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.options = &any;
	o.command = (char *)"no-such-runtime";
	any.type_url = (char *)"cleat.shim.v1.RuntimeOptions";
	any.value.len = protobuf_c_message_pack(&o.base, room);
	any.value.data = room;
	bed_refused(bed, TASK, "Create", &r, RESPONSE(create_task_response), CODE_NOT_FOUND,
		"runtime \"no-such-runtime\": no program of this name in PATH");
	o.command = bed->bundle;
	any.value.len = protobuf_c_message_pack(&o.base, room);
	bed_refused_like(bed, TASK, "Create", &r, RESPONSE(create_task_response),
		CODE_PERMISSION_DENIED, "runtime \"");
	any.type_url = (char *)"what.is.This";
	bed_refused(bed, TASK, "Create", &r, RESPONSE(create_task_response), CODE_INVALID_ARGUMENT,
		"options of type \"what.is.This\" are not known");
	any.type_url = (char *)"";
	any.value.len = 0;
	r.checkpoint = (char *)"/image";
	bed_refused_like(bed, TASK, "Create", &r, RESPONSE(create_task_response), CODE_NOT_FOUND,
		"checkpoint \"/image\": ");
	bed_assert_alive(bed);
}

static void test_create_bad_streams(void **state)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	struct bed *bed = *state;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.options = bed_options(bed, room, &any);
	r.stdin = (char *)"/nonexistent/fifo";
	bed_refused_like(bed, TASK, "Create", &r, RESPONSE(create_task_response), CODE_NOT_FOUND,
		"stdin /nonexistent/fifo: ");
	r.stdin = (char *)"gopher://x";
	bed_refused_like(bed, TASK, "Create", &r, RESPONSE(create_task_response),
		CODE_UNIMPLEMENTED, "stdin gopher://x: ");
	r.stdin = (char *)"fd:0"; /* nothing was sent */
	bed_refused_like(bed, TASK, "Create", &r, RESPONSE(create_task_response),
		CODE_INVALID_ARGUMENT, "stdin fd:0: ");
	bed_create(bed, false);
	bed_finish(bed);
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, bed_setup_fake, bed_teardown, NULL },                         \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_create_bad_ids),
		BOTH(test_create_bad_bundle),
		BOTH(test_create_missing_program),
		BOTH(test_create_bad_runtime),
		BOTH(test_create_bad_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
