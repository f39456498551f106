/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container from its shim's start to its shim's end, by whoever holds the slot's lock. Subtle: the
 * holder may be killed anywhere in here, and the next one takes over with nothing but the phase, so
 * life_end() finds out for itself how far it had come.
 */
#include "test/soak/churn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/shim_start.h"
#include "common/state_dir.h"

#define NS	     "default"
#define END_MS	     60000
#define TRY_AGAIN_MS 1000

bool slot_try_lock(struct slot *slot)
{
	int r = pthread_mutex_trylock(&slot->lock);

	if (r == EOWNERDEAD)
		r = pthread_mutex_consistent(&slot->lock);
	return r == 0;
}

void slot_unlock(struct slot *slot)
{
	pthread_mutex_unlock(&slot->lock);
}

/* --- the beginning --- */

static int create(struct churn *churn, struct ttrpc_client *client, struct life *life,
	uint32_t number, struct error *err)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = life->id;
	r.bundle = churn->bundles[number % CHURN_BUNDLES];
	r.options = bed_options(churn->bed, room, &any);
	return churn_call(churn, client, TASK, "Create", &r,
		&containerd__task__v2__create_task_response__descriptor, NULL, CHURN_CALL_MS, err);
}

static int start(
	struct churn *churn, struct ttrpc_client *client, struct life *life, struct error *err)
{
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;

	r.id = life->id;
	return churn_call(churn, client, TASK3, "Start", &r,
		&containerd__task__v2__start_response__descriptor, NULL, CHURN_CALL_MS, err);
}

void life_begin(struct churn *churn, struct slot *slot)
{
	const uint32_t number = ++churn->n_lives;
	const uint64_t one = 1;
	struct life *life = &churn->lives[number];
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *socket = NULL;
	struct ttrpc_client *client = NULL;

	if (number >= CHURN_LIVES) {
		churn_fail(churn, "more containers than the model has room for");
		return;
	}
	snprintf(life->id, sizeof(life->id), "%s%u", churn->bed->id, number);
	slot->life = number;
	if (shim_start(churn->bed->root, NS, life->id, false, &socket, &err) != 0)
		return churn_fail(churn, "%s: %s", life->id, error_message(&err));
	snprintf(life->socket, sizeof(life->socket), "%s", socket);
	life->phase = LIFE_SHIM;
	fd_write_all(churn->wake, &one, sizeof(one));
	if (ttrpc_client_connect(life->socket, NULL, &client, &err) != 0 ||
		create(churn, client, life, number, &err) != 0 ||
		start(churn, client, life, &err) != 0)
		churn_fail(churn, "%s: %s", life->id, error_message(&err));
	else
		life->phase = LIFE_RUNNING;
	ttrpc_client_free(client);
}

/* --- the end: what is compared --- */

static void check_record(struct churn *churn, const struct life *life, uint32_t number,
	const Cleat__Shim__V1__ExitRecord *record)
{
	const uint32_t exec = churn_exec_number(record->exec_id);
	const uint32_t status = record->status;

	churn->n_checked++;
	if (!record->exit_known)
		churn_fail(churn, "%s %s: the ledger does not know its end", life->id,
			record->exec_id);
	else if (!*record->exec_id && status != churn_init_fate(number).status)
		churn_fail(churn, "%s: ended with %u in the ledger", life->id, status);
	else if (*record->exec_id && (exec == UINT32_MAX || !churn_may_end(life, exec, status)))
		churn_fail(churn, "%s %s: ended with %u in the ledger", life->id, record->exec_id,
			status);
}

static void check_ledger(
	struct churn *churn, struct ttrpc_client *client, const struct life *life, uint32_t number)
{
	Cleat__Shim__V1__ExitRecordsRequest r = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	Cleat__Shim__V1__ExitRecordsResponse *ok = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;
	size_t n_init = 0;

	r.all = true;
	if (churn_call(churn, client, MONITOR, "ExitRecords", &r,
		    &cleat__shim__v1__exit_records_response__descriptor, &ok, CHURN_CALL_MS,
		    &err) != 0)
		return churn_fail(churn, "%s: ExitRecords: %s", life->id, error_message(&err));
	for (size_t i = 0; i < ok->n_records; i++) {
		check_record(churn, life, number, ok->records[i]);
		n_init += !*ok->records[i]->exec_id;
	}
	if (n_init != 1)
		churn_fail(churn, "%s: the ledger has %zu ends of its init", life->id, n_init);
	bed_free(ok);
}

static void check_exec(
	struct churn *churn, struct life *life, const Cleat__Shim__V1__ProcessRecord *p)
{
	const uint32_t exec = churn_exec_number(p->exec_id);
	const uint32_t flags = exec == UINT32_MAX ? 0 : life->execs[exec];
	const bool stopped = strcmp(p->status, "stopped") == 0;

	churn->n_checked++;
	if (!(flags & EXEC_ADD_TRIED) || flags & EXEC_DELETED)
		churn_fail(churn, "%s %s: is there", life->id, p->exec_id);
	else if (!stopped && !(strcmp(p->status, "created") == 0 && !(flags & EXEC_STARTED)))
		churn_fail(
			churn, "%s %s: %s after its init's end", life->id, p->exec_id, p->status);
	else if (stopped && !(flags & EXEC_START_TRIED))
		churn_fail(churn, "%s %s: stopped, and was never started", life->id, p->exec_id);
	else if (flags & EXEC_STARTED &&
		 (!p->exit_known || !churn_may_end(life, exec, p->exit_status)))
		churn_fail(churn, "%s %s: ended with %u", life->id, p->exec_id, p->exit_status);
}

/* Every exec that was added, and not deleted, is there; and no other. */
static void check_execs(struct churn *churn, struct ttrpc_client *client, struct life *life)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Cleat__Shim__V1__InfoResponse *info = churn_info(churn, client, &err);
	size_t n_least = 0, n_most = 0;

	if (!info)
		return churn_fail(churn, "%s: Info: %s", life->id, error_message(&err));
	for (size_t i = 1; i < info->n_processes; i++)
		check_exec(churn, life, info->processes[i]);
	for (uint32_t e = 0; e < CHURN_EXECS; e++) {
		const uint32_t flags = life->execs[e];

		n_least += flags & EXEC_ADDED && !(flags & EXEC_DELETE_TRIED);
		n_most += flags & EXEC_ADD_TRIED && !(flags & EXEC_DELETED);
	}
	if (info->n_processes - 1 < n_least || info->n_processes - 1 > n_most)
		churn_fail(churn, "%s: has %zu execs, should have %zu to %zu", life->id,
			info->n_processes - 1, n_least, n_most);
	bed_free(info);
}

/* --- the end: what is done --- */

/* The socket of a shim whose starter was killed before it could note it. */
static bool find_socket(struct churn *churn, struct life *life)
{
	const int64_t end = clock_monotonic_ms() + END_MS;

	do {
		struct state_dir dir = STATE_DIR_INIT;
		struct shim_record record = { 0 };
		_cleanup_error_ struct error err = ERROR_INIT;
		int r = state_dir_open(churn->bed->root, NS, life->id, &dir, &err);

		if (r == CODE_NOT_FOUND)
			return false; /* not begun, or just before the folder has its name: it ends alone */
		if (r == 0)
			r = shim_record_read(&dir, &record, &err);
		state_dir_close(&dir);
		if (r == 0) {
			snprintf(life->socket, sizeof(life->socket), "%s", record.socket);
			shim_record_deinit(&record);
			return true;
		}
		poll(NULL, 0, 5);
	} while (clock_monotonic_ms() < end);
	churn_fail(churn, "%s: its folder never had a shim", life->id);
	return false;
}

static void shoot(struct churn *churn, const struct life *life, uint32_t pid, int signal)
{
	struct pidref p = PIDREF_INIT;

	/*
	 * The init is nobody else's to end, and the shim holds its number until it has told; unless a client
	 * that was killed right after had shot it already.
	 */
	if (pid && pidref_open((pid_t)pid, &p) == 0)
		pidref_signal(&p, signal);
	else if (!life->inherited)
		churn_fail(churn, "%s: process %u is not there", life->id, pid);
	pidref_close(&p);
}

/* A client that was faster may pause it once again. */
static void resume(struct churn *churn, struct ttrpc_client *client, const struct life *life)
{
	Containerd__Task__V2__ResumeRequest r = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	r.id = (char *)life->id;
	churn_call(churn, client, TASK, "Resume", &r, EMPTY, NULL, CHURN_CALL_MS, &err);
}

void life_resume(struct churn *churn, const struct slot *slot)
{
	const struct life *life = &churn->lives[slot->life];
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client = NULL;

	if (life->phase != LIFE_RUNNING ||
		ttrpc_client_connect(life->socket, NULL, &client, &err) != 0)
		return;
	resume(churn, client, life);
	ttrpc_client_free(client);
}

/*
 * Until the init is the tool. What runc has there before, until a moment after its start has returned,
 * takes a signal for its own end: a Go program that is process 1 then exits with 2.
 */
static void await_tool(struct churn *churn, const struct life *life, uint32_t pid)
{
	_cleanup_free_ char *path = bed_format("/proc/%u/comm", pid);
	const int64_t end = clock_monotonic_ms() + END_MS;

	while (clock_monotonic_ms() < end) {
		_cleanup_buf_ struct buf comm = BUF_INIT;

		if (fd_read_file(AT_FDCWD, path, &comm, 64) == 0 && comm.len == 5 &&
			memcmp(buf_head(&comm), "tool\n", 5) == 0)
			return;
		poll(NULL, 0, 1);
	}
	churn_fail(churn, "%s: process %u never became the tool", life->id, pid);
}

/* Brings the init's fate about, as often as it takes: its handler may not be there yet. */
static void end_init(struct churn *churn, struct ttrpc_client *client, struct life *life,
	const struct fate *fate, uint32_t pid)
{
	const int64_t end = clock_monotonic_ms() + END_MS;
	uint32_t status;
	bool shot = false;
	int r;

	do {
		_cleanup_error_ struct error err = ERROR_INIT;

		resume(churn, client, life);
		if (fate->way == FATE_SHOT && !shot)
			shoot(churn, life, pid, (int)fate->signal);
		else if (fate->way != FATE_SHOT)
			churn_kill(churn, client, life, "", fate->signal, fate->signal == SIGKILL,
				&err);
		shot = true;
		error_clear(&err);
		r = churn_wait(churn, client, life, "", TRY_AGAIN_MS, &status, &err);
		if (r == CODE_NOT_FOUND && life->inherited)
			return;
		if (r != 0 && r != CODE_DEADLINE_EXCEEDED)
			return churn_fail(churn, "%s: Wait: %s", life->id, error_message(&err));
	} while (r != 0 && clock_monotonic_ms() < end);
	if (r != 0)
		churn_fail(churn, "%s: its init does not end", life->id);
	else if (status != fate->status)
		churn_fail(churn, "%s: its init ended with %u, not %u", life->id, status,
			fate->status);
}

static void delete_it(struct churn *churn, struct ttrpc_client *client, struct life *life)
{
	Containerd__Task__V2__DeleteRequest r = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	r.id = life->id;
	if (churn_call(churn, client, TASK, "Delete", &r,
		    &containerd__task__v2__delete_response__descriptor, NULL, CHURN_CALL_MS,
		    &err) != 0 &&
		!(err.code == CODE_NOT_FOUND && life->inherited))
		churn_fail(churn, "%s: Delete: %s", life->id, error_message(&err));
}

/* Whatever its maker had come to. One that was never started has no fate of its own yet. */
static void end_container(struct churn *churn, struct ttrpc_client *client, struct life *life,
	uint32_t number, const Cleat__Shim__V1__InfoResponse *info)
{
	const struct fate fate = churn_init_fate(number);
	_cleanup_error_ struct error err = ERROR_INIT;

	/* the Start of one who was killed may be under way, and come first */
	if (strcmp(info->status, "created") == 0 && start(churn, client, life, &err) != 0 &&
		err.code != CODE_FAILED_PRECONDITION)
		churn_fail(churn, "%s: %s", life->id, error_message(&err));
	if (strcmp(info->status, "stopped") != 0 && fate.signal != SIGKILL)
		await_tool(churn, life, info->pid);
	if (strcmp(info->status, "stopped") != 0)
		end_init(churn, client, life, &fate, info->pid);
	if (!life->inherited) {
		check_ledger(churn, client, life, number);
		check_execs(churn, client, life);
	}
	delete_it(churn, client, life);
}

/* Asks it to end, which it does not do while it has a container, or is making one. */
static void shut_down(struct churn *churn, struct ttrpc_client *client, struct life *life)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	r.id = life->id;
	if (churn_call(churn, client, TASK, "Shutdown", &r, EMPTY, NULL, CHURN_CALL_MS, &err) != 0)
		churn_fail(churn, "%s: Shutdown: %s", life->id, error_message(&err));
}

static bool is_gone(const struct pidref *shim, int64_t timeout_ms)
{
	struct pollfd p = { .fd = shim->fd, .events = POLLIN };

	return shim->fd < 0 || poll(&p, 1, (int)timeout_ms) == 1;
}

/* One step towards the shim's end; false where it is gone already. */
static bool end_step(struct churn *churn, struct ttrpc_client *client, struct life *life,
	uint32_t number, struct pidref *shim)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Cleat__Shim__V1__InfoResponse *info = churn_info(churn, client, &err);

	if (!info)
		return false;
	if (shim->fd < 0)
		pidref_open((pid_t)info->shim_pid, shim);
	if (!*info->status)
		shut_down(churn, client, life);
	else if (strcmp(info->status, "unknown") != 0) /* its Create is under way */
		end_container(churn, client, life, number, info);
	bed_free(info);
	return true;
}

static void end_all_of_it(
	struct churn *churn, struct ttrpc_client *client, struct life *life, uint32_t number)
{
	const int64_t end = clock_monotonic_ms() + END_MS;
	struct pidref shim = PIDREF_INIT;

	while (end_step(churn, client, life, number, &shim) && !is_gone(&shim, 50) &&
		!churn->failed)
		if (clock_monotonic_ms() > end)
			churn_fail(churn, "%s: its shim does not end", life->id);
	if (!is_gone(&shim, END_MS) || access(life->socket, F_OK) == 0)
		churn_fail(churn, "%s: its shim, or its socket, is left", life->id);
	pidref_close(&shim);
}

void life_end(struct churn *churn, struct slot *slot)
{
	const uint32_t number = slot->life;
	struct life *life = &churn->lives[number];
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client = NULL;

	if (!number || life->phase == LIFE_GONE)
		return;
	if (life->phase == LIFE_NONE && !find_socket(churn, life)) {
		life->phase = LIFE_GONE;
		return;
	}
	life->inherited = life->phase != LIFE_RUNNING;
	life->phase = LIFE_ENDING;
	if (ttrpc_client_connect(life->socket, NULL, &client, &err) == 0) {
		end_all_of_it(churn, client, life, number);
	} else if (!life->inherited) {
		churn_fail(churn, "%s: %s", life->id, error_message(&err));
	}
	ttrpc_client_free(client);
	life->phase = LIFE_GONE;
}
