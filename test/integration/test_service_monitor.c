/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor over a real shim, with runc and with the scripted runtime: what Info tells, streams that
 * are taken up again where they ended, and exits as the ledger has them.
 * deadline: 300
 */
#include "test/integration/bed.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
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
#include "common/pbtime.h"
#include "events.pb-c.h"

#define RESPONSE(name) (&cleat__shim__v1__##name##__descriptor)
#define ALIVE	       "[\"/bin/tool\",\"pause\"]"
#define N_BYTES	       (1u << 20)

static Cleat__Shim__V1__InfoResponse *get_info(struct bed *bed)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;

	return bed_ok(bed, MONITOR, "Info", &r, RESPONSE(info_response));
}

/* --- Info --- */

static void test_info_of_shim(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim__V1__InfoResponse *info = get_info(bed);
	struct ttrpc_client *other;

	assert_string_equal(info->id, bed->id);
	assert_string_equal(info->namespace_, "default");
	assert_string_equal(info->version, CLEAT_VERSION);
	assert_string_equal(info->socket, bed->socket);
	assert_string_equal(info->status, "");
	assert_string_equal(info->runtime, "");
	assert_int_equal(info->shim_pid, bed->shim.pid);
	assert_int_equal(info->n_processes, 0);
	assert_int_equal(info->connections, 1);
	assert_int_equal(info->next_seq, 1);
	assert_true(info->epoch != 0);
	bed_free(info);
	other = bed_connect(bed);
	bed_assert_alive(bed);
	info = get_info(bed);
	assert_int_equal(info->connections, 2);
	bed_free(info);
	ttrpc_client_free(other);
}

static void test_info_of_container(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim__V1__InfoResponse *info;
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf config = BUF_INIT;
	moment before = clock_now();
	uint32_t pid = bed_create(bed, false), exec_pid;

	info = get_info(bed);
	assert_string_equal(info->status, "created");
	bed_free(info);
	bed_start(bed, "");
	bed_exec(bed, "late", ALIVE, false);
	bed_exec(bed, "probe", "[\"/bin/tool\",\"exit\",\"3\"]", false);
	exec_pid = bed_start(bed, "probe");
	bed_wait(bed, "probe");
	info = get_info(bed);
	assert_string_equal(info->status, "running");
	assert_int_equal(info->pid, pid);
	assert_string_equal(info->bundle, bed->bundle);
	assert_string_equal(info->stdout, bed->out);
	assert_false(info->terminal || info->exit_known);
	assert_null(info->exited_at);
	assert_true(pbtime_get(info->created_at) >= before);
	assert_true(pbtime_get(info->created_at) <= clock_now());
	if (asprintf(&path, "%s/config.json", bed->bundle) < 0)
		abort();
	assert_int_equal(fd_read_file(AT_FDCWD, path, &config, 1u << 20), 0);
	assert_int_equal(info->spec.len, config.len);
	assert_memory_equal(info->spec.data, buf_head(&config), config.len);
	assert_int_equal(info->n_processes, 3);
	assert_string_equal(info->processes[0]->exec_id, "");
	assert_string_equal(info->processes[0]->status, "running");
	assert_string_equal(info->processes[1]->exec_id, "late");
	assert_string_equal(info->processes[1]->status, "created");
	assert_int_equal(info->processes[1]->pid, 0);
	assert_string_equal(info->processes[2]->exec_id, "probe");
	assert_string_equal(info->processes[2]->status, "stopped");
	assert_int_equal(info->processes[2]->pid, exec_pid);
	assert_true(info->processes[2]->exit_known);
	assert_int_equal(info->processes[2]->exit_status, 3);
	assert_true(pbtime_get(info->processes[2]->exited_at) >= before);
	bed_free(info);
	bed_kill(bed, "", SIGKILL);
	bed_wait(bed, "");
	info = get_info(bed);
	assert_string_equal(info->status, "stopped");
	assert_true(info->exit_known);
	assert_int_equal(info->exit_status, 128 + SIGKILL);
	bed_free(info);
	bed_delete(bed, "");
	info = get_info(bed);
	assert_string_equal(info->status, "");
	assert_int_equal(info->n_processes, 0);
	bed_free(info);
}

/* Orphans in a shared pid namespace come to the shim, which reaps them. */
static void test_strays_are_counted(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim__V1__InfoResponse *info;

	bed_config(bed, "[\"/bin/tool\",\"orphan\",\"20\"]", false);
	bed_create(bed, false);
	bed_start(bed, "");
	bed_await_ready(bed);
	bed_finish(bed);
	info = get_info(bed);
	if (bed->fake)
		assert_true(info->n_processes_reaped >= 20);
	bed_free(info);
}

/* --- counters --- */

struct copier {
	const char *path;
	uint64_t n;
};

static void *write_bytes(void *userdata)
{
	struct copier *c = userdata;
	char block[4096];
	int fd = open(c->path, O_WRONLY | O_CLOEXEC);

	memset(block, 'x', sizeof(block));
	for (size_t i = 0; fd >= 0 && i < N_BYTES; i += sizeof(block))
		if (fd_write_all(fd, block, sizeof(block)) == 0)
			c->n += sizeof(block);
	close(fd);
	return NULL;
}

static void *read_bytes(void *userdata)
{
	struct copier *c = userdata;
	int fd = open(c->path, O_RDONLY | O_CLOEXEC);
	char block[65536];
	ssize_t n;

	if (fd < 0)
		return NULL;
	while ((n = read(fd, block, sizeof(block))) > 0)
		c->n += (uint64_t)n;
	close(fd);
	return NULL;
}

static char *make_fifo(struct bed *bed, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", bed->dir, name) < 0)
		abort();
	assert_int_equal(mkfifo(path, 0600), 0);
	return path;
}

/* Every byte that passes through the shim is counted, on its way in and on its way out. */
static void test_counters(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *in = make_fifo(bed, "in"), *out = make_fifo(bed, "out");
	_cleanup_free_ char *errors = make_fifo(bed, "err");
	struct copier writer = { in, 0 }, reader = { out, 0 }, err_reader = { errors, 0 };
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *info;
	const Cleat__Shim__V1__ProcessRecord *p;
	Google__Protobuf__Any any;
	uint8_t room[1024];
	pthread_t threads[3];

	bed_config(bed, "[\"/bin/tool\",\"tee2\"]", false);
	r.id = bed->id;
	r.bundle = bed->bundle;
	r.stdin = in;
	r.stdout = out;
	r.stderr = errors;
	r.options = bed_options(bed, room, &any);
	bed_free(bed_ok(
		bed, TASK, "Create", &r, &containerd__task__v2__create_task_response__descriptor));
	bed_start(bed, "");
	pthread_create(&threads[0], NULL, write_bytes, &writer);
	pthread_create(&threads[1], NULL, read_bytes, &reader);
	pthread_create(&threads[2], NULL, read_bytes, &err_reader);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(bed_wait(bed, ""), 0);
	assert_int_equal(writer.n, N_BYTES);
	assert_int_equal(reader.n, N_BYTES);
	assert_int_equal(err_reader.n, N_BYTES);
	info = get_info(bed);
	p = info->processes[0];
	assert_int_equal(p->stdin->bytes_in, N_BYTES);
	assert_int_equal(p->stdin->bytes_out, N_BYTES);
	assert_int_equal(p->stdout->bytes_in, N_BYTES);
	assert_int_equal(p->stdout->bytes_out, N_BYTES);
	assert_int_equal(p->stderr->bytes_in, N_BYTES);
	assert_int_equal(p->stderr->bytes_out, N_BYTES);
	assert_string_equal(p->stdin_uri, in);
	assert_string_equal(p->stderr_uri, errors);
	bed_free(info);
	bed_finish(bed);
}

/* --- Subscribe --- */

static void reconnect(struct bed *bed)
{
	ttrpc_client_free(bed->client);
	bed->client = bed_connect(bed);
}

/* A client that comes back with the last number it has seen misses nothing and sees nothing twice. */
static void test_resubscribe(void **state)
{
	struct bed *bed = *state;
	uint32_t stream = bed_subscribe(bed, 0);

	bed_create(bed, false);
	bed_expect_event(bed, stream, "/tasks/create", NULL, NULL);
	reconnect(bed);
	bed_start(bed, "");
	bed_exec(bed, "probe", ALIVE, false);
	stream = bed_subscribe(bed, 1);
	bed_expect_event(bed, stream, "/tasks/start", NULL, NULL);
	bed_expect_event(bed, stream, "/tasks/exec-added", NULL, NULL);
	bed_expect_quiet(bed, stream);
	reconnect(bed);
	stream = bed_subscribe(bed, 3);
	bed_expect_quiet(bed, stream);
	bed_kill(bed, "", SIGKILL);
	bed_expect_event(bed, stream, "/tasks/exit", NULL, NULL);
	reconnect(bed);
	stream = bed_subscribe(bed, 0);
	bed_expect_event(bed, stream, "/tasks/create", NULL, NULL);
	bed_expect_event(bed, stream, "/tasks/start", NULL, NULL);
	bed_expect_event(bed, stream, "/tasks/exec-added", NULL, NULL);
	bed_expect_event(bed, stream, "/tasks/exit", NULL, NULL);
	bed_finish(bed);
}

/* --- ExitRecords --- */

static Cleat__Shim__V1__ExitRecordsResponse *get_records(
	struct bed *bed, const char *exec_id, bool all)
{
	Cleat__Shim__V1__ExitRecordsRequest r = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;

	r.exec_id = (char *)exec_id;
	r.all = all;
	return bed_ok(bed, MONITOR, "ExitRecords", &r, RESPONSE(exit_records_response));
}

static void check_record(struct bed *bed, const char *exec_id, uint32_t status, uint32_t signal)
{
	Cleat__Shim__V1__ExitRecordsResponse *ok = get_records(bed, exec_id, false);
	const Cleat__Shim__V1__ExitRecord *e;

	assert_int_equal(ok->n_records, 1);
	e = ok->records[0];
	assert_string_equal(e->id, bed->id);
	assert_string_equal(e->exec_id, exec_id);
	assert_true(e->exit_known);
	assert_int_equal(e->status, status);
	assert_int_equal(e->signal, signal);
	assert_true(pbtime_get(e->started_at) > 0);
	assert_true(pbtime_get(e->exited_at) >= pbtime_get(e->started_at));
	assert_true(e->maxrss_kb > 0);
	bed_free(ok);
}

static void test_exit_records(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim__V1__ExitRecordsResponse *ok;

	bed_lacks(bed, "runsc", "tells signals as codes, and no processor time of an exec");
	bed_create(bed, false);
	bed_start(bed, "");
	ok = get_records(bed, "", true);
	assert_int_equal(ok->n_records, 0);
	bed_free(ok);
	bed_exec(bed, "code", "[\"/bin/tool\",\"exit\",\"137\"]", false);
	bed_start(bed, "code");
	bed_wait(bed, "code");
	bed_exec(bed, "signal", ALIVE, false);
	bed_start(bed, "signal");
	bed_kill(bed, "signal", SIGKILL);
	bed_wait(bed, "signal");
	bed_exec(bed, "spin", "[\"/bin/tool\",\"spin\",\"60\"]", false);
	bed_start(bed, "spin");
	bed_wait(bed, "spin");
	/* the same status, and yet not the same end */
	check_record(bed, "code", 137, 0);
	check_record(bed, "signal", 137, SIGKILL);
	ok = get_records(bed, "spin", false);
	assert_int_equal(ok->n_records, 1);
	assert_true(ok->records[0]->utime_us + ok->records[0]->stime_us >= 40000);
	bed_free(ok);
	bed_kill(bed, "", SIGKILL);
	bed_wait(bed, "");
	check_record(bed, "", 137, SIGKILL);
	ok = get_records(bed, "ignored", true);
	assert_int_equal(ok->n_records, 4);
	assert_string_equal(ok->records[0]->exec_id, "code");
	assert_string_equal(ok->records[3]->exec_id, "");
	bed_free(ok);
	ok = get_records(bed, "no-such", false);
	assert_int_equal(ok->n_records, 0);
	bed_free(ok);
	bed_finish(bed);
	ok = get_records(bed, "", true);
	assert_int_equal(ok->n_records, 0); /* with the container its ledger went */
	bed_free(ok);
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, bed_setup_fake, bed_teardown, NULL },                         \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_info_of_shim),
		BOTH(test_info_of_container),
		BOTH(test_strays_are_counted),
		BOTH(test_counters),
		BOTH(test_resubscribe),
		BOTH(test_exit_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
