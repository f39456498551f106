/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errands. Knows nothing of what they do. Subtle: the member may be gone when its errand is done, so it
 * is looked for again by its name.
 */
#include "supervisor/errand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "supervisor/child.h"
#include "supervisor/forward.h"
#include "supervisor/registry.h"
#include "supervisor/supervisor.h"

#define DEADLINE_MS   90000 /* a runtime's own, and an unmount's */
#define SENTENCE_MAX  4096u
#define CODE_DISTANCE 64 /* the child exits with this and the code of its error */

struct errand {
	struct supervisor *supervisor;
	struct ttrpc_call *call; /* NULL: its caller has left */
	const char *verb;
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *out);
	char *ns, *id;
};

static void errand_free(struct errand *e)
{
	free(e->ns);
	free(e->id);
	free(e);
}

static void on_left(void *userdata)
{
	struct errand *e = userdata;

	e->call = NULL;
}

static void refuse(const struct errand *e, const struct run_result *run)
{
	int status = WIFEXITED(run->wait_status) ? WEXITSTATUS(run->wait_status) : -1;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *sentence = text_first_line(
		run->err.len ? (const void *)buf_head(&run->err) : "", run->err.len, SENTENCE_MAX);
	bool is_told = sentence && *sentence;

	if (run->timed_out)
		error_set(&err, CODE_DEADLINE_EXCEEDED, "container %s: %s: no answer in %d s",
			e->id, e->verb, DEADLINE_MS / 1000);
	else if (is_told && status > CODE_DISTANCE && status < CODE_DISTANCE + _CODE_MAX)
		error_set(&err, (enum code)(status - CODE_DISTANCE), "%s", sentence);
	else
		error_set(&err, CODE_INTERNAL, "container %s: %s: %s", e->id, e->verb,
			is_told ? sentence : "its process died without a word");
	forward_refuse(e->call, &err);
}

static void on_end(const struct run_result *run, void *userdata)
{
	struct errand *e = userdata;
	_cleanup_free_ char *out = text_first_line(
		run->out.len ? (const void *)buf_head(&run->out) : "", run->out.len, SENTENCE_MAX);

	if (e->call && run->wait_status != 0)
		refuse(e, run);
	else if (e->call && e->answer)
		e->answer(e->call, registry_find(e->supervisor->registry, e->ns, e->id),
			out ? out : "");
	else if (e->call)
		ttrpc_call_reply(e->call, NULL);
	errand_free(e);
}

static int begin(struct errand *e, char *const *argv, struct error *err)
{
	struct supervisor *s = e->supervisor;
	const struct child_options options = {
		.base = s->base,
		.reaper = s->reaper,
		.path = "/proc/self/exe",
		.argv = argv,
		.output_limit = SENTENCE_MAX,
		.deadline_ms = DEADLINE_MS,
		.nofile = &s->nofile,
		.on_end = on_end,
		.userdata = e,
	};
	int r = e->ns && e->id ? child_begin(&options, NULL) : -ENOMEM;

	return r < 0 ? error_errno(err, r, "%s", e->verb) : 0;
}

void errand_begin(struct member *m, struct ttrpc_call *call, const char *verb, char *const *argv,
	void (*answer)(struct ttrpc_call *call, struct member *m, const char *out))
{
	struct errand *e = calloc(1, sizeof(*e));
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!e) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	*e = (struct errand){
		.supervisor = m->supervisor,
		.call = call,
		.verb = verb,
		.answer = answer,
		.ns = strdup(m->ns),
		.id = strdup(m->id),
	};
	if (begin(e, argv, &err) == 0) {
		ttrpc_call_keep(call, on_left, NULL, e);
		return;
	}
	errand_free(e);
	forward_refuse(call, &err);
}

int errand_tell(int code, const struct error *err)
{
	if (code == 0)
		return 0;
	fprintf(stderr, "%s\n", error_message(err));
	return CODE_DISTANCE + code;
}
