/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoint and restore through Task and the service of 2017: with runsc a counter that goes on
 * where it was; with the scripted runtime what is said to it, what is told, and what holds when it
 * fails, hangs or is killed.
 * deadline: 180
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "events.pb-c.h"
#include "linux_runc.pb-c.h"
#include "runc_options.pb-c.h"
#include "test/integration/bed.h"

#define COUNTER                                                                                    \
	"[\"/bin/busybox\",\"sh\",\"-c\",\"i=0; while [ $i -lt 150 ]; do i=$((i+1)); "             \
	"echo $i >/n; busybox mv /n /count; busybox sleep 0.02; done; exit 7\"]"

#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING
#define PAUSED	CONTAINERD__V1__TYPES__STATUS__PAUSED
#define STOPPED CONTAINERD__V1__TYPES__STATUS__STOPPED

/* --- requests --- */

struct ask {
	Containerd__Task__V2__CheckpointTaskRequest r;
	Google__Protobuf__Any any;
	uint8_t room[512];
};

static void fill(struct bed *bed, struct ask *a, const char *path)
{
	containerd__task__v2__checkpoint_task_request__init(&a->r);
	google__protobuf__any__init(&a->any);
	a->r.id = bed->id;
	a->r.path = (char *)path;
}

static void add_options(struct ask *a, const ProtobufCMessage *m)
{
	assert_true(protobuf_c_message_get_packed_size(m) <= sizeof(a->room));
	a->any.type_url = (char *)m->descriptor->name;
	a->any.value.len = protobuf_c_message_pack(m, a->room);
	a->any.value.data = a->room;
	a->r.options = &a->any;
}

static void add_exit(struct ask *a)
{
	Containerd__Runc__V1__CheckpointOptions o = CONTAINERD__RUNC__V1__CHECKPOINT_OPTIONS__INIT;

	o.exit = 1;
	add_options(a, &o.base);
}

/* --- what was said to the scripted runtime --- */

static void record(struct bed *bed, const char *more)
{
	_cleanup_free_ char *script =
		bed_format("checkpoint argv-to %s/argv\n%s", bed->dir, more ? more : "");

	bed_script(bed, script);
}

static void assert_said(struct bed *bed, const char *fmt, ...)
{
	_cleanup_free_ char *path = bed_format("%s/argv", bed->dir), *want = NULL;
	_cleanup_buf_ struct buf said = BUF_INIT;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&want, fmt, ap);
	va_end(ap);
	assert_true(r >= 0);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &said, 65536), 0);
	buf_append(&said, "", 1);
	if (!strstr((char *)buf_head(&said), want))
		fail_msg("said %s\n  without %s", (char *)buf_head(&said), want);
	unlink(path);
}

static void begin(struct bed *bed)
{
	bed_create(bed, false);
	bed_start(bed, "");
}

static void expect_checkpointed(struct bed *bed, uint32_t stream, const char *path)
{
	Containerd__Events__TaskCheckpointed *e;

	bed_expect_event(bed, stream, "/tasks/checkpointed", &e,
		&containerd__events__task_checkpointed__descriptor);
	assert_string_equal(e->container_id, bed->id);
	assert_string_equal(e->checkpoint, path);
	bed_free(e);
}

static char *image(const struct bed *bed)
{
	return bed_format("%s/image", bed->dir);
}

/* Without options: in the request's folder, and it goes on. */
static void test_leaves_running(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *path = image(bed), *bundled = NULL;
	Containerd__Task__V2__PauseRequest pause = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	uint32_t stream;
	struct ask a;

	begin(bed);
	stream = bed_subscribe(bed, 2); /* after create and start */
	record(bed, NULL);
	fill(bed, &a, path);
	bed_done(bed, TASK, "Checkpoint", &a.r);
	assert_said(bed,
		"\"checkpoint\",\"--image-path\",\"%s\",\"--work-path\",\"%s/c/default/%s/criu-work\","
		"\"--leave-running\",\"%s\"]",
		path, bed->root, bed->id, bed->id);
	expect_checkpointed(bed, stream, path);
	assert_int_equal(bed_status(bed, ""), RUNNING);
	/* v3 too; and no path is the one that containerd's shims use */
	bundled = bed_format("%s/checkpoint", bed->bundle);
	fill(bed, &a, "");
	bed_done(bed, TASK3, "Checkpoint", &a.r);
	assert_said(bed, "\"--image-path\",\"%s\"", bundled);
	expect_checkpointed(bed, stream, bundled);
	/* paused stays paused */
	bed_script(bed, "");
	pause.id = bed->id;
	bed_done(bed, TASK, "Pause", &pause);
	fill(bed, &a, path);
	bed_done(bed, TASK, "Checkpoint", &a.r);
	assert_int_equal(bed_status(bed, ""), PAUSED);
}

/* Every option of both messages, which have two of their numbers the other way round. */
static void test_options(void **state)
{
	Containerd__Linux__Runc__CheckpointOptions old =
		CONTAINERD__LINUX__RUNC__CHECKPOINT_OPTIONS__INIT;
	Containerd__Runc__V1__CheckpointOptions o = CONTAINERD__RUNC__V1__CHECKPOINT_OPTIONS__INIT;
	char *namespaces[] = { (char *)"network", (char *)"ipc" };
	struct bed *bed = *state;
	_cleanup_free_ char *path = image(bed);
	struct ask a;

	begin(bed);
	record(bed, NULL);
	o.open_tcp = o.external_unix_sockets = o.terminal = o.file_locks = 1;
	o.empty_namespaces = namespaces;
	o.n_empty_namespaces = 2;
	o.cgroups_mode = (char *)"soft";
	o.image_path = path;
	o.work_path = (char *)"/work-path";
	o.parent_path = (char *)"../parent";
	fill(bed, &a, "");
	add_options(&a, &o.base);
	bed_done(bed, TASK, "Checkpoint", &a.r);
	assert_said(bed,
		"\"checkpoint\",\"--image-path\",\"%s\",\"--work-path\",\"/work-path\","
		"\"--parent-path\",\"../parent\",\"--leave-running\",\"--tcp-established\","
		"\"--ext-unix-sk\",\"--shell-job\",\"--file-locks\",\"--manage-cgroups-mode\","
		"\"soft\",\"--empty-ns\",\"network\",\"--empty-ns\",\"ipc\",\"%s\"]",
		path, bed->id);
	old.open_tcp = old.external_unix_sockets = old.terminal = old.file_locks = 1;
	old.cgroups_mode = (char *)"full";
	old.image_path = path;
	old.work_path = (char *)"/work-path";
	add_options(&a, &old.base);
	bed_done(bed, TASK, "Checkpoint", &a.r);
	assert_said(bed,
		"\"checkpoint\",\"--image-path\",\"%s\",\"--work-path\",\"/work-path\","
		"\"--leave-running\",\"--tcp-established\",\"--ext-unix-sk\",\"--shell-job\","
		"\"--file-locks\",\"--manage-cgroups-mode\",\"full\",\"%s\"]",
		path, bed->id);
}

/* Every option of the message of 2017, whose event it has no word for. */
static void test_options_of_2017(void **state)
{
	Cleat__Shim2017__CheckpointRequest r = CLEAT__SHIM2017__CHECKPOINT_REQUEST__INIT;
	char *namespaces[] = { (char *)"network" };
	struct bed *bed = *state;
	_cleanup_free_ char *path = image(bed);

	r.allow_tcp = r.allow_unix_sockets = r.allow_terminal = r.file_locks = r.exit = 1;
	r.empty_namespaces = namespaces;
	r.n_empty_namespaces = 1;
	r.image = path;
	bed_refused(bed, SHIM, "Checkpoint", &r, EMPTY, CODE_FAILED_PRECONDITION,
		"container ID: not created");
	begin(bed);
	record(bed, NULL);
	bed_done(bed, SHIM, "Checkpoint", &r);
	assert_said(bed,
		"\"checkpoint\",\"--image-path\",\"%s\",\"--work-path\",\"%s/c/default/%s/criu-work\","
		"\"--tcp-established\",\"--ext-unix-sk\",\"--shell-job\",\"--file-locks\","
		"\"--empty-ns\",\"network\",\"%s\"]",
		path, bed->root, bed->id, bed->id);
	assert_int_equal(bed_wait(bed, ""), 137);
	bed_refused(bed, SHIM, "Checkpoint", &r, EMPTY, CODE_FAILED_PRECONDITION,
		"container ID: cannot checkpoint a stopped container");
}

/* The container ends with it, and that is told as every exit is. */
static void test_exits(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *path = image(bed);
	struct ask a;

	begin(bed);
	fill(bed, &a, path);
	add_exit(&a);
	bed_done(bed, TASK, "Checkpoint", &a.r);
	assert_int_equal(bed_wait(bed, ""), 137);
	assert_int_equal(bed_status(bed, ""), STOPPED);
	assert_int_equal(bed_delete(bed, ""), 137);
}

static void refused(struct bed *bed, struct ask *a, int code, const char *sentence)
{
	bed_refused(bed, TASK, "Checkpoint", &a->r, EMPTY, code, sentence);
}

static void test_bad_requests(void **state)
{
	Cleat__Shim__V1__CriuOptions own = CLEAT__SHIM__V1__CRIU_OPTIONS__INIT;
	struct bed *bed = *state;
	struct ask a;

	fill(bed, &a, "/image");
	refused(bed, &a, CODE_NOT_FOUND, "container ID: not found");
	bed_create(bed, false);
	refused(bed, &a, CODE_FAILED_PRECONDITION, "cannot checkpoint a task in created state");
	bed_start(bed, "");
	bed_script(bed, "* fail asked in vain\n");
	a.r.path = (char *)"image";
	refused(bed, &a, CODE_INVALID_ARGUMENT,
		"the image's folder \"image\" is not an absolute path");
	a.r.path = (char *)"/image";
	a.r.options = &a.any;
	a.any.type_url = (char *)"what.is.This";
	refused(bed, &a, CODE_INVALID_ARGUMENT, "options of type \"what.is.This\" are not known");
	/* those of a Create are not a Checkpoint's */
	a.any.type_url = (char *)"containerd.runc.v1.Options";
	refused(bed, &a, CODE_INVALID_ARGUMENT,
		"options of type \"containerd.runc.v1.Options\" are not known");
	own.lsm_profile = (char *)"x:y";
	add_options(&a, &own.base);
	refused(bed, &a, CODE_INVALID_ARGUMENT, "a checkpoint has no lsm_profile");
	own.lsm_profile = (char *)"";
	own.pre_dump = own.exit = 1;
	add_options(&a, &own.base);
	refused(bed, &a, CODE_INVALID_ARGUMENT,
		"exit does not go with pre_dump: the container goes on");
	bed_script(bed, "");
	assert_int_equal(bed_status(bed, ""), RUNNING);
}

/* Its own words, and the container as it was; CRIU's folder stays, with what is in it. */
static void test_runtime_cannot(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *path = image(bed);
	uint32_t stream;
	struct ask a;

	begin(bed);
	stream = bed_subscribe(bed, 2);
	bed_script(bed, "checkpoint fail criu failed: type DUMP errno 0\n");
	fill(bed, &a, path);
	add_exit(&a);
	refused(bed, &a, CODE_UNKNOWN,
		"OCI runtime checkpoint failed: criu failed: type DUMP errno 0");
	assert_int_equal(bed_status(bed, ""), RUNNING);
	bed_expect_quiet(bed, stream);
}

/* At its deadline: what it has left frozen goes on. Kill and State do not wait for it. */
static void test_hangs(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *path = image(bed);
	struct ask a;

	bed->deadline_ms = 1000;
	begin(bed);
	record(bed, "checkpoint hang\nonce:state print {\"ociVersion\":\"1.0.2\",\"id\":\"x\","
		    "\"pid\":1,\"status\":\"paused\",\"bundle\":\"/\"}\n"
		    "resume argv-to /dev/null\nresume exit 0\n");
	fill(bed, &a, path);
	refused(bed, &a, CODE_DEADLINE_EXCEEDED, "runc checkpoint: no answer in 1 s");
	assert_int_equal(bed_status(bed, ""), RUNNING);
	bed_finish(bed);
}

/* --- with a real one --- */

static void add_busybox(struct bed *bed)
{
	_cleanup_free_ char *command = bed_format("cp /bin/busybox %s/rootfs/bin/", bed->bundle);

	assert_int_equal(system(command), 0);
	bed_config(bed, COUNTER, false);
}

static int count(const struct bed *bed)
{
	_cleanup_free_ char *path = bed_format("%s/rootfs/count", bed->bundle);
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &text, 64) < 0 || buf_append(&text, "", 1) < 0)
		return 0;
	return atoi((char *)buf_head(&text));
}

static void await_count(const struct bed *bed, int n)
{
	int64_t end = clock_monotonic_ms() + CALL_MS;

	while (count(bed) <= n) {
		if (clock_monotonic_ms() > end)
			fail_msg("the counter stands at %d", count(bed));
		poll(NULL, 0, 5);
	}
}

/* Another shim for the same id: one serves one container. */
static void fresh_shim(struct bed *bed)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	_cleanup_free_ char *path = bed_format("%s/rootfs/count", bed->bundle);

	r.id = bed->id;
	bed_done(bed, TASK, "Shutdown", &r);
	bed_await_end(bed);
	ttrpc_client_free(bed->client);
	free(bed->socket);
	bed->client = NULL;
	bed->socket = NULL;
	bed_start_shim(bed);
	assert_int_equal(unlink(path), 0);
}

/* The counter, gone, with what it had reached. */
static int checkpoint_and_delete(struct bed *bed)
{
	struct ask a;
	int reached;

	bed->checkpoint = NULL;
	add_busybox(bed);
	begin(bed);
	await_count(bed, 20);
	bed->checkpoint = image(bed);
	fill(bed, &a, bed->checkpoint);
	add_exit(&a);
	bed_done(bed, TASK, "Checkpoint", &a.r);
	bed_wait(bed, "");
	reached = count(bed);
	assert_true(reached > 20);
	bed_delete(bed, "");
	fresh_shim(bed);
	return reached;
}

static void test_runsc_counts_on(void **state)
{
	struct bed *bed = *state;
	Containerd__Events__TaskCreate *e;
	uint32_t stream;
	int reached;

	if (!bed)
		skip();
	reached = checkpoint_and_delete(bed);
	assert_int_equal(bed_create(bed, false), 0);
	stream = bed_subscribe(bed, 0);
	bed_expect_event(
		bed, stream, "/tasks/create", &e, &containerd__events__task_create__descriptor);
	assert_string_equal(e->checkpoint, bed->checkpoint);
	bed_free(e);
	assert_int_equal(count(bed), 0); /* nothing before the start */
	assert_true(bed_start(bed, "") > 0);
	bed_expect_event(bed, stream, "/tasks/start", NULL, NULL);
	await_count(bed, 0);
	assert_true(count(bed) >= reached);
	await_count(bed, reached);
	assert_int_equal(bed_wait(bed, ""), 7); /* and to its own end */
}

static void test_runsc_counts_on_in_2017(void **state)
{
	Cleat__Shim2017__CreateRequest r = CLEAT__SHIM2017__CREATE_REQUEST__INIT;
	Cleat__Shim2017__CreateResponse *ok;
	struct bed *bed = *state;
	_cleanup_free_ char *program = NULL, *text = NULL, *command = NULL;
	int reached;

	if (!bed)
		skip();
	reached = checkpoint_and_delete(bed);
	/* a request of 2017 has no words for the runtime's options */
	program = bed_format("%s/runsc", bed->dir);
	text = bed_format("#!/bin/sh\nexec runsc --platform=ptrace --network=none "
			  "--ignore-cgroups \"$@\"\n");
	command = bed_format("cat >%s <<'E'\n%sE\nchmod 755 %s", program, text, program);
	assert_int_equal(system(command), 0);
	r.id = bed->id;
	r.bundle = bed->bundle;
	r.runtime = program;
	r.checkpoint = bed->checkpoint;
	ok = bed_ok(bed, SHIM, "Create", &r, &cleat__shim2017__create_response__descriptor);
	assert_true(ok->pid > 0); /* it runs at once */
	bed_free(ok);
	await_count(bed, 0);
	assert_true(count(bed) >= reached);
	await_count(bed, reached);
	bed_finish(bed);
}

/* What runsc has not is refused by name; what is no image in its own words, and nothing is left. */
static void test_runsc_cannot(void **state)
{
	struct bed *bed = *state;
	Containerd__Task__V2__StartRequest start = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	_cleanup_free_ char *command = NULL;
	struct ask a;

	if (!bed)
		skip();
	begin(bed);
	fill(bed, &a, "/image");
	refused(bed, &a, CODE_UNIMPLEMENTED, "runsc checkpoint has no --leave-running");
	/* a file where the folder should be */
	a.r.path = (char *)"/proc/version";
	add_exit(&a);
	bed_refused_like(bed, TASK, "Checkpoint", &a.r, EMPTY, CODE_UNKNOWN,
		"OCI runtime checkpoint failed: ");
	assert_int_equal(bed_status(bed, ""), RUNNING);
	bed_finish(bed);
	command = bed_format("mkdir %s/image && echo junk >%s/image/checkpoint.img"
			     " && touch %s/rootfs/count",
		bed->dir, bed->dir, bed->bundle);
	assert_int_equal(system(command), 0);
	fresh_shim(bed);
	bed->checkpoint = image(bed);
	bed_create(bed, false);
	start.id = bed->id;
	bed_refused_like(bed, TASK, "Start", &start,
		&containerd__task__v2__start_response__descriptor, CODE_UNKNOWN,
		"OCI runtime restore failed: ");
	assert_int_equal(bed_delete(bed, ""), 255);
}

#define FAKE(test)  cmocka_unit_test_setup_teardown(test, bed_setup_fake, bed_teardown)
#define RUNSC(test) cmocka_unit_test_setup_teardown(test, bed_setup_runsc, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_leaves_running),
		FAKE(test_options),
		FAKE(test_options_of_2017),
		FAKE(test_exits),
		FAKE(test_bad_requests),
		FAKE(test_runtime_cannot),
		FAKE(test_hangs),
		RUNSC(test_runsc_counts_on),
		RUNSC(test_runsc_counts_on_in_2017),
		RUNSC(test_runsc_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
