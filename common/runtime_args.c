/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command lines. Never executes one. Where the runtimes take the same words we use those that
 * all three take (long names, values of global options after '='); the rest is in the table.
 * Tried with runc 1.1.5, crun 1.8.1 and runsc 20221219.
 */
#include "common/runtime.h"

#include <errno.h>

/* What a runtime lacks. */
struct dialect {
	bool no_pivot, no_new_keyring; /* has --no-pivot, --no-new-keyring */
};

static const struct dialect dialects[] = {
	[RUNTIME_RUNC] = { .no_pivot = true, .no_new_keyring = true },
	[RUNTIME_CRUN] = { .no_pivot = true, .no_new_keyring = true },
	[RUNTIME_RUNSC] = { .no_pivot = false, .no_new_keyring = false },
};
_Static_assert(sizeof(dialects) / sizeof(*dialects) == _RUNTIME_KIND_MAX, "one for each");

/* What a verb takes. */
enum {
	TAKES_BUNDLE = 1 << 0,
	TAKES_PID_FILE = 1 << 1,
	TAKES_CONSOLE = 1 << 2,
	TAKES_PROCESS = 1 << 3,
	TAKES_DETACH = 1 << 4,
	TAKES_ALL = 1 << 5,
	TAKES_FORCE = 1 << 6,
	TAKES_JAIL = 1 << 7, /* --no-pivot, --no-new-keyring */
	AS_JSON = 1 << 8,
	WITHOUT_ID = 1 << 9,
	THEN_SIGNAL = 1 << 10,
};

static const unsigned verbs[] = {
	[RUNTIME_CREATE] = TAKES_BUNDLE | TAKES_PID_FILE | TAKES_CONSOLE | TAKES_JAIL,
	[RUNTIME_START] = 0,
	[RUNTIME_RUN] = TAKES_BUNDLE | TAKES_PID_FILE | TAKES_CONSOLE | TAKES_JAIL | TAKES_DETACH,
	[RUNTIME_EXEC] = TAKES_PROCESS | TAKES_PID_FILE | TAKES_CONSOLE | TAKES_DETACH,
	[RUNTIME_KILL] = TAKES_ALL | THEN_SIGNAL,
	[RUNTIME_DELETE] = TAKES_FORCE,
	[RUNTIME_STATE] = 0,
	[RUNTIME_LIST] = AS_JSON | WITHOUT_ID,
	[RUNTIME_PS] = AS_JSON,
	[RUNTIME_PAUSE] = 0,
	[RUNTIME_RESUME] = 0,
};
_Static_assert(sizeof(verbs) / sizeof(*verbs) == _RUNTIME_VERB_MAX, "one for each");

/* A command line in the making: the first failure sticks. */
struct line {
	struct argv argv;
	int r;
};

static void add(struct line *l, const char *word)
{
	if (l->r == 0)
		l->r = argv_add(&l->argv, word);
}

static void add_flag(struct line *l, const char *flag, bool wanted)
{
	if (wanted)
		add(l, flag);
}

static void add_value(struct line *l, const char *flag, const char *value)
{
	if (value) {
		add(l, flag);
		add(l, value);
	}
}

static void add_global(struct line *l, const struct runtime *rt, const char *log)
{
	add(l, rt->command);
	if (l->r == 0)
		l->r = argv_addf(&l->argv, "--root=%s", rt->root);
	if (l->r == 0 && log)
		l->r = argv_addf(&l->argv, "--log=%s", log);
	add_flag(l, "--log-format=json", log != NULL);
	add_flag(l, "--systemd-cgroup", rt->systemd_cgroup);
	for (size_t i = 0; i < rt->options.n && l->r == 0; i++)
		l->r = argv_addf(&l->argv, "--%s", rt->options.v[i]);
}

static void add_call(struct line *l, const struct runtime *rt, const struct runtime_request *q)
{
	unsigned takes = verbs[q->verb];

	add(l, runtime_verb_name(q->verb));
	add_value(l, "--bundle", takes & TAKES_BUNDLE ? q->bundle : NULL);
	add_value(l, "--process", takes & TAKES_PROCESS ? q->process : NULL);
	add_flag(l, "--detach", (takes & TAKES_DETACH) && q->detach);
	add_value(l, "--pid-file", takes & TAKES_PID_FILE ? q->pid_file : NULL);
	add_value(l, "--console-socket", takes & TAKES_CONSOLE ? q->console_socket : NULL);
	add_flag(l, "--no-pivot", (takes & TAKES_JAIL) && rt->no_pivot);
	add_flag(l, "--no-new-keyring", (takes & TAKES_JAIL) && rt->no_new_keyring);
	add_flag(l, "--all", (takes & TAKES_ALL) && q->all);
	add_flag(l, "--force", (takes & TAKES_FORCE) && q->force);
	add_value(l, "--format", takes & AS_JSON ? "json" : NULL);
	if (!(takes & WITHOUT_ID))
		add(l, q->id);
	if ((takes & THEN_SIGNAL) && l->r == 0)
		l->r = argv_addf(&l->argv, "%d", q->signal);
}

static int refuse(const struct runtime *rt, const char *flag, struct error *err)
{
	return error_set(
		err, CODE_UNIMPLEMENTED, "%s has no %s", runtime_kind_name(rt->kind), flag);
}

int runtime_argv(const struct runtime *rt, const struct runtime_request *request, struct argv *ret,
	struct error *err)
{
	const struct dialect *dialect = &dialects[rt->kind];
	struct line l = { ARGV_INIT, 0 };

	if ((verbs[request->verb] & TAKES_JAIL) && rt->no_pivot && !dialect->no_pivot)
		return refuse(rt, "--no-pivot", err);
	if ((verbs[request->verb] & TAKES_JAIL) && rt->no_new_keyring && !dialect->no_new_keyring)
		return refuse(rt, "--no-new-keyring", err);
	add_global(&l, rt, request->log);
	add_call(&l, rt, request);
	if (l.r < 0) {
		argv_deinit(&l.argv);
		return error_errno(err, l.r, "%s %s", runtime_kind_name(rt->kind),
			runtime_verb_name(request->verb));
	}
	argv_deinit(ret);
	*ret = l.argv;
	return 0;
}
