/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beds for tests of real shims. What is left behind is looked for by the folder's name and the
 * container's id, which nothing else on the machine has.
 */
#include "test/integration/bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/argv.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/shim_start.h"
#include "shim/cgroup_places.h"

#define END_MS 20000

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *fmt, ...)
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
		return format("%s", given);
	assert_true(n > 0);
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *shim = format("%s/%s/cleat-shim", self, up[i]);

		if (access(shim, X_OK) == 0)
			return format("%s/%s", self, up[i]);
	}
	fail_msg("cleat-shim is not built");
	return NULL;
}

/* The tools are in build/test whatever the variant is. */
static char *tool_path(const char *name)
{
	char *path = realpath("build/test", NULL);
	char *tool = format("%s/%s", path ? path : ".", name);

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
	_cleanup_free_ char *path = format("%s/config.json", bed->bundle);
	_cleanup_free_ char *text = format(
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

static void make_bundle(struct bed *bed)
{
	_cleanup_free_ char *tool = tool_path("tool");
	_cleanup_free_ char *to = format("%s/rootfs/bin/tool", bed->bundle);

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

void bed_start_shim(struct bed *bed)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	bed->shim = PIDREF_INIT;
	if (shim_start(bed->root, "default", bed->id, true, &bed->socket, &err) != 0)
		fail_msg("%s", error_message(&err));
	bed->client = bed_connect(bed);
	find_shim(bed);
}

static int setup(void **state, bool fake)
{
	_cleanup_free_ char *programs = programs_folder();
	_cleanup_free_ char *path = format("%s:%s", programs, getenv("PATH"));
	_cleanup_free_ char *fake_program = tool_path("fake-runtime");
	struct bed *bed = calloc(1, sizeof(*bed));

	setenv("PATH", path, 1);
	bed->fake = fake;
	bed->dir = format("/tmp/ct-XXXXXX");
	assert_non_null(mkdtemp(bed->dir));
	bed->root = format("%s/root", bed->dir);
	bed->bundle = format("%s/bundle", bed->dir);
	bed->fake_path = format("%s/fake-runtime", bed->dir);
	bed->script = format("%s.script", bed->fake_path);
	bed->runtime_root = format("%s/r", bed->dir);
	bed->out = format("file://%s/out", bed->dir);
	bed->id = format("%s-c", bed->dir + strlen("/tmp/"));
	assert_int_equal(mkdir(bed->runtime_root, 0700), 0);
	assert_int_equal(symlink(fake_program, bed->fake_path), 0);
	bed_script(bed, "");
	make_bundle(bed);
	bed_start_shim(bed);
	*state = bed;
	return 0;
}

int bed_setup_fake(void **state)
{
	return setup(state, true);
}

int bed_setup_runc(void **state)
{
	return setup(state, false);
}

/* --- what is left --- */

static bool file_has(const char *dir, const char *name, const char *needle)
{
	_cleanup_free_ char *path = format("/proc/%s/%s", dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf data = BUF_INIT;

	if (fd < 0 || fd_read_all(fd, &data, 1u << 20) < 0)
		return false;
	return memmem(buf_head(&data), data.len, needle, strlen(needle)) != NULL;
}

static bool link_has(const char *dir, const char *name, const char *needle)
{
	_cleanup_free_ char *path = format("/proc/%s/%s", dir, name);
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	return n > 0 && memmem(target, (size_t)n, needle, strlen(needle));
}

static bool is_zombie(const char *dir)
{
	struct proc_stat stat;

	return proc_stat_read((pid_t)atoi(dir), &stat) < 0 || stat.state == 'Z';
}

/* A process of the bed that lives, or 0. A zombie waits for a process 1 that is slow here. */
static int find_process(const struct bed *bed)
{
	const char *tag = bed->dir + strlen("/tmp/");
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *e;

	while ((e = readdir(proc))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || atoi(e->d_name) == getpid())
			continue;
		if ((file_has(e->d_name, "cmdline", tag) || file_has(e->d_name, "cgroup", tag) ||
			    link_has(e->d_name, "cwd", tag) || link_has(e->d_name, "exe", tag)) &&
			!is_zombie(e->d_name))
			return atoi(e->d_name);
	}
	return 0;
}

static bool folder_is_empty(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return errno == ENOENT;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return true;
}

static void check_folder(const struct bed *bed, const char *name)
{
	_cleanup_free_ char *path = format("%s/%s", bed->dir, name);

	if (!folder_is_empty(path))
		print_error("left behind: something in %s\n", path);
	assert_true(folder_is_empty(path));
}

/* Where runc makes the groups of a container without a cgroupsPath. */
static void check_cgroups(const struct bed *bed)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_argv_ struct argv wanted = ARGV_INIT;

	assert_int_equal(cgroup_places_read(0, &own), 0);
	assert_int_equal(cgroup_places_wanted(&own, NULL, bed->id, &wanted), 0);
	for (size_t i = 0; i < wanted.n; i++)
		if (access(wanted.v[i], F_OK) == 0)
			fail_msg("left behind: %s", wanted.v[i]);
}

static void check_leftovers(const struct bed *bed)
{
	int64_t end = clock_monotonic_ms() + 2000;
	int pid;

	/* what ends with its shim may take a moment to be gone */
	while ((pid = find_process(bed)) && clock_monotonic_ms() < end)
		poll(NULL, 0, 20);
	if (pid)
		fail_msg("left behind: process %d", pid);
	if (file_has("self", "mountinfo", bed->dir))
		fail_msg("left behind: a mount in %s", bed->dir);
	check_folder(bed, "root/c/default");
	check_folder(bed, "root/s");
	check_folder(bed, "root/r/default");
	check_folder(bed, "r");
	check_cgroups(bed);
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

static void print_log(const struct bed *bed)
{
	_cleanup_free_ char *path = format("%s/root/c/default/%s/log", bed->dir, bed->id);
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
	free(bed->runtime_root);
	free(bed->out);
	free(bed->id);
	free(bed->socket);
	free(bed);
}

int bed_teardown(void **state)
{
	struct bed *bed = *state;

	if (getenv("BED_LOG"))
		print_log(bed);
	end_shim(bed);
	check_leftovers(bed);
	bed_unmake(bed);
	return 0;
}

/* --- calls --- */

static int call(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, ProtobufCMessage **ret, struct error *err)
{
	const struct ttrpc_request request = {
		.service = service,
		.method = method,
		.message = message,
		.response = response,
		.timeout_ms = CALL_MS,
	};

	return ttrpc_client_call(bed->client, &request, ret, err);
}

void *bed_ok(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (call(bed, service, method, message, response, &m, &err) != 0) {
		print_log(bed);
		fail_msg("%s: %s: %s", method, code_name(err.code), error_message(&err));
	}
	return m;
}

void bed_free(void *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

void bed_done(struct bed *bed, const char *service, const char *method, const void *message)
{
	bed_free(bed_ok(bed, service, method, message, EMPTY));
}

/* Puts the id where "ID" stands as a word of its own. */
static char *with_id(const struct bed *bed, const char *sentence)
{
	const char *at = strstr(sentence, "ID");

	if (!at)
		return format("%s", sentence);
	return format("%.*s%s%s", (int)(at - sentence), sentence, bed->id, at + 2);
}

static void check_refused(struct bed *bed, const char *service, const char *method,
	const void *message, const ProtobufCMessageDescriptor *response, int code,
	const char *sentence, bool whole)
{
	_cleanup_free_ char *want = with_id(bed, sentence);
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;
	int r = call(bed, service, method, message, response, &m, &err);
	size_t n = whole ? strlen(error_message(&err)) + 1 : strlen(want);

	if (r == 0)
		bed_free(m);
	if (r != code || strncmp(error_message(&err), want, n) != 0)
		fail_msg("%s %s: %s \"%s\"\n  instead of %s \"%s\"", service, method, code_name(r),
			error_message(&err), code_name(code), want);
}

void bed_refused(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, int code, const char *sentence)
{
	check_refused(bed, service, method, message, response, code, sentence, true);
}

void bed_refused_like(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, int code, const char *beginning)
{
	check_refused(bed, service, method, message, response, code, beginning, false);
}

void bed_assert_alive(struct bed *bed)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	Containerd__Task__V2__ConnectResponse *ok;

	r.id = bed->id;
	ok = bed_ok(bed, TASK3, "Connect", &r, &containerd__task__v2__connect_response__descriptor);
	assert_int_equal(ok->shim_pid, bed->shim.pid);
	bed_free(ok);
}

/* --- the usual ones --- */

Google__Protobuf__Any *bed_options(
	struct bed *bed, uint8_t room[static 1024], Google__Protobuf__Any *any)
{
	Cleat__Shim__V1__RuntimeOptions o = CLEAT__SHIM__V1__RUNTIME_OPTIONS__INIT;
	o.kind = (char *)"runc";
	o.root = bed->runtime_root;
	o.deadline_ms = bed->deadline_ms;
	if (bed->fake)
		o.command = bed->fake_path;
	assert_true(protobuf_c_message_get_packed_size(&o.base) <= 1024);
	google__protobuf__any__init(any);
	any->type_url = (char *)"cleat.shim.v1.RuntimeOptions";
	any->value.len = protobuf_c_message_pack(&o.base, room);
	any->value.data = room;
	return any;
}

uint32_t bed_create(struct bed *bed, bool terminal)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Containerd__Task__V2__CreateTaskResponse *ok;
	Google__Protobuf__Any any;
	uint8_t room[1024];
	uint32_t pid;

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.terminal = terminal;
	r.stdout = terminal ? (char *)"" : bed->out;
	r.options = bed_options(bed, room, &any);
	ok = bed_ok(
		bed, TASK, "Create", &r, &containerd__task__v2__create_task_response__descriptor);
	pid = ok->pid;
	bed_free(ok);
	assert_true(pid > 0);
	return pid;
}

uint32_t bed_start(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	Containerd__Task__V2__StartResponse *ok;
	uint32_t pid;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "Start", &r, &containerd__task__v2__start_response__descriptor);
	pid = ok->pid;
	bed_free(ok);
	return pid;
}

void bed_await_text(struct bed *bed, const char *text)
{
	const char *path = bed->out + strlen("file://");
	int64_t end = clock_monotonic_ms() + CALL_MS;

	for (;;) {
		_cleanup_buf_ struct buf seen = BUF_INIT;

		if (fd_read_file(AT_FDCWD, path, &seen, 1u << 20) == 0 &&
			memmem(buf_head(&seen), seen.len, text, strlen(text)))
			return;
		if (clock_monotonic_ms() > end)
			fail_msg("the init never said \"%s\"", text);
		poll(NULL, 0, 5);
	}
}

void bed_await_ready(struct bed *bed)
{
	bed_await_text(bed, "ready");
}

uint32_t bed_wait_pid(struct bed *bed, uint32_t pid)
{
	return bed_wait(bed, bed_sentence("pid-%u", pid));
}

const char *bed_sentence(const char *fmt, uint32_t n)
{
	static char text[256];

	snprintf(text, sizeof(text), fmt, n);
	return text;
}

void bed_exec(struct bed *bed, const char *exec_id, const char *args, bool terminal)
{
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	const char *spec = bed_spec(args, terminal);

	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
	any.value.data = (uint8_t *)spec;
	any.value.len = strlen(spec);
	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.terminal = terminal;
	r.spec = &any;
	bed_done(bed, TASK, "Exec", &r);
}

void bed_kill(struct bed *bed, const char *exec_id, uint32_t signal)
{
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.signal = signal;
	bed_done(bed, TASK, "Kill", &r);
}

uint32_t bed_wait(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__WaitRequest r = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	Containerd__Task__V2__WaitResponse *ok;
	uint32_t status;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "Wait", &r, &containerd__task__v2__wait_response__descriptor);
	status = ok->exit_status;
	bed_free(ok);
	return status;
}

uint32_t bed_delete(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__DeleteRequest r = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
	Containerd__Task__V2__DeleteResponse *ok;
	uint32_t status;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "Delete", &r, &containerd__task__v2__delete_response__descriptor);
	status = ok->exit_status;
	bed_free(ok);
	return status;
}

Containerd__V1__Types__Status bed_status(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *ok;
	Containerd__V1__Types__Status status;

	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	ok = bed_ok(bed, TASK, "State", &r, &containerd__task__v2__state_response__descriptor);
	status = ok->status;
	bed_free(ok);
	return status;
}

void bed_finish(struct bed *bed)
{
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	if (bed_status(bed, "") != CONTAINERD__V1__TYPES__STATUS__STOPPED) {
		r.id = bed->id;
		r.signal = SIGKILL;
		r.all = 1;
		bed_done(bed, TASK, "Kill", &r);
		bed_wait(bed, "");
	}
	bed_delete(bed, "");
}

/* --- events --- */

static uint64_t epoch_of(struct bed *bed)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *ok =
		bed_ok(bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);
	uint64_t epoch = ok->epoch;

	bed_free(ok);
	return epoch;
}

uint32_t bed_subscribe(struct bed *bed, uint64_t since)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t stream = 0;

	r.since = since;
	r.epoch = since ? epoch_of(bed) : 0;
	if (ttrpc_client_stream(bed->client, &request, &stream, &err) != 0)
		fail_msg("%s", error_message(&err));
	return stream;
}

void bed_expect_event(struct bed *bed, uint32_t stream, const char *topic, void *ret,
	const ProtobufCMessageDescriptor *descriptor)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;
	Cleat__Shim__V1__Event *e;

	if (ttrpc_client_next(bed->client, stream, CALL_MS, &m, &err) != 0)
		fail_msg("waiting for %s: %s", topic, error_message(&err));
	if (!m)
		fail_msg("the stream ended before %s", topic);
	e = (void *)m;
	assert_string_equal(e->topic, topic);
	assert_int_equal(e->missed, 0);
	if (ret) {
		*(ProtobufCMessage **)ret = protobuf_c_message_unpack(
			descriptor, NULL, e->event->value.len, e->event->value.data);
		assert_string_equal(e->event->type_url, descriptor->name);
	}
	bed_free(m);
}

/* A call behind them on the same connection comes after all events that were made before it. */
void bed_expect_quiet(struct bed *bed, uint32_t stream)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	bed_assert_alive(bed);
	if (ttrpc_client_next(bed->client, stream, 1, &m, &err) == 0)
		fail_msg("an event too many: %s", m ? ((Cleat__Shim__V1__Event *)m)->topic : "end");
	assert_int_equal(err.code, CODE_DEADLINE_EXCEEDED);
}
