/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking runs of the runtime, for programs without a loop. Judges nothing. Subtle: the private
 * file of a process spec is removed on every way out, also when the run could not begin.
 */
#include "common/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/run.h"
#include "common/runtime_look.h"

void runtime_log_argv(const struct argv *argv)
{
	char line[1024];
	size_t n = 0;

	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	for (size_t i = 0; i < argv->n && n < sizeof(line); i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", i ? " " : "", argv->v[i]);
	log_debug("runtime call", F_STR("command", line));
}

/* --- the private file of an exec's process --- */

struct spec_file {
	char *path; /* NULL: none */
};

static void spec_file_remove(struct spec_file *f)
{
	if (f->path)
		unlink(f->path);
	free(f->path);
	f->path = NULL;
}

static int spec_file_write(struct spec_file *f, const char *text)
{
	const char *folder = getenv("TMPDIR");
	_cleanup_close_ int fd = -1;
	char *path;

	if (asprintf(&path, "%s/cleat-process-XXXXXX", folder && *folder ? folder : "/tmp") < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		free(path);
		return -errno;
	}
	f->path = path;
	return fd_write_all(fd, text, strlen(text));
}

/* --- a run --- */

/* What a run has of the runtime and the request. */
static struct run_options options_of(
	const struct runtime *rt, const struct argv *argv, const struct argv *env, int in)
{
	return (struct run_options){
		.argv = argv->v,
		.env = env->v,
		.out_limit = LIMIT_RUNTIME_JSON,
		.err_limit = LIMIT_RUNTIME_STDERR,
		.deadline_ms = rt->deadline_ms,
		.in = in > 0 ? in : 0,
		.same_group = rt->same_group,
		.death_signal = rt->death_signal,
	};
}

static int run_line(const struct runtime *rt, const struct run_options *options,
	struct runtime_outcome *ret, bool *ret_stopped)
{
	struct run_result result;
	int r = run_program(options, &result);

	if (r < 0)
		return r;
	log_debug("runtime call ended", F_STR("command", rt->command),
		F_INT("wait_status", result.wait_status), F_INT("timed_out", result.timed_out));
	*ret = (struct runtime_outcome){
		.timed_out = result.timed_out,
		.deadline_ms = rt->deadline_ms,
		.wait_status = result.wait_status,
		.out = result.out,
		.err = result.err,
		.out_overflow = result.out_overflow,
	};
	*ret_stopped = result.stopped;
	return 0;
}

static bool feed_reader(const void *data, size_t n, void *userdata)
{
	return runtime_event_reader_feed(userdata, data, n);
}

/* reader: NULL, or gets what is printed, without a deadline. 0, a code, or -errno. */
static int run_prepared(const struct runtime *rt, const struct runtime_request *request,
	struct runtime_event_reader *reader, struct runtime_outcome *ret, bool *ret_stopped,
	struct error *err)
{
	_cleanup_argv_ struct argv argv = ARGV_INIT, env = ARGV_INIT;
	_cleanup_close_ int in = -1;
	struct run_options options;
	int r = runtime_argv(rt, request, &argv, err);

	if (r != 0)
		return r;
	r = runtime_env(&env);
	if (r == 0 && request->input)
		r = fd_of_data(request->input, strlen(request->input), &in);
	if (r < 0)
		return r;
	options = options_of(rt, &argv, &env, in);
	if (reader) {
		options.no_deadline = true;
		options.on_out = feed_reader;
		options.userdata = reader;
	}
	runtime_log_argv(&argv);
	return run_line(rt, &options, ret, ret_stopped);
}

static int run_request(const struct runtime *rt, const struct runtime_request *request,
	struct runtime_event_reader *reader, struct runtime_outcome *ret, bool *ret_stopped,
	struct error *err)
{
	struct runtime_request q = *request;
	struct spec_file file = { NULL };
	int r = q.process_spec ? spec_file_write(&file, q.process_spec) : 0;

	if (file.path)
		q.process = file.path;
	if (r == 0)
		r = run_prepared(rt, &q, reader, ret, ret_stopped, err);
	spec_file_remove(&file);
	return r < 0 ? error_errno(err, r, "%s %s: %s", runtime_kind_name(rt->kind),
			       runtime_verb_name(q.verb), rt->command)
		     : r;
}

int runtime_run(const struct runtime *rt, const struct runtime_request *request,
	struct runtime_outcome *ret, struct error *err)
{
	bool stopped;

	return run_request(rt, request, NULL, ret, &stopped, err);
}

int runtime_follow(const struct runtime *rt, const struct runtime_request *request,
	bool (*on_event)(const struct runtime_event *e, void *userdata), void *userdata,
	struct runtime_outcome *ret, bool *ret_stopped, struct error *err)
{
	struct runtime_event_reader reader = {
		.rt = rt,
		.on_event = on_event,
		.userdata = userdata,
	};
	int r = run_request(rt, request, &reader, ret, ret_stopped, err);

	if (r == 0)
		runtime_event_reader_end(&reader);
	runtime_event_reader_deinit(&reader);
	return r;
}
