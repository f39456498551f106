/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a call failed, in the runtime's own words. Never trusts their form: a log may be torn, a
 * warning may follow the error, a runtime may say nothing at all. Subtle: runsc writes its log
 * objects without line ends between them.
 */
#include "common/runtime.h"

#include <string.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/text.h"

#define LIMIT_WORDS 4096 /* bytes of a cause */
#define LOG_TAIL    LIMIT_RUNTIME_STDERR

struct span {
	const char *p;
	size_t n;
};

static bool span_has(struct span s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* Takes the next line off s. */
static struct span take_line(struct span *s)
{
	const char *end = memchr(s->p, '\n', s->n);
	struct span line = { s->p, end ? (size_t)(end - s->p) : s->n };
	size_t taken = line.n + (end != NULL);

	s->p += taken;
	s->n -= taken;
	return line;
}

static bool is_error_level(const char *level)
{
	return strcmp(level, "error") == 0 || strcmp(level, "fatal") == 0 ||
	       strcmp(level, "panic") == 0;
}

/* Remembers a message, replacing the one before: the last error is the cause of the call's end. */
static void remember(char **words, const char *msg)
{
	char *copy = text_valid(msg, strlen(msg), LIMIT_WORDS);

	if (!copy)
		return;
	free(*words);
	*words = copy;
}

/* {"level":"error","msg":"...","time":"..."}, one or several of them in a line */
static void read_json_line(struct span line, char **words)
{
	while (line.n > 0) {
		_cleanup_json_ json_t *entry = NULL;
		const char *next;
		size_t skip;
		json_error_t at;

		entry = json_loadb(line.p, line.n, JSON_DISABLE_EOF_CHECK, &at);
		if (entry && is_error_level(json_get_string(entry, "level", "")))
			remember(words, json_get_string(entry, "msg", ""));
		if (entry) {
			skip = (size_t)at.position;
		} else {
			/* a torn one: the next may begin behind its end */
			next = memmem(line.p, line.n, "}{", 2);
			skip = next ? (size_t)(next - line.p) + 1 : line.n;
		}
		line.p += skip;
		line.n -= skip;
	}
}

/* time="..." level=error msg="...": what runc and runsc print before they know of their log */
static void read_logfmt_line(struct span line, char **words)
{
	_cleanup_json_ json_t *msg = NULL;
	json_error_t at;
	const char *quoted;

	if (!span_has(line, "level=error ") && !span_has(line, "level=fatal "))
		return;
	quoted = memmem(line.p, line.n, " msg=\"", 6);
	if (!quoted)
		return;
	quoted += 5;
	/* Go's quoting is JSON's but for bytes that are not printable, which do not matter here */
	msg = json_loadb(quoted, line.n - (size_t)(quoted - line.p),
		JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &at);
	if (json_is_string(msg))
		remember(words, json_string_value(msg));
}

static struct span tail_of(const struct buf *b, size_t limit)
{
	struct span s = { (const char *)buf_head(b), b->len };

	if (s.n > limit) {
		s.p += s.n - limit;
		s.n = limit;
	}
	return s;
}

/* NULL if nothing was said. */
static char *find_words(const struct runtime_outcome *o, const struct buf *log)
{
	struct span rest = { NULL, 0 };
	char *words = NULL;

	if (log && log->len > 0)
		rest = tail_of(log, LOG_TAIL);
	while (rest.n > 0)
		read_json_line(take_line(&rest), &words);
	if (words && *words)
		return words;
	if (o->err.len > 0)
		rest = tail_of(&o->err, o->err.len);
	while (rest.n > 0)
		read_logfmt_line(take_line(&rest), &words);
	if (words && *words)
		return words;
	free(words);
	words = o->err.len > 0 ? text_first_line(buf_head(&o->err), o->err.len, LIMIT_WORDS) : NULL;
	if (words && !*words) {
		free(words);
		words = NULL;
	}
	return words;
}

char *runtime_words(const struct runtime_outcome *o, const struct buf *log)
{
	return find_words(o, log);
}

/* Drops "runc create failed: " or "exec failed: ", which only say the verb again. */
static const char *skip_verb(const struct runtime *rt, enum runtime_verb verb, const char *words)
{
	const char *const parts[] = { runtime_kind_name(rt->kind), runtime_verb_name(verb),
		"failed:" };
	const char *p = words;

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(parts[i]);

		if (strncmp(p, parts[i], n) == 0 && p[n] == ' ')
			p += n + 1;
		else if (i > 0)
			return words;
	}
	return p;
}

/* How the runtimes say that there is no such container, or that there is one. */
struct saying {
	const char *start, *end;
	enum code code;
};

static const struct saying sayings[] = {
	{ "container ", "does not exist", CODE_NOT_FOUND },
	/* crun */
	{ "error opening file `", "/status`: No such file or directory", CODE_NOT_FOUND },
	{ "cannot open directory '", "': No such file or directory", CODE_NOT_FOUND },
	/* runsc */
	{ "loading ", ": file does not exist", CODE_NOT_FOUND },
	{ "container ", "already exists", CODE_ALREADY_EXISTS },
	{ "creating container: ", "container already exists", CODE_ALREADY_EXISTS },
};

static bool says(const char *words, const struct saying *s)
{
	size_t n = strlen(words), start = strlen(s->start), end = strlen(s->end);

	return n >= start + end && strncmp(words, s->start, start) == 0 &&
	       strcmp(words + n - end, s->end) == 0;
}

/* A create does not miss its own container, whatever else it misses; and the other way round. */
static enum code code_of_words(enum runtime_verb verb, const char *words)
{
	bool makes = verb == RUNTIME_CREATE || verb == RUNTIME_RUN || verb == RUNTIME_RESTORE;

	for (size_t i = 0; i < sizeof(sayings) / sizeof(*sayings); i++)
		if (makes == (sayings[i].code == CODE_ALREADY_EXISTS) && says(words, &sayings[i]))
			return sayings[i].code;
	return CODE_UNKNOWN;
}

static int judge_silent(const char *name, const char *verb, int status, struct error *err)
{
	if (WIFSIGNALED(status))
		return error_set(err, CODE_UNKNOWN, "%s %s: killed by signal %d without a word",
			name, verb, WTERMSIG(status));
	return error_set(err, CODE_UNKNOWN, "%s %s: exited with %d without a word", name, verb,
		WEXITSTATUS(status));
}

static int judge_late(const char *name, const char *verb, uint32_t deadline_ms, struct error *err)
{
	bool whole = deadline_ms % 1000 == 0;

	return error_set(err, CODE_DEADLINE_EXCEEDED, "%s %s: no answer in %u %s", name, verb,
		whole ? deadline_ms / 1000 : deadline_ms, whole ? "s" : "ms");
}

int runtime_judge(const struct runtime *rt, enum runtime_verb verb, const struct runtime_outcome *o,
	const struct buf *log, struct error *err)
{
	const char *name = runtime_kind_name(rt->kind), *verb_name = runtime_verb_name(verb);
	_cleanup_free_ char *words = NULL, *clean = NULL;
	const char *cause;

	if (o->timed_out)
		return judge_late(
			name, verb_name, o->deadline_ms ? o->deadline_ms : rt->deadline_ms, err);
	if (WIFEXITED(o->wait_status) && WEXITSTATUS(o->wait_status) == 0)
		return 0;
	words = find_words(o, log);
	clean = words ? text_clean(words, strlen(words), LIMIT_WORDS) : NULL;
	if (!clean || !*clean)
		return judge_silent(name, verb_name, o->wait_status, err);
	cause = skip_verb(rt, verb, clean);
	return error_set(err, code_of_words(verb, cause), "%s %s: %s", name, verb_name, cause);
}

void runtime_outcome_deinit(struct runtime_outcome *o)
{
	buf_deinit(&o->out);
	buf_deinit(&o->err);
	*o = RUNTIME_OUTCOME_INIT;
}
