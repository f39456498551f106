/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and unmaking beds for tests of real shims: folders, bundle, shim, and their end. Subtle:
 * teardown runs after a failed test too, and ends whatever that left running before it looks.
 */
#include "test/integration/bed.h"

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
#include "common/fd.h"
#include "common/file.h"
#include "common/run.h"
#include "common/shim_start.h"
#include "common/spawn.h"

#define END_MS 20000

const char *bed_runtime(void)
{
	const char *name = getenv("RUNTIME");

	return name && *name ? name : "runc";
}

void bed_lacks(const struct bed *bed, const char *runtime, const char *words)
{
	if (bed->fake || strcmp(bed_runtime(), runtime) != 0)
		return;
	print_message("# skip %s %s\n", runtime, words);
	skip();
}

/* Before main: what a program's groups of tests have in common, whoever made them. */
__attribute__((constructor)) static void choose_tests(void)
{
	if (strcmp(bed_runtime(), "runc") != 0)
		cmocka_set_test_filter("*(runc)*");
}

char *bed_format(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

/* --- where things are --- */

/* The folder of the programs under test: $CLEAT_BIN, or found from where this program is. */
static char *programs_folder(void)
{
	static const char *const up[] = { "../..", "../../.." };
	const char *given = getenv("CLEAT_BIN");
	char self[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given)
		return bed_format("%s", given);
	assert_true(n > 0);
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *shim = bed_format("%s/%s/cleat-shim", self, up[i]);

		if (access(shim, X_OK) == 0)
			return bed_format("%s/%s", self, up[i]);
	}
	fail_msg("cleat-shim is not built");
	return NULL;
}

/* The tools are in build/test whatever the variant is. */
static char *tool_path(const char *name)
{
	char *path = realpath("build/test", NULL);
	char *tool = bed_format("%s/%s", path ? path : ".", name);

	free(path);
	if (access(tool, X_OK) < 0)
		fail_msg("%s is not built (make test-tools), or this is not the top folder", tool);
	return tool;
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_buf_ struct buf data = BUF_INIT;
	_cleanup_close_ int fd = -1;

	assert_int_equal(fd_read_file(AT_FDCWD, from, &data, 64u << 20), 0);
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, buf_head(&data), data.len), 0);
}

static void make_dir(const char *fmt, const char *parent)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, fmt, parent) < 0)
		abort();
	assert_int_equal(mkdir(path, 0755), 0);
}

static void write_file(const char *path, const char *text)
{
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

/* --- bundles --- */

const char *bed_spec(const char *args, bool terminal)
{
	static char spec[8192];

	snprintf(spec, sizeof(spec),
		"{\"terminal\":%s,\"args\":%s,\"cwd\":\"/\",\"env\":[\"PATH=/bin\",\"TERM=dumb\"],"
		"\"user\":{\"uid\":0,\"gid\":0},\"noNewPrivileges\":true}",
		terminal ? "true" : "false", args);
	return spec;
}

void bed_config(struct bed *bed, const char *args, bool terminal)
{
	_cleanup_free_ char *path = bed_format("%s/config.json", bed->bundle);
	_cleanup_free_ char *text = bed_format(
		"{\"ociVersion\":\"1.0.2\",\"process\":%s,\"root\":{\"path\":\"rootfs\"},"
		"\"hostname\":\"bed\",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
		"\"source\":\"proc\"},{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":"
		"\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\"]},{\"destination\":\"/dev/pts\","
		"\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\","
		"\"ptmxmode=0666\"]}],\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
		"{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":"
		"\"network\"}]}}",
		bed_spec(args, terminal));

	write_file(path, text);
}

void bed_script(struct bed *bed, const char *text)
{
	write_file(bed->script, text);
}

void bed_make_bundle(struct bed *bed)
{
	_cleanup_free_ char *tool = tool_path("tool");
	_cleanup_free_ char *to = bed_format("%s/rootfs/bin/tool", bed->bundle);

	make_dir("%s", bed->bundle);
	make_dir("%s/rootfs", bed->bundle);
	make_dir("%s/rootfs/bin", bed->bundle);
	make_dir("%s/rootfs/proc", bed->bundle);
	make_dir("%s/rootfs/dev", bed->bundle);
	make_dir("%s/rootfs/tmp", bed->bundle);
	copy_file(tool, to);
	bed_config(bed, "[\"/bin/tool\",\"pause\"]", false);
}

/* --- setup --- */

struct ttrpc_client *bed_connect(struct bed *bed)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client;

	if (ttrpc_client_connect(bed->socket, NULL, &client, &err) != 0)
		fail_msg("%s", error_message(&err));
	return client;
}

static void find_shim(struct bed *bed)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	Containerd__Task__V2__ConnectResponse *ok;

	r.id = bed->id;
	ok = bed_ok(bed, TASK, "Connect", &r, &containerd__task__v2__connect_response__descriptor);
	assert_int_equal(pidref_open((pid_t)ok->shim_pid, &bed->shim), 0);
	bed_free(ok);
}

/* As containerd starts one: with TTRPC_ADDRESS in its environment. */
static void start_forwarding(struct bed *bed)
{
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	char *argv[] = { (char *)"cleat-shim", (char *)"-root", bed->root, (char *)"-namespace",
		(char *)"default", (char *)"-id", bed->id, (char *)"-debug", (char *)"start",
		NULL };
	const struct run_options options = {
		.argv = argv, .out_limit = 4096, .err_limit = 4096, .deadline_ms = CALL_MS
	};
	const char *prefix = "unix://";

	setenv("TTRPC_ADDRESS", bed->sink, 1);
	assert_int_equal(run_program(&options, &run), 0);
	unsetenv("TTRPC_ADDRESS");
	if (run.wait_status != 0)
		fail_msg("%.*s", (int)run.err.len, (const char *)buf_head(&run.err));
	bed->socket = bed_format("%.*s", (int)(run.out.len - strlen(prefix) - 1),
		(const char *)buf_head(&run.out) + strlen(prefix));
}

void bed_start_shim(struct bed *bed)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	bed->shim = PIDREF_INIT;
	if (bed->forwards)
		start_forwarding(bed);
	else if (shim_start(bed->root, "default", bed->id, true, &bed->socket, &err) != 0)
		fail_msg("%s", error_message(&err));
	bed->client = bed_connect(bed);
	find_shim(bed);
}

static void write_real_runtime(struct bed *bed)
{
	_cleanup_free_ char *text = bed_format("#!/bin/sh\nexec %s %s \"$@\"\n", bed_runtime(),
		strcmp(bed_runtime(), "runsc") == 0
			? "--platform=ptrace --network=none --ignore-cgroups"
			: "");

	write_file(bed->real_path, text);
	assert_int_equal(chmod(bed->real_path, 0755), 0);
}

static int setup(void **state, bool fake, bool forwards)
{
	_cleanup_free_ char *programs = programs_folder();
	_cleanup_free_ char *path = bed_format("%s:%s", programs, getenv("PATH"));
	_cleanup_free_ char *fake_program = tool_path("fake-runtime");
	struct bed *bed = calloc(1, sizeof(*bed));

	setenv("PATH", path, 1);
	bed->fake = fake;
	bed->forwards = forwards;
	bed->dir = bed_format("/tmp/ct-XXXXXX");
	assert_non_null(mkdtemp(bed->dir));
	bed->root = bed_format("%s/root", bed->dir);
	bed->bundle = bed_format("%s/bundle", bed->dir);
	bed->fake_path = bed_format("%s/fake-runtime", bed->dir);
	bed->script = bed_format("%s.script", bed->fake_path);
	bed->real_path = bed_format("%s/%s", bed->dir, bed_runtime());
	bed->runtime_root = bed_format("%s/r", bed->dir);
	bed->out = bed_format("file://%s/out", bed->dir);
	bed->sink = bed_format("%s/sink", bed->dir);
	bed->id = bed_format("%s-c", bed->dir + strlen("/tmp/"));
	assert_int_equal(mkdir(bed->runtime_root, 0700), 0);
	assert_int_equal(symlink(fake_program, bed->fake_path), 0);
	bed_script(bed, "");
	write_real_runtime(bed);
	bed_make_bundle(bed);
	bed_start_shim(bed);
	*state = bed;
	return 0;
}

int bed_setup_fake(void **state)
{
	return setup(state, true, false);
}

int bed_setup_runc(void **state)
{
	return setup(state, false, false);
}

int bed_setup_runsc(void **state)
{
	char *path = NULL;
	int r;

	if (spawn_find_program("runsc", &path) < 0) {
		*state = NULL;
		return 0;
	}
	free(path);
	r = setup(state, false, false);
	((struct bed *)*state)->runsc = true;
	return r;
}

int bed_setup_forwarding_fake(void **state)
{
	return setup(state, true, true);
}

int bed_setup_forwarding_runc(void **state)
{
	return setup(state, false, true);
}

/* --- teardown --- */

void bed_await_end(struct bed *bed)
{
	struct pollfd p = { .fd = bed->shim.fd, .events = POLLIN };

	if (bed->shim.fd < 0)
		return;
	if (poll(&p, 1, END_MS) != 1)
		fail_msg("the shim does not end");
	pidref_close(&bed->shim);
}

/* Ends what a test left running, and the shim in order. */
static void end_shim(struct bed *bed)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	Cleat__Shim__V1__InfoRequest info_request = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *info;
	bool there;

	if (bed->shim.fd < 0)
		return;
	bed_script(bed, "");
	ttrpc_client_free(bed->client);
	bed->client = bed_connect(bed);
	info = bed_ok(
		bed, MONITOR, "Info", &info_request, &cleat__shim__v1__info_response__descriptor);
	there = *info->status != '\0';
	bed_free(info);
	if (there)
		bed_finish(bed);
	r.id = bed->id;
	bed_done(bed, TASK, "Shutdown", &r);
	bed_await_end(bed);
}

void bed_print_log(const struct bed *bed)
{
	_cleanup_free_ char *path = bed_format("%s/root/c/default/%s/log", bed->dir, bed->id);
	_cleanup_buf_ struct buf log = BUF_INIT;

	if (fd_read_file(AT_FDCWD, path, &log, 1u << 20) == 0)
		print_error("%.*s\n", (int)log.len, (const char *)buf_head(&log));
}

static void bed_unmake(struct bed *bed)
{
	ttrpc_client_free(bed->client);
	pidref_close(&bed->shim);
	remove_tree(AT_FDCWD, bed->dir);
	free(bed->dir);
	free(bed->root);
	free(bed->bundle);
	free(bed->script);
	free(bed->fake_path);
	free(bed->real_path);
	free(bed->command);
	free(bed->runtime_root);
	free(bed->out);
	free(bed->sink);
	free(bed->checkpoint);
	free(bed->id);
	free(bed->socket);
	free(bed);
}

int bed_teardown(void **state)
{
	struct bed *bed = *state;

	if (!bed)
		return 0;
	if (getenv("BED_LOG"))
		bed_print_log(bed);
	end_shim(bed);
	bed_check_leftovers(bed);
	bed_unmake(bed);
	return 0;
}
