/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime's state that has no container of ours: whose it is, whether it has ended, and its end. Only
 * the runtime itself says and does these things. Subtle: which of them made a folder is seen by the
 * files that each has in it, for nobody else remembers.
 */
#include "supervisor/cli/strays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/runtime.h"
#include "common/runtime_leftover.h"

#define ASK_MS 10000

/* ROOT/r/NS/ID */
struct state {
	const char *id;
	char *path;
	enum runtime_kind kind;
	bool has_state; /* else it is what a run that was killed has left */
};

static bool is_in(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void tell_kind(struct state *s, int dir)
{
	char sandbox[2 * LIMIT_ID + 32], lock[2 * LIMIT_ID + 32];

	snprintf(sandbox, sizeof(sandbox), "%s_sandbox:%s.state", s->id, s->id);
	snprintf(lock, sizeof(lock), "%s_sandbox:%s.lock", s->id, s->id);
	s->has_state = true;
	if (is_in(dir, "status")) {
		s->kind = RUNTIME_CRUN;
	} else if (is_in(dir, sandbox)) {
		s->kind = RUNTIME_RUNSC;
	} else {
		s->kind = is_in(dir, lock) ? RUNTIME_RUNSC : RUNTIME_RUNC;
		s->has_state = is_in(dir, "state.json");
	}
}

/* CODE_NOT_FOUND: the folder, or the runtime. */
static int open_state(const char *root, const char *ns, const char *id, struct state *ret,
	struct runtime *ret_rt, struct error *err)
{
	_cleanup_free_ char *path = NULL, *above = NULL;
	_cleanup_close_ int dir = -1;
	int r;

	*ret = (struct state){ .id = id };
	if (asprintf(&path, "%s/r/%s/%s", root, ns, id) < 0 ||
		asprintf(&above, "%s/r/%s", root, ns) < 0)
		return error_errno(err, -ENOMEM, "%s/r", root);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, -errno, "%s", path);
	tell_kind(ret, dir);
	r = runtime_init(ret_rt, runtime_kind_name(ret->kind), NULL, above, ASK_MS, err);
	if (r == 0 && runtime_own_root(ret_rt, id) < 0)
		r = error_errno(err, -ENOMEM, "%s", path);
	if (r == 0)
		ret->path = TAKE_PTR(path);
	return r;
}

static int judge_state(const struct state *s, const struct runtime *rt, enum stray_fate *ret_fate,
	char **ret_why, struct error *err)
{
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	_cleanup_(runtime_state_deinit) struct runtime_state state = { 0 };
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = s->id };
	const char *name = runtime_kind_name(s->kind);
	int r = runtime_run(rt, &request, &outcome, err), n;

	if (r == 0)
		r = runtime_judge(rt, RUNTIME_STATE, &outcome, NULL, err);
	if (r == 0)
		r = runtime_read_state(rt, &outcome.out, &state, err);
	if (r != 0)
		return r;
	*ret_fate = strcmp(state.status, "stopped") == 0 ? STRAY_GOES : STRAY_LEFT;
	if (*ret_fate == STRAY_GOES)
		n = asprintf(
			ret_why, "%s's state of one that has ended, and no container has it", name);
	else
		n = asprintf(ret_why,
			"it is %s, and no container of cleat's: %s --root %s delete --force %s",
			state.status, name, rt->root, s->id);
	return n < 0 ? -ENOMEM : 0;
}

int stray_judge_runtime(const char *root, const char *ns, const char *id, enum stray_fate *ret_fate,
	char **ret_why, struct error *err)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	_cleanup_error_ struct error wrong = ERROR_INIT;
	struct state s = { 0 };
	int r = open_state(root, ns, id, &s, &rt, &wrong);

	*ret_fate = STRAY_GOES;
	if (r == 0 && !s.has_state) {
		*ret_why = strdup("a run of the runtime that was killed has left it");
		r = *ret_why ? 0 : -ENOMEM;
	} else if (r == 0) {
		r = judge_state(&s, &rt, ret_fate, ret_why, &wrong);
	}
	free(s.path);
	if (r > 0) {
		*ret_fate = STRAY_LEFT;
		*ret_why = strdup(error_message(&wrong));
		r = *ret_why ? 0 : -ENOMEM;
	}
	return r < 0 ? error_errno(err, r, "%s/r/%s/%s", root, ns, id) : 0;
}

static int delete_state(const struct state *s, const struct runtime *rt, struct error *err)
{
	_cleanup_(runtime_outcome_deinit) struct runtime_outcome outcome = RUNTIME_OUTCOME_INIT;
	const struct runtime_request request = { .verb = RUNTIME_DELETE, .id = s->id };
	int r = runtime_run(rt, &request, &outcome, err);

	return r == 0 ? runtime_judge(rt, RUNTIME_DELETE, &outcome, NULL, err) : r;
}

int stray_delete_runtime(const char *root, const char *ns, const char *id, struct error *err)
{
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	struct state s = { 0 };
	int r = open_state(root, ns, id, &s, &rt, err), left;

	if (r == 0 && s.has_state)
		r = delete_state(&s, &rt, err);
	if (r == 0) {
		left = runtime_leftover_remove(&rt, id);
		if (left < 0)
			r = error_errno(err, left, "%s", s.path);
		else if (access(s.path, F_OK) == 0)
			r = error_set(err, CODE_FAILED_PRECONDITION,
				"%s: %s has left something in it", s.path,
				runtime_kind_name(s.kind));
	} else {
		error_wrap(err, "%s/r/%s/%s", root, ns, id);
	}
	free(s.path);
	return r;
}
