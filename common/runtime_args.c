/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command lines. Never executes one. Where the runtimes take the same words we use those that
 * all three take (long names, values of global options after '='); the rest is in the tables: what
 * each verb takes, and what each runtime lacks. Tried with runc 1.1.5, crun 1.8.1 and runsc
 * 20221219. Subtle: crun has checkpoint, restore and features only in some builds and versions, so
 * these are left to its own words; what no version of a runtime has is refused here, by name.
 */
#include "common/runtime.h"

#include <errno.h>
#include <stdint.h>

/* Flags, in the order in which they stand on a command line. */
enum {
	BUNDLE = 1 << 0,
	PROCESS = 1 << 1,
	DETACH = 1 << 2,
	PID_FILE = 1 << 3,
	INTERNAL_PID_FILE = 1 << 4,
	CONSOLE_SOCKET = 1 << 5,
	USER_LOG = 1 << 6,
	NO_PIVOT = 1 << 7,
	NO_NEW_KEYRING = 1 << 8,
	NO_SUBREAPER = 1 << 9,
	ALL = 1 << 10,
	PID = 1 << 11, /* of kill and wait */
	FORCE = 1 << 12,
	FORMAT = 1 << 13, /* of ps and list; always set */
	STATS = 1 << 14,  /* always set */
	INTERVAL = 1 << 15,
	RESOURCES = 1 << 16,
	IMAGES = 1 << 17, /* image and work path */
	PARENT_PATH = 1 << 18,
	LEAVE_RUNNING = 1 << 19,
	PRE_DUMP = 1 << 20,
	OPEN_TCP = 1 << 21,
	UNIX_SOCKETS = 1 << 22,
	SHELL_JOB = 1 << 23,
	FILE_LOCKS = 1 << 24,
	LAZY_PAGES = 1 << 25,
	AUTO_DEDUP = 1 << 26,
	CGROUPS_MODE = 1 << 27,
	EMPTY_NS = 1 << 28,
	PAGE_SERVER = 1 << 29,
	LSM = 1 << 30,
};

#define CRIU_BOTH                                                                                  \
	(IMAGES | OPEN_TCP | UNIX_SOCKETS | SHELL_JOB | FILE_LOCKS | LAZY_PAGES | AUTO_DEDUP |     \
		CGROUPS_MODE | EMPTY_NS)

/* A verb's word, its flags, and what stands behind them. */
struct verb {
	const char *word; /* NULL: no command but a global flag */
	const char *format;
	unsigned takes;
	bool without_id;
};

static const struct verb verbs[] = {
	[RUNTIME_CREATE] = { "create", NULL,
		BUNDLE | PID_FILE | CONSOLE_SOCKET | USER_LOG | NO_PIVOT | NO_NEW_KEYRING },
	[RUNTIME_START] = { "start", NULL, 0 },
	[RUNTIME_RUN] = { "run", NULL,
		BUNDLE | DETACH | PID_FILE | CONSOLE_SOCKET | USER_LOG | NO_PIVOT | NO_NEW_KEYRING |
			NO_SUBREAPER },
	[RUNTIME_EXEC] = { "exec", NULL,
		PROCESS | DETACH | PID_FILE | INTERNAL_PID_FILE | CONSOLE_SOCKET },
	[RUNTIME_KILL] = { "kill", NULL, ALL | PID },
	[RUNTIME_DELETE] = { "delete", NULL, FORCE },
	[RUNTIME_STATE] = { "state", NULL, 0 },
	[RUNTIME_LIST] = { "list", "json", FORMAT, .without_id = true },
	[RUNTIME_PS] = { "ps", "json", FORMAT },
	[RUNTIME_PAUSE] = { "pause", NULL, 0 },
	[RUNTIME_RESUME] = { "resume", NULL, 0 },
	[RUNTIME_STATS] = { "events", NULL, STATS },
	[RUNTIME_EVENTS] = { "events", NULL, INTERVAL },
	[RUNTIME_TOP] = { "ps", "table", FORMAT },
	[RUNTIME_WAIT] = { "wait", NULL, PID },
	[RUNTIME_CHECKPOINT] = { "checkpoint", NULL,
		CRIU_BOTH | PARENT_PATH | LEAVE_RUNNING | PRE_DUMP | PAGE_SERVER },
	[RUNTIME_RESTORE] = { "restore", NULL,
		CRIU_BOTH | BUNDLE | DETACH | PID_FILE | CONSOLE_SOCKET | USER_LOG | NO_PIVOT |
			NO_SUBREAPER | LSM },
	[RUNTIME_UPDATE] = { "update", NULL, RESOURCES },
	[RUNTIME_FEATURES] = { "features", NULL, 0, .without_id = true },
	[RUNTIME_VERSION] = { NULL, NULL, 0, .without_id = true },
};
_Static_assert(sizeof(verbs) / sizeof(*verbs) == _RUNTIME_VERB_MAX, "one for each");

#define VERB(v) (1u << (v))

/* What a runtime lacks, or says in another way. */
struct dialect {
	unsigned lacks_verbs;
	unsigned lacks_flags; /* wherever they stand */
	unsigned lacks_by_verb[_RUNTIME_VERB_MAX];
	bool interval_in_seconds; /* a bare number; the others take a number with its unit */
	bool ps_without_options;
	bool is_sandbox;
	bool kill_leaves_frozen;
	bool run_goes_apart;
	bool abbreviates_ids;
	bool dead_stays_paused;
};

static const struct dialect dialects[] = {
	[RUNTIME_RUNC] = {
		.lacks_verbs = VERB(RUNTIME_WAIT),
		.lacks_flags = INTERNAL_PID_FILE | USER_LOG | PID,
	},
	[RUNTIME_CRUN] = {
		.lacks_verbs = VERB(RUNTIME_STATS) | VERB(RUNTIME_EVENTS) | VERB(RUNTIME_WAIT),
		.lacks_flags = INTERNAL_PID_FILE | USER_LOG | PID | LAZY_PAGES | AUTO_DEDUP | EMPTY_NS |
			PAGE_SERVER,
		.lacks_by_verb = {
			[RUNTIME_RESTORE] = NO_SUBREAPER | NO_PIVOT,
		},
		.ps_without_options = true,
		.kill_leaves_frozen = true,
		.run_goes_apart = true,
	},
	/* its --leave-running makes another sandbox and stays with it: the process does not go on */
	[RUNTIME_RUNSC] = {
		.lacks_verbs = VERB(RUNTIME_UPDATE) | VERB(RUNTIME_FEATURES),
		.lacks_flags = NO_PIVOT | NO_NEW_KEYRING | PARENT_PATH | LEAVE_RUNNING | PRE_DUMP |
			OPEN_TCP | UNIX_SOCKETS | SHELL_JOB | FILE_LOCKS | LAZY_PAGES | AUTO_DEDUP |
			CGROUPS_MODE | EMPTY_NS | PAGE_SERVER | LSM,
		.lacks_by_verb = {
			[RUNTIME_RUN] = NO_SUBREAPER,
		},
		.interval_in_seconds = true,
		.ps_without_options = true,
		.is_sandbox = true,
		.abbreviates_ids = true,
		.dead_stays_paused = true,
	},
};
_Static_assert(sizeof(dialects) / sizeof(*dialects) == _RUNTIME_KIND_MAX, "one for each");

/* A command line in the making: the first failure sticks. */
struct line {
	struct argv argv;
	const struct runtime *rt;
	const struct runtime_request *request;
	const struct verb *verb;
	const struct dialect *dialect;
	unsigned lacks;
	int r; /* -errno, or the code of err */
	struct error *err;
};

static void add(struct line *l, const char *word)
{
	if (l->r == 0)
		l->r = argv_add(&l->argv, word);
}

static void refuse(struct line *l, const char *flag)
{
	l->r = error_set(l->err, CODE_UNIMPLEMENTED, "%s %s has no %s",
		runtime_kind_name(l->rt->kind), l->verb->word, flag);
}

/* Whether the flag is to be set: the verb takes it, it is wanted, and the runtime has it. */
static bool takes(struct line *l, unsigned bit, const char *flag, bool wanted)
{
	if (l->r != 0 || !wanted || !(l->verb->takes & bit))
		return false;
	if (!(l->lacks & bit))
		return true;
	refuse(l, flag);
	return false;
}

static void add_flag(struct line *l, unsigned bit, const char *flag, bool wanted)
{
	if (takes(l, bit, flag, wanted))
		add(l, flag);
}

static void add_value(struct line *l, unsigned bit, const char *flag, const char *value)
{
	if (takes(l, bit, flag, value != NULL)) {
		add(l, flag);
		add(l, value);
	}
}

static void add_number(struct line *l, unsigned bit, const char *flag, int value)
{
	if (takes(l, bit, flag, value != 0)) {
		add(l, flag);
		if (l->r == 0)
			l->r = argv_addf(&l->argv, "%d", value);
	}
}

static void add_global(struct line *l)
{
	const struct runtime *rt = l->rt;
	const char *log = l->request->log;

	add(l, rt->command);
	if (l->r == 0)
		l->r = argv_addf(&l->argv, "--root=%s", rt->root);
	if (l->r == 0 && log)
		l->r = argv_addf(&l->argv, "--log=%s", log);
	if (log)
		add(l, rt->log_text ? "--log-format=text" : "--log-format=json");
	if (rt->systemd_cgroup)
		add(l, "--systemd-cgroup");
	for (size_t i = 0; i < rt->options.n && l->r == 0; i++)
		l->r = argv_addf(&l->argv, "--%s", rt->options.v[i]);
}

static void add_life(struct line *l)
{
	const struct runtime_request *q = l->request;

	add_value(l, BUNDLE, "--bundle", q->bundle);
	add_value(l, PROCESS, "--process", q->process);
	add_flag(l, DETACH, "--detach", q->detach);
	add_value(l, PID_FILE, "--pid-file", q->pid_file);
	add_value(l, INTERNAL_PID_FILE, "--internal-pid-file", q->internal_pid_file);
	add_value(l, CONSOLE_SOCKET, "--console-socket", q->console_socket);
	add_value(l, USER_LOG, "--user-log", q->user_log);
	add_flag(l, NO_PIVOT, "--no-pivot", l->rt->no_pivot);
	add_flag(l, NO_NEW_KEYRING, "--no-new-keyring", l->rt->no_new_keyring);
	add_flag(l, NO_SUBREAPER, "--no-subreaper", q->no_subreaper);
	add_flag(l, ALL, "--all", q->all);
	add_number(l, PID, "--pid", q->verb == RUNTIME_WAIT ? q->wait_pid : q->kill_pid);
	add_flag(l, FORCE, "--force", q->force);
}

static void add_interval(struct line *l)
{
	uint32_t ms = l->request->interval_ms;

	if (!takes(l, INTERVAL, "--interval", ms != 0))
		return;
	add(l, "--interval");
	if (l->r == 0 && l->dialect->interval_in_seconds)
		l->r = argv_addf(&l->argv, "%u", ms / 1000 + (ms % 1000 != 0));
	else if (l->r == 0)
		l->r = argv_addf(&l->argv, "%ums", ms);
}

static void add_look(struct line *l)
{
	add_value(l, FORMAT, "--format", l->verb->format);
	add_flag(l, STATS, "--stats", true);
	add_interval(l);
	add_value(l, RESOURCES, "--resources", l->request->resources);
}

static void add_criu(struct line *l, const struct runtime_criu *c)
{
	add_value(l, IMAGES, "--image-path", c->image_path);
	add_value(l, IMAGES, "--work-path", c->work_path);
	add_value(l, PARENT_PATH, "--parent-path", c->parent_path);
	add_flag(l, LEAVE_RUNNING, "--leave-running", c->leave_running);
	add_flag(l, PRE_DUMP, "--pre-dump", c->pre_dump);
	add_flag(l, OPEN_TCP, "--tcp-established", c->open_tcp);
	add_flag(l, UNIX_SOCKETS, "--ext-unix-sk", c->external_unix_sockets);
	add_flag(l, SHELL_JOB, "--shell-job", c->terminal);
	add_flag(l, FILE_LOCKS, "--file-locks", c->file_locks);
	add_flag(l, LAZY_PAGES, "--lazy-pages", c->lazy_pages);
	add_flag(l, AUTO_DEDUP, "--auto-dedup", c->auto_dedup);
	add_value(l, CGROUPS_MODE, "--manage-cgroups-mode", c->cgroups_mode);
	for (const char *const *ns = c->empty_namespaces; ns && *ns; ns++)
		add_value(l, EMPTY_NS, "--empty-ns", *ns);
	add_value(l, PAGE_SERVER, "--page-server", c->page_server);
	add_value(l, LSM, "--lsm-profile", c->lsm_profile);
	add_value(l, LSM, "--lsm-mount-context", c->lsm_mount_context);
}

static void add_ps_options(struct line *l)
{
	const struct argv *options = l->request->ps_options;

	if (l->r != 0 || !options || options->n == 0)
		return;
	if (l->dialect->ps_without_options) {
		refuse(l, "further options");
		return;
	}
	for (size_t i = 0; i < options->n; i++)
		add(l, options->v[i]);
}

static void add_call(struct line *l)
{
	const struct runtime_request *q = l->request;

	add(l, l->verb->word);
	add_life(l);
	add_look(l);
	if (q->criu)
		add_criu(l, q->criu);
	if (!l->verb->without_id)
		add(l, q->id);
	if (q->verb == RUNTIME_KILL && l->r == 0)
		l->r = argv_addf(&l->argv, "%d", q->signal);
	if (q->verb == RUNTIME_TOP)
		add_ps_options(l);
}

/* The line's result, or what stood in its way. */
static int finish(struct line *l, struct argv *ret)
{
	if (l->r != 0)
		argv_deinit(&l->argv);
	if (l->r < 0)
		return error_errno(l->err, l->r, "%s %s", runtime_kind_name(l->rt->kind),
			runtime_verb_name(l->request->verb));
	if (l->r > 0)
		return l->r;
	argv_deinit(ret);
	*ret = l->argv;
	return 0;
}

int runtime_argv(const struct runtime *rt, const struct runtime_request *request, struct argv *ret,
	struct error *err)
{
	const struct dialect *dialect = &dialects[rt->kind];
	struct line l = {
		.argv = ARGV_INIT,
		.rt = rt,
		.request = request,
		.verb = &verbs[request->verb],
		.dialect = dialect,
		.lacks = dialect->lacks_flags | dialect->lacks_by_verb[request->verb],
		.err = err,
	};

	if (!runtime_has(rt, request->verb))
		return error_set(err, CODE_UNIMPLEMENTED, "%s has no %s",
			runtime_kind_name(rt->kind), runtime_verb_name(request->verb));
	if (request->verb == RUNTIME_VERSION) {
		add(&l, rt->command);
		add(&l, "--version");
	} else {
		add_global(&l);
		add_call(&l);
	}
	return finish(&l, ret);
}

bool runtime_has(const struct runtime *rt, enum runtime_verb verb)
{
	return !(dialects[rt->kind].lacks_verbs & VERB(verb));
}

bool runtime_kill_thaws(const struct runtime *rt)
{
	return !dialects[rt->kind].kill_leaves_frozen;
}

bool runtime_abbreviates_ids(const struct runtime *rt)
{
	return dialects[rt->kind].abbreviates_ids;
}

bool runtime_dead_stays_paused(const struct runtime *rt)
{
	return dialects[rt->kind].dead_stays_paused;
}

bool runtime_run_goes_apart(const struct runtime *rt)
{
	return dialects[rt->kind].run_goes_apart;
}

bool runtime_is_sandbox(const struct runtime *rt)
{
	return dialects[rt->kind].is_sandbox;
}
