/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two command lines: containerd's for its own shim, and for ours where it is called as Task v2
 * (runtime/v2/shim in containerd 1.6: cwd is the bundle, TTRPC_ADDRESS in the environment, the log a
 * FIFO in the bundle); cleat's own where ours is called as Task v3. Never ends what it started: the caller knows its pid from Connect.
 */
#include "test/conformance/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/spawn.h"
#include "test/conformance/sink.h"

#define REFERENCE "containerd-shim-runc-v2"
#define DROP_IN	  "containerd-shim-cleat-v2"
#define OURS	  "cleat-shim"
#define SCHEME	  "unix://"

char *launch_runtime_root(const struct conform *conform)
{
	return format("%s/r", conform->dir);
}

bool launch_tells_exec_delete(const struct conform *conform)
{
	return !conform->reference;
}

bool launch_oom_is_true(const struct conform *conform)
{
	return !conform->reference;
}

/* What the command prints, and whether it ended well. */
static bool run_start(char *const *argv, const char *cwd, struct buf *out)
{
	_cleanup_close_ int in = -1;
	struct spawn_fd fds[2] = { { .to = STDOUT_FILENO },
		{ .from = STDERR_FILENO, .to = STDERR_FILENO } };
	struct pidref child = PIDREF_INIT;
	int pipe_fds[2], status = -1, r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		die("pipe: %m");
	in = pipe_fds[0];
	fds[0].from = pipe_fds[1];
	r = spawn(&(struct spawn_options){ .argv = argv, .cwd = cwd, .fds = fds, .n_fds = 2 },
		&child);
	close(pipe_fds[1]);
	if (r < 0)
		die("%s: %s", argv[0], strerror(-r));
	r = fd_read_all(in, out, 4096);
	while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
		;
	pidref_close(&child);
	return r == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool start_as_containerd(const struct conform *conform, const char *program, const char *id,
	const char *bundle, struct buf *out)
{
	_cleanup_free_ char *address = format("%s/containerd.sock", conform->dir);
	const char *const argv[] = { program, "-namespace", CONFORM_NS, "-id", id, "-address",
		address, "-publish-binary", "/bin/true", "start", NULL };

	return run_start((char *const *)argv, bundle, out);
}

static bool start_as_cleat(
	const struct conform *conform, const char *id, const char *bundle, struct buf *out)
{
	_cleanup_free_ char *root = format("%s/root", conform->dir);
	const char *const argv[] = { OURS, "-root", root, "-namespace", CONFORM_NS, "-id", id,
		"start", NULL };

	return run_start((char *const *)argv, bundle, out);
}

char *launch(const struct conform *conform, const char *id, const char *bundle)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *line = NULL;
	bool ok;

	setenv("TTRPC_ADDRESS", sink_address(conform->sink), 1);
	if (conform->reference)
		ok = start_as_containerd(conform, REFERENCE, id, bundle, &out);
	else if (strstr(conform->service, ".v2."))
		ok = start_as_containerd(conform, DROP_IN, id, bundle, &out);
	else
		ok = start_as_cleat(conform, id, bundle, &out);
	line = format("%.*s", (int)out.len, out.len ? (const char *)buf_head(&out) : "");
	line[strcspn(line, "\n")] = '\0';
	if (!ok || strncmp(line, SCHEME, strlen(SCHEME)) != 0)
		return NULL;
	return format("%s", line + strlen(SCHEME));
}
