/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking runs of the runtime, for programs without a loop. Judges nothing. */
#include "common/runtime.h"

#include "common/limits.h"
#include "common/run.h"

static int run_line(const struct runtime *rt, const struct argv *argv, const struct argv *env,
	struct runtime_outcome *ret)
{
	const struct run_options options = {
		.argv = argv->v,
		.env = env->v,
		.out_limit = LIMIT_RUNTIME_JSON,
		.err_limit = LIMIT_RUNTIME_STDERR,
		.deadline_ms = rt->deadline_ms,
	};
	struct run_result result;
	int r = run_program(&options, &result);

	if (r < 0)
		return r;
	*ret = (struct runtime_outcome){
		.timed_out = result.timed_out,
		.deadline_ms = rt->deadline_ms,
		.wait_status = result.wait_status,
		.out = result.out,
		.err = result.err,
		.out_overflow = result.out_overflow,
	};
	return 0;
}

int runtime_run(const struct runtime *rt, const struct runtime_request *request,
	struct runtime_outcome *ret, struct error *err)
{
	_cleanup_argv_ struct argv argv = ARGV_INIT, env = ARGV_INIT;
	int r = runtime_argv(rt, request, &argv, err);

	if (r != 0)
		return r;
	r = runtime_env(&env);
	if (r == 0)
		r = run_line(rt, &argv, &env, ret);
	return r < 0 ? error_errno(err, r, "%s %s: %s", runtime_kind_name(rt->kind),
			       runtime_verb_name(request->verb), rt->command)
		     : 0;
}
