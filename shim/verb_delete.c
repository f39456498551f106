/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `delete`: removes a container whose shim is dead and prints the DeleteResponse, as containerd
 * asks it. containerd calls it after every connection that ended, also after a shim that ended in
 * order, and kills it after 5 s; then it publishes what was printed as the container's exit.
 *
 *   in the bundle                      then
 *   no state.json                      there is nothing to remove: the answer alone
 *   state.json, the lock is free       the container is ended and removed
 *   a state.json that cannot be read   the same, by what the option files of the bundle tell
 *   state.json, somebody has the lock  so does the shim, which nobody can reach any more: first
 *                                      it is killed
 *
 * The exit is the ledger's; else how the init ended when it was killed here, where that is certain;
 * else 255, which is containerd's own word for what nobody knows.
 *
 * What may hang (the runtime, an unmount, a process in the kernel) is done by a child, `sweep`, which is
 * killed with all that it runs when its time is over. What is known by then is told all the same.
 *
 * Races:
 * - A shim in its last seconds, which forwards events and has the lock: it has removed state.json, so
 *   it is left alone.
 * - The init ends by itself between the shim's death and our kill: it is never taken for killed, see
 *   ending.h.
 * - A second delete, or a Delete of cleat's command line: the lock is taken by one of them.
 */
#include "shim/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/orphan.h"
#include "common/run.h"
#include "common/state_bundle.h"
#include "shim/record_rebuild.h"
#include "task.pb-c.h"

#define NS		 1000000000
#define SWEEP_MS	 3200 /* containerd gives the whole of it 5 s */
#define SWEEP_DIES_MS	 300  /* or it is left to the kernel */
#define SHIM_DIES_MS	 1000
#define LOCK_MS		 100 /* a child that the shim was about to run has a copy of it for an instant */
#define LIMIT_RESPONSE	 4096
#define LIMIT_COMPLAINTS (64u << 10)
#define STATUS_UNKNOWN	 255

/* --- the answer --- */

struct answer {
	pid_t pid;
	uint32_t status;
	moment at;
};

static int print_response(const struct answer *a)
{
	Containerd__Task__V2__DeleteResponse response = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	_cleanup_free_ uint8_t *data = NULL;
	size_t n;

	response.pid = (uint32_t)a->pid;
	response.exit_status = a->status;
	at.seconds = a->at / NS;
	at.nanos = (int32_t)(a->at % NS);
	response.exited_at = &at;
	n = containerd__task__v2__delete_response__get_packed_size(&response);
	data = malloc(n ? n : 1);
	if (!data)
		return 1;
	containerd__task__v2__delete_response__pack(&response, data);
	return fwrite(data, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : 1;
}

/* What the ledger has. Otherwise unknown, and now. */
static int ask_ledger(
	const struct state_dir *dir, bool *ret_known, struct answer *ret, struct error *err)
{
	struct exit_entry e = { 0 };
	bool found = false;
	int r = orphan_exit(dir, &found, &e, err);

	*ret = (struct answer){ 0, STATUS_UNKNOWN, clock_now() };
	*ret_known = found && e.known;
	if (found)
		*ret = (struct answer){ e.pid, e.known ? e.status : STATUS_UNKNOWN, e.exited_at };
	exit_entry_deinit(&e);
	return r;
}

static int complain(const struct error *err)
{
	fprintf(stderr, "cleat-shim: %s\n", error_message(err));
	return 1;
}

/* --- for cleat --- */

static int delete_for_cleat(const struct verb_options *o, struct answer *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_free_ char *root = verb_root(o, err);
	bool known;
	int r = root ? id_check(o->ns, "namespace", err) : (int)err->code;

	if (r == 0)
		r = id_check(o->id, "container id", err);
	if (r == 0)
		r = state_dir_open(root, o->ns, o->id, &dir, err);
	if (r == 0)
		r = ask_ledger(&dir, &known, ret, err);
	return r == 0 ? orphan_delete(&dir, true, err) : r;
}

/* --- for containerd: the child --- */

static int open_bundle(const struct verb_options *o, struct state_dir *ret, struct error *err)
{
	char cwd[PATH_MAX];
	const char *path = o->bundle && *o->bundle ? o->bundle : getcwd(cwd, sizeof(cwd));

	if (!path)
		return error_errno(err, -errno, "the bundle, which is the working folder");
	return state_bundle_open(path, o->ns, o->id, ret, err);
}

/* It has the lock and cannot be reached. Its container is ended by us, so it is no loss. */
static int end_shim(const struct state_dir *dir, struct error *err)
{
	_cleanup_(shim_record_deinit) struct shim_record record = { 0 };
	_cleanup_(pidref_close) struct pidref shim = PIDREF_INIT;
	struct pollfd poll_fd = { .events = POLLIN };
	int r = shim_record_read(dir, &record, err);

	if (r != 0)
		return r;
	r = pidref_open_same(record.pid, record.start_time, &shim);
	if (r == 0)
		r = pidref_signal(&shim, SIGKILL);
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return error_errno(err, r, "container %s: its shim %d", dir->id, record.pid);
	poll_fd.fd = shim.fd;
	if (poll(&poll_fd, 1, SHIM_DIES_MS) == 1) {
		for (int i = 0; i < LOCK_MS && state_dir_is_locked(dir); i++)
			poll(NULL, 0, 1);
		return 0;
	}
	return error_set(err, CODE_DEADLINE_EXCEEDED, "container %s: its shim %d does not die",
		dir->id, record.pid);
}

/* The init as the record has it, from before its shim is killed: by it the kernel may tell its exit. */
static void open_init(const struct state_dir *dir, struct pidref *ret)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };

	if (container_record_read(dir, &record, NULL) == 0 &&
		pidref_open_same(record.pid, record.start_time, ret) != 0)
		ret->pid = record.pid; /* told, though it is gone */
}

/* A state.json that cannot be read must not keep the container. What is wrong with it is said. */
static int make_readable(struct state_dir *dir, struct error *err)
{
	_cleanup_(container_record_deinit) struct container_record record = { 0 };
	char root[sizeof(CONTAINERD_RUNTIMES) + LIMIT_ID + 2];
	int r = container_record_read(dir, &record, err);

	if (r == 0 || r == CODE_NOT_FOUND) {
		error_clear(err);
		return 0;
	}
	fprintf(stderr, "cleat-shim: %s\n", error_message(err));
	error_clear(err);
	snprintf(root, sizeof(root), CONTAINERD_RUNTIMES "/%s", dir->ns);
	return record_rebuild(dir, root, err);
}

static int sweep(struct state_dir *dir, struct answer *ret, struct error *err)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_INIT;
	struct ending ending = { 0 };
	const struct orphan_options options = {
		.force = true, .is_leashed = true, .program = "/proc/self/exe", .init = &ending
	};
	bool known = false;
	int r;

	open_init(dir, &init);
	r = state_dir_is_locked(dir) ? end_shim(dir, err) : 0;
	if (r == 0) /* the shim may have recorded it to the last */
		r = ask_ledger(dir, &known, ret, err);
	if (r == 0)
		r = make_readable(dir, err);
	if (r == 0)
		r = orphan_remove(dir, &options, err);
	if (r != 0 || known)
		return r;
	if (!ending.is_known && init.fd >= 0)
		ending_learn(&init, &ending);
	*ret = (struct answer){ init.pid, STATUS_UNKNOWN, clock_now() };
	if (ending.is_known)
		ret->status = ending_status(&ending);
	return 0;
}

int verb_sweep(const struct verb_options *o)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct answer answer;

	log_init(LOG_LEVEL_WARNING, STDERR_FILENO);
	if (open_bundle(o, &dir, &err) != 0 || sweep(&dir, &answer, &err) != 0)
		return complain(&err);
	return print_response(&answer);
}

/* --- for containerd: the command --- */

/* containerd logs it, and takes the answer all the same. */
static void warn(const char *id, const struct run_result *run)
{
	if (run->timed_out)
		fprintf(stderr,
			"cleat-shim: container %s: what is left of it was not removed in %d ms\n",
			id, SWEEP_MS);
	if (run->err.len > 0)
		fwrite(buf_head(&run->err), 1, run->err.len, stderr);
}

static bool has_succeeded(const struct run_result *run)
{
	return !run->timed_out && WIFEXITED(run->wait_status) && WEXITSTATUS(run->wait_status) == 0;
}

/* Through a child, in whose hands the folder is. */
static int run_sweep(const struct verb_options *o, const struct state_dir *dir, struct error *err)
{
	_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
	char *argv[] = { (char *)"/proc/self/exe", (char *)"-namespace", (char *)o->ns,
		(char *)"-id", (char *)o->id, (char *)"-bundle", dir->path, (char *)"sweep", NULL };
	const struct run_options options = {
		.argv = argv,
		.out_limit = LIMIT_RESPONSE,
		.err_limit = LIMIT_COMPLAINTS,
		.deadline_ms = SWEEP_MS,
		.kill_ms = SWEEP_DIES_MS,
		.death_signal = SIGKILL,
	};
	struct answer answer;
	bool known = false;
	int r = run_program(&options, &run);

	if (r == -ETIMEDOUT)
		run.timed_out = true;
	else if (r < 0)
		return error_errno(err, r, "container %s", dir->id);
	warn(dir->id, &run);
	if (has_succeeded(&run))
		return fwrite(buf_head(&run.out), 1, run.out.len, stdout) == run.out.len &&
				       fflush(stdout) == 0
			       ? 0
			       : error_errno(err, -EIO, "the answer cannot be told");
	r = ask_ledger(dir, &known, &answer, err);
	if (r == 0 && !known)
		r = error_set(err, CODE_INTERNAL, "container %s was not removed", dir->id);
	return r == 0 && print_response(&answer) != 0
		       ? error_errno(err, -EIO, "the answer cannot be told")
		       : r;
}

/* Of a shim that was killed before it had a container, or after; one that lives has the lock. */
static void remove_socket(struct state_dir *dir)
{
	_cleanup_(shim_record_deinit) struct shim_record record = { 0 };

	if (state_dir_lock(dir, NULL) == 0 && shim_record_read(dir, &record, NULL) == 0)
		unlink(record.socket);
}

static bool has_container(const struct state_dir *dir)
{
	return faccessat(dir->fd, "state.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int delete_for_containerd(const struct verb_options *o, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	struct answer answer;
	bool known;
	int r = open_bundle(o, &dir, err);

	if (r != 0)
		return r;
	if (has_container(&dir))
		return run_sweep(o, &dir, err);
	remove_socket(&dir);
	r = ask_ledger(&dir, &known, &answer, err);
	return r == 0 && print_response(&answer) != 0
		       ? error_errno(err, -EIO, "the answer cannot be told")
		       : r;
}

int verb_delete(const struct verb_options *o)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct answer answer;

	if (o->for_containerd)
		return delete_for_containerd(o, &err) == 0 ? 0 : complain(&err);
	if (delete_for_cleat(o, &answer, &err) != 0)
		return complain(&err);
	return print_response(&answer);
}
