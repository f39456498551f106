/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The scripted runtime's commands that make processes: create, start, run, restore, exec. The
 * order of their steps is runc's: process, state, pid file, return.
 */

#include "test/fault/fake_process.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* runc's own rule, but for "." and "..". */
static bool id_is_valid(const char *id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-.";

	return *id != '\0' && strlen(id) <= 1024 && id[strspn(id, allowed)] == '\0' &&
	       strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

static int write_pid_file(struct fake *fake, pid_t pid)
{
	const char *path = fake->options.pid_file, *text;
	char number[32];
	int r;

	if (!path || script_trait(fake, TRAIT_NO_PID_FILE, NULL))
		return 0;
	snprintf(number, sizeof(number), "%d", (int)pid);
	if (!script_trait(fake, TRAIT_PID_FILE, &text))
		text = number;
	else if (strcmp(text, "empty") == 0)
		text = "";
	r = fake_write_file(path, text);
	return r < 0 ? fake_fail(fake, "open %s: %s", path, strerror(-r)) : 0;
}

/* What the script says for the time between the fork and the return. The process is there. */
static int finish_launch(struct fake *fake, const struct launch *launch, pid_t pid)
{
	int r;

	if (script_trait(fake, TRAIT_CRASH_AFTER_FORK, NULL))
		script_crash();
	if (launch->verdict.kind != VERDICT_NONE || script_trait(fake, TRAIT_AWAIT_EXIT, NULL))
		process_await(pid, 0, -1);
	if (script_trait(fake, TRAIT_REUSED_PID, NULL)) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	r = write_pid_file(fake, pid);
	if (r == 0 && script_trait(fake, TRAIT_CRASH_AFTER_PID, NULL))
		script_crash();
	return r;
}

/* Makes the container with its init, which waits at the gate or not. A failure leaves nothing. */
static int make_container(struct fake *fake, bool gated, bool detach, struct container *ret,
	struct program *ret_program)
{
	const char *id = fake->args[0];
	struct launch launch = { .program = ret_program,
		.container = ret,
		.gated = gated,
		.verdict = script_verdict(fake),
		.early_orphan = script_trait(fake, TRAIT_EARLY_ORPHAN, NULL) };
	pid_t pid;
	int r = program_from_bundle(fake, fake->options.bundle, ret_program);

	(void)script_trait(fake, TRAIT_LATE_ORPHAN, &launch.late_orphan);
	if (r != 0)
		return r;
	if (!id_is_valid(id))
		return fake_fail(fake, "invalid container ID format");
	r = program_check_console(fake, ret_program, detach);
	if (r != 0)
		return r;
	r = container_make(fake, id, ret);
	if (r == -EEXIST)
		return fake_fail(fake, "container with given ID already exists");
	if (r < 0)
		return fake_fail(fake, "%s", strerror(-r));
	r = launch_process(fake, &launch, &pid);
	if (r != 0) {
		container_remove(fake, id);
		return r;
	}
	if (container_add_session(ret, pid) < 0 ||
		container_save(ret, pid, ret_program->bundle, ret_program->rootfs) < 0)
		return fake_fail(fake, "unable to save the state");
	return finish_launch(fake, &launch, pid);
}

int fake_create(struct fake *fake)
{
	struct container container;
	struct program program;

	return make_container(fake, true, true, &container, &program);
}

/* Reads the byte that the init writes on its way through. false once it will not come. The pidfd
 * is first: once the fifo is open the init runs, and may be dead and reaped at once. */
static bool open_gate(const struct container *c)
{
	_cleanup_close_ int init = pidfd_open(c->pid, 0);
	_cleanup_close_ int fifo = openat(c->dir, "exec.fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct pollfd p[2] = { { fifo, POLLIN, 0 }, { init, POLLIN, 0 } };
	char byte;

	if (fifo < 0 || init < 0)
		return false;
	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	return read(fifo, &byte, 1) == 1;
}

int fake_start(struct fake *fake)
{
	struct verdict verdict = script_verdict(fake);
	struct container c;
	char text[64];
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	switch (container_status(&c)) {
	case STATUS_CREATED:
		break;
	case STATUS_RUNNING:
		return fake_fail(fake, "cannot start an already running container");
	case STATUS_PAUSED:
		return fake_fail(fake, "cannot start a container in the paused state");
	case STATUS_STOPPED:
		return fake_fail(fake, "cannot start a container that has stopped");
	}
	snprintf(text, sizeof(text), "%d %d", (int)verdict.kind, verdict.value);
	if (verdict.kind != VERDICT_NONE && container_put(&c, "verdict", text) < 0)
		return fake_fail(fake, "unable to write the verdict");
	if (!open_gate(&c))
		return fake_fail(fake, "cannot start a container that has stopped");
	(void)unlinkat(c.dir, "exec.fifo", 0);
	if (script_trait(fake, TRAIT_CRASH_AFTER_FORK, NULL))
		script_crash();
	if (verdict.kind != VERDICT_NONE || script_trait(fake, TRAIT_AWAIT_EXIT, NULL))
		process_await(c.pid, c.start_time, -1);
	return 0;
}

/* Waits for our child in the foreground and passes signals on to it. Its exit status. */
static int stay_with(pid_t pid)
{
	static const int passed_on[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		int status = 0, sig;

		if (waitpid(pid, &status, WNOHANG) != 0)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		sig = sigwaitinfo(&set, NULL);
		if (sig > 0 && sig != SIGCHLD)
			kill(pid, sig);
	}
}

/* run and restore: a container that starts at once; in the foreground, to its end. */
static int run_container(struct fake *fake)
{
	struct container container;
	struct program program;
	int r = make_container(fake, false, fake->options.detach, &container, &program);

	if (r != 0 || fake->options.detach)
		return r;
	r = stay_with(container.pid);
	if (!fake->options.keep) {
		(void)container_kill_all(&container);
		container_remove(fake, container.id);
	}
	return r;
}

int fake_run(struct fake *fake)
{
	return run_container(fake);
}

int fake_restore(struct fake *fake)
{
	const char *folder = fake->options.image_path ? fake->options.image_path : "checkpoint";
	char path[4096];

	snprintf(path, sizeof(path), "%s/fake.img", folder);
	if (access(path, R_OK) < 0)
		return fake_fail(fake, "criu failed: type NOTIFY errno 0");
	return run_container(fake);
}

int fake_exec(struct fake *fake)
{
	struct container c;
	struct program program;
	struct launch launch = { .program = &program,
		.container = &c,
		.verdict = script_verdict(fake),
		.early_orphan = script_trait(fake, TRAIT_EARLY_ORPHAN, NULL) };
	enum status status;
	pid_t pid;
	int r = container_need(fake, &c);

	(void)script_trait(fake, TRAIT_LATE_ORPHAN, &launch.late_orphan);
	if (r != 0)
		return r;
	status = container_status(&c);
	if (status == STATUS_STOPPED)
		return fake_fail(fake, "cannot exec in a stopped container");
	if (status == STATUS_PAUSED && !fake->options.ignore_paused)
		return fake_fail(fake,
			"cannot exec in a paused container (use --ignore-paused to override)");
	r = program_for_exec(fake, json_string_value(json_object_get(c.state, "bundle")), &program);
	if (r == 0)
		r = program_check_console(fake, &program, fake->options.detach);
	if (r == 0)
		r = launch_process(fake, &launch, &pid);
	if (r != 0)
		return r;
	(void)container_add_session(&c, pid);
	r = finish_launch(fake, &launch, pid);
	return r != 0 || fake->options.detach ? r : stay_with(pid);
}
