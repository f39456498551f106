/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a dead shim left: which exit is told, whom a delete ends and whom it spares, what the runtime
 * and cleat-shim are called for, and that a delete that failed can be tried again. Both programs are
 * scripts that note how they were called.
 *
 * no valgrind: 3.19 has no pidfd_open(2), by which a process that is to be ended is held
 */
#include "common/orphan.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/pidref.h"
#include "test/unit/ledger_bed.h"

#define NS "default"
#define ID "web"

/* An orphan: a folder whose lock nobody holds, and the processes that its record names. */
struct orphan {
	struct bed *bed;
	char root[128], runtime[128], socket[128], path[256];
	pid_t init, exec;
	struct container_record record;
	struct exec_record execs[1];
	struct state_dir dir; /* a reader's */
};

static pid_t sleeper(void)
{
	pid_t pid = fork_child();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static uint64_t start_time(pid_t pid)
{
	struct proc_stat stat;

	assert_int_equal(proc_stat_read(pid, &stat), 0);
	return stat.start_time;
}

static bool lives(pid_t pid)
{
	struct proc_stat stat;

	return proc_stat_read(pid, &stat) == 0 && stat.state != 'Z';
}

static void assert_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void end(pid_t pid)
{
	assert_true(lives(pid));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Both scripts write down their arguments; what they do then is the test's. */
static void write_programs(struct orphan *o, const char *runtime, const char *shim)
{
	char text[512];

	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$*\" >>%s/calls\n%s\n", o->bed->path,
		runtime);
	write_script(o->bed->dir, "runc", text);
	snprintf(text, sizeof(text), "#!/bin/sh\necho \"shim $*\" >>%s/calls\n%s\n", o->bed->path,
		shim);
	write_script(o->bed->dir, "cleat-shim", text);
}

static void save(struct orphan *o)
{
	struct error err = ERROR_INIT;

	assert_ok(container_record_write(&o->dir, &o->record, &err), &err);
}

static void make_orphan(struct orphan *o, struct bed *bed)
{
	struct state_dir made = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	struct shim_record shim = { .pid = 4194303, .start_time = 1, .version = (char *)"0.1.0" };

	*o = (struct orphan){ .bed = bed, .dir = STATE_DIR_INIT };
	snprintf(o->root, sizeof(o->root), "%s/root", bed->path);
	snprintf(o->runtime, sizeof(o->runtime), "%s/runc", bed->path);
	snprintf(o->socket, sizeof(o->socket), "%s/socket", bed->path);
	snprintf(o->path, sizeof(o->path), "%s:/usr/bin:/bin", bed->path);
	setenv("PATH", o->path, 1);
	write_programs(o, "exit 0", "exit 0");
	write_text(bed->dir, "socket", "");
	o->init = sleeper();
	o->exec = sleeper();
	o->execs[0] = (struct exec_record){ (char *)"e", (char *)"running", o->exec,
		start_time(o->exec) };
	o->record = (struct container_record){ .id = (char *)ID,
		.ns = (char *)NS,
		.bundle = (char *)"/b",
		.runtime = o->runtime,
		.runtime_kind = (char *)"runc",
		.runtime_root = o->root,
		.systemd_cgroup = true,
		.status = (char *)"running",
		.pid = o->init,
		.start_time = start_time(o->init),
		.execs = o->execs,
		.n_execs = 1 };
	assert_ok(state_prepare(o->root, NS, &err), &err);
	assert_ok(state_dir_create(o->root, NS, ID, &made, &err), &err);
	shim.socket = o->socket;
	assert_ok(shim_record_write(&made, &shim, &err), &err);
	state_dir_close(&made); /* the shim is dead */
	assert_ok(state_dir_open(o->root, NS, ID, &o->dir, &err), &err);
	save(o);
}

static void finish(struct orphan *o)
{
	state_dir_close(&o->dir);
}

/* The calls of the two programs must have been these; none: "". */
static void assert_calls(struct orphan *o, const char *wanted)
{
	char *calls = is_there(o->bed->dir, "calls") ? read_text(o->bed->dir, "calls") : NULL;

	assert_string_equal(calls ? calls : "", wanted);
	free(calls);
	unlinkat(o->bed->dir, "calls", 0);
}

static void assert_gone(struct orphan *o)
{
	assert_false(is_there(o->bed->dir, "root/c/" NS "/" ID));
	assert_false(is_there(o->bed->dir, "socket"));
	assert_int_equal(count_names(o->bed->dir, "root/c/" NS), 0);
}

static void assert_kept(struct orphan *o)
{
	struct error err = ERROR_INIT;
	struct container_record r = { 0 };

	assert_true(is_there(o->bed->dir, "socket"));
	assert_ok(container_record_read(&o->dir, &r, &err), &err);
	container_record_deinit(&r);
	assert_false(state_dir_is_locked(&o->dir));
}

/* Another reader, as each command is one. */
static void reopen(struct orphan *o)
{
	struct error err = ERROR_INIT;

	state_dir_close(&o->dir);
	assert_ok(state_dir_open(o->root, NS, ID, &o->dir, &err), &err);
}

static void refuse(struct orphan *o, bool force, int code, const char *sentence)
{
	struct error err = ERROR_INIT;

	assert_error(orphan_delete(&o->dir, force, &err), &err, code, sentence);
	reopen(o);
	assert_kept(o);
}

static const char *call_of_delete(const struct orphan *o)
{
	static char text[512];

	snprintf(text, sizeof(text), "--root=%s --systemd-cgroup delete --force " ID "\n", o->root);
	return text;
}

/* --- the exit --- */

static void test_exit(void **state)
{
	struct exit_entry e = { 0 };
	struct error err = ERROR_INIT;
	struct ledger *l;
	struct orphan o;
	bool found = true;

	make_orphan(&o, *state);
	assert_ok(orphan_exit(&o.dir, &found, &e, &err), &err);
	assert_false(found); /* there is no ledger */
	l = open_ledger(o.dir.fd);
	record(l, "e", 41);
	assert_ok(orphan_exit(&o.dir, &found, &e, &err), &err);
	assert_false(found); /* an exec's is not the init's */
	record(l, "", 42);
	record(l, "late", 43);
	assert_ok(orphan_exit(&o.dir, &found, &e, &err), &err);
	assert_true(found);
	assert_string_equal(e.id, "web");
	assert_string_equal(e.exec_id, "");
	assert_int_equal(e.pid, 42);
	assert_int_equal(e.status, 42);
	assert_true(e.known);
	exit_entry_deinit(&e);
	record(l, "", 44); /* the same container, started once again after a restore that failed */
	assert_ok(orphan_exit(&o.dir, &found, &e, &err), &err);
	assert_int_equal(e.pid, 44);
	exit_entry_deinit(&e);
	ledger_free(l);
	end(o.init);
	end(o.exec);
	finish(&o);
}

/* --- delete --- */

static void test_force_ends_all_of_it(void **state)
{
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	assert_ok(orphan_delete(&o.dir, true, &err), &err);
	assert_killed(o.init);
	assert_killed(o.exec);
	assert_calls(&o, call_of_delete(&o));
	assert_gone(&o);
	finish(&o);
}

static void test_one_that_lives_needs_force(void **state)
{
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	refuse(&o, false, CODE_FAILED_PRECONDITION,
		"container web is still running, though its shim is dead: --force ends it");
	assert_true(lives(o.init) && lives(o.exec));
	assert_calls(&o, "");
	/* with its init it has ended, whatever its record says */
	end(o.init);
	assert_ok(orphan_delete(&o.dir, false, &err), &err);
	assert_killed(o.exec);
	assert_calls(&o, call_of_delete(&o));
	assert_gone(&o);
	finish(&o);
}

/* The numbers have been given to others since. */
static void test_other_processes_are_spared(void **state)
{
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	o.record.start_time--;
	o.execs[0].start_time++;
	save(&o);
	assert_ok(orphan_delete(&o.dir, false, &err), &err);
	assert_gone(&o);
	end(o.init);
	end(o.exec);
	finish(&o);
}

static void test_a_shim_that_lives(void **state)
{
	struct state_dir shim = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	assert_ok(state_dir_open(o.root, NS, ID, &shim, &err), &err);
	assert_ok(state_dir_lock(&shim, &err), &err);
	assert_error(orphan_delete(&o.dir, true, &err), &err, CODE_FAILED_PRECONDITION, NULL);
	assert_calls(&o, "");
	assert_true(lives(o.init) && lives(o.exec));
	state_dir_close(&shim);
	reopen(&o);
	assert_kept(&o);
	end(o.init);
	end(o.exec);
	finish(&o);
}

/* One that was killed during a create, of which it is not known what it has made. */
static void test_one_that_was_being_created(void **state)
{
	struct orphan o;

	make_orphan(&o, *state);
	end(o.init);
	end(o.exec);
	o.record.making.is_so = true;
	save(&o);
	refuse(&o, false, CODE_FAILED_PRECONDITION,
		"container web was being created when its shim died: --force removes it");
	assert_calls(&o, "");
	finish(&o);
}

/* Its shim died before there was a container. */
static void test_without_a_record(void **state)
{
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	assert_int_equal(unlinkat(o.dir.fd, "state.json", 0), 0);
	assert_ok(orphan_delete(&o.dir, false, &err), &err);
	assert_calls(&o, "");
	assert_gone(&o);
	end(o.init);
	end(o.exec);
	finish(&o);
}

static void test_a_record_that_is_broken(void **state)
{
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	write_text(o.dir.fd, "state.json", "{ \"v\": 1, ");
	assert_error(orphan_delete(&o.dir, true, &err), &err, CODE_INTERNAL, NULL);
	assert_true(is_there(o.bed->dir, "root/c/" NS "/" ID "/state.json"));
	assert_true(is_there(o.bed->dir, "socket"));
	assert_calls(&o, "");
	end(o.init);
	end(o.exec);
	finish(&o);
}

/* --- what fails, and is tried again --- */

static void test_runtime_that_fails(void **state)
{
	struct error err = ERROR_INIT;
	struct orphan o;

	make_orphan(&o, *state);
	write_programs(&o, "echo no such luck >&2; exit 1", "exit 0");
	o.record.rootfs = (char *)"/mnt/rootfs";
	save(&o);
	refuse(&o, true, CODE_UNKNOWN, "container web: runc delete: no such luck");
	assert_killed(o.init);
	assert_killed(o.exec);
	assert_calls(&o, call_of_delete(&o)); /* and no unmount under a container that is there */
	write_programs(&o, "echo container does not exist >&2; exit 1", "exit 0");
	assert_ok(orphan_delete(&o.dir, true, &err), &err);
	assert_gone(&o);
	finish(&o);
}

static void test_rootfs(void **state)
{
	struct error err = ERROR_INIT;
	char wanted[1024];
	struct orphan o;

	make_orphan(&o, *state);
	write_programs(&o, "exit 0", "echo /mnt/rootfs: device or resource busy >&2; exit 1");
	o.record.rootfs = (char *)"/mnt/rootfs";
	save(&o);
	refuse(&o, true, CODE_INTERNAL, "container web: /mnt/rootfs: device or resource busy");
	snprintf(wanted, sizeof(wanted), "%sshim unmount /mnt/rootfs\n", call_of_delete(&o));
	assert_calls(&o, wanted);
	assert_killed(o.init);
	assert_killed(o.exec);
	write_programs(&o, "exit 0", "exit 1");
	refuse(&o, true, CODE_INTERNAL, "container web: its rootfs could not be unmounted");
	write_programs(&o, "exit 0", "exit 0");
	o.record.rootfs_made = true;
	save(&o);
	unlinkat(o.bed->dir, "calls", 0);
	assert_ok(orphan_delete(&o.dir, true, &err), &err);
	snprintf(wanted, sizeof(wanted), "%sshim unmount /mnt/rootfs made\n", call_of_delete(&o));
	assert_calls(&o, wanted);
	assert_gone(&o);
	finish(&o);
}

/* --- its runtime --- */

static void test_runtime(void **state)
{
	char *options[] = { (char *)"platform=ptrace", (char *)"debug", NULL };
	struct container_record r = { .runtime = (char *)"/bin/sh",
		.runtime_kind = (char *)"runsc",
		.runtime_root = (char *)"/r",
		.systemd_cgroup = true,
		.runtime_options = options };
	struct runtime rt = RUNTIME_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(orphan_runtime(&r, &rt, &err), &err);
	assert_string_equal(rt.command, "/bin/sh");
	assert_string_equal(rt.root, "/r");
	assert_int_equal(rt.kind, RUNTIME_RUNSC);
	assert_true(rt.systemd_cgroup);
	runtime_deinit(&rt);
	r.runtime = (char *)"/none/such";
	assert_error(orphan_runtime(&r, &rt, &err), &err, CODE_NOT_FOUND,
		"runtime \"/none/such\": No such file or directory");
	runtime_deinit(&rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_exit),
		bed_test(test_force_ends_all_of_it),
		bed_test(test_one_that_lives_needs_force),
		bed_test(test_other_processes_are_spared),
		bed_test(test_a_shim_that_lives),
		bed_test(test_one_that_was_being_created),
		bed_test(test_without_a_record),
		bed_test(test_a_record_that_is_broken),
		bed_test(test_runtime_that_fails),
		bed_test(test_rootfs),
		bed_test(test_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
