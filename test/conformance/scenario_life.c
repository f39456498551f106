/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lives that take more than one call, and requests that are wrong: order of events, many Waits,
 * signals, programs that do not exist, other ids. Never looks at streams.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "test/conformance/ask.h"
#include "test/conformance/cells.h"
#include "test/conformance/state.h"

#define N_WAITS 8
#define LONG_MS 3000

/* Asks and prints the answer after a word of its own. */
static int tell(struct box *box, const char *word, const struct ask *what, FILE *f)
{
	_cleanup_answer_ struct answer a = { 0 };
	int code = ask(box, what, &a);

	fputs(word, f);
	answer_print(box, &a, f);
	return code;
}

static bool enter(struct box *box, enum state state, enum who who, FILE *f)
{
	_cleanup_free_ char *fault = state_enter(box, state, who);

	if (fault)
		fprintf(f, "!%s", fault);
	return !fault;
}

/* --- order, and waiting --- */

static void whole_life(struct box *box, enum who who, FILE *f)
{
	static const struct {
		enum task_call call;
		enum who who;
	} steps[] = { { CALL_CREATE, INIT }, { CALL_START, INIT }, { CALL_EXEC, EXEC },
		{ CALL_START, EXEC }, { CALL_PAUSE, INIT }, { CALL_RESUME, INIT },
		{ CALL_KILL, EXEC }, { CALL_WAIT, EXEC }, { CALL_DELETE, EXEC },
		{ CALL_KILL, INIT }, { CALL_WAIT, INIT }, { CALL_DELETE, INIT } };

	(void)who;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (ask_for(box, steps[i].call, steps[i].who) != 0)
			fprintf(f, "%s failed ", call_name(steps[i].call));
	fputs("OK", f);
}

static bool all_done(void *userdata)
{
	const struct answer *a = userdata;
	bool done = true;

	for (size_t i = 0; i < N_WAITS; i++)
		done = done && a[i].done;
	return done;
}

static void print_waits(struct box *box, struct answer *a, FILE *f)
{
	size_t n = 0;

	box_wait(box, all_done, a, LONG_MS);
	for (size_t i = 0; i < N_WAITS; i++) {
		Containerd__Task__V2__WaitResponse *r = (void *)a[i].message;

		n += a[i].done && a[i].code == 0 && r->exit_status == 7 && r->exited_at;
		answer_deinit(&a[i]);
	}
	fprintf(f, "%zu of %d told 7", n, N_WAITS);
}

static void many_waits(struct box *box, enum who who, FILE *f)
{
	_cleanup_free_ char *process = box_process(box, "[\"sh\",\"-c\",\"read x; exit $x\"]");
	const struct ask wait = { .call = CALL_WAIT, .who = who };
	struct answer a[N_WAITS] = { 0 };

	if (!enter(box, who == INIT ? STATE_RUNNING : STATE_UNKNOWN, who, f))
		return;
	if (who == EXEC) {
		tell(box, "added ", &(struct ask){ .call = CALL_EXEC, .json = process }, f);
		tell(box, ", started ", &(struct ask){ .call = CALL_START, .who = EXEC }, f);
		fputs(", ", f);
	}
	for (size_t i = 0; i < N_WAITS; i++)
		ask_begin(box, &wait, &a[i]);
	box_write(box, who, "7\n");
	print_waits(box, a, f);
	fputs(" before, ", f);
	for (size_t i = 0; i < N_WAITS; i++)
		ask_begin(box, &wait, &a[i]);
	print_waits(box, a, f);
	fputs(" after", f);
}

static void wait_and_delete(struct box *box, enum who who, FILE *f)
{
	_cleanup_answer_ struct answer a = { 0 };

	if (!enter(box, STATE_CREATED, who, f))
		return;
	ask_begin(box, &(struct ask){ .call = CALL_WAIT, .who = who }, &a);
	ask_for(box, CALL_CONNECT, INIT);
	tell(box, "deleted ", &(struct ask){ .call = CALL_DELETE, .who = who }, f);
	fputs(", wait ", f);
	if (ask_await(box, &a, conform_watch_ms(box->conform)))
		answer_print(box, &a, f);
	else
		fputs("stays open", f);
}

/* --- signals --- */

static void kill_with(struct box *box, enum who who, uint32_t signal, bool all, FILE *f)
{
	const struct ask kill = { .call = CALL_KILL, .who = who, .signal = signal, .all = all };

	if (!enter(box, STATE_RUNNING, who, f))
		return;
	if (who == INIT && signal == SIGHUP)
		box_await_output(box, who, "ready", LONG_MS);
	if (tell(box, "", &kill, f) == 0 && signal != UINT32_MAX)
		tell(box, ", wait ", &(struct ask){ .call = CALL_WAIT, .who = who }, f);
	else
		fprintf(f, "; then %s", ask_status(box, who));
}

static void kill_hup(struct box *box, enum who who, FILE *f)
{
	kill_with(box, who, SIGHUP, false, f);
}

static void kill_zero(struct box *box, enum who who, FILE *f)
{
	kill_with(box, who, UINT32_MAX, false, f);
}

static void kill_too_high(struct box *box, enum who who, FILE *f)
{
	kill_with(box, who, 99, false, f);
}

/* The init with an exec beside it: all of the container ends. */
static void kill_all(struct box *box, enum who who, FILE *f)
{
	if (!enter(box, STATE_RUNNING, EXEC, f))
		return;
	tell(box, "", &(struct ask){ .call = CALL_KILL, .who = who, .all = true }, f);
	tell(box, ", exec ", &(struct ask){ .call = CALL_WAIT, .who = EXEC }, f);
	if (who == INIT)
		tell(box, ", init ", &(struct ask){ .call = CALL_WAIT, .who = INIT }, f);
	else
		fprintf(f, ", init %s", ask_status(box, INIT));
}

/* The exec dies with the pid namespace, and is still there to be told of. */
static void init_dies_first(struct box *box, enum who who, FILE *f)
{
	(void)who;
	if (!enter(box, STATE_RUNNING, EXEC, f))
		return;
	tell(box, "", &(struct ask){ .call = CALL_KILL }, f);
	tell(box, ", init ", &(struct ask){ .call = CALL_WAIT }, f);
	tell(box, ", exec ", &(struct ask){ .call = CALL_WAIT, .who = EXEC }, f);
}

/* --- what cannot be run --- */

static void create_wrong(struct box *box, enum who who, FILE *f)
{
	tell(box, "", &(struct ask){ .call = CALL_CREATE, .who = who }, f);
	fprintf(f, "; then %s", ask_status(box, INIT));
}

static void create_elsewhere(struct box *box, enum who who, FILE *f)
{
	tell(box, "", &(struct ask){ .call = CALL_CREATE, .who = who, .bundle = "/nowhere" }, f);
	fprintf(f, "; then %s", ask_status(box, INIT));
}

static void exec_wrong(struct box *box, enum who who, FILE *f)
{
	_cleanup_free_ char *process = box_process(box, "[\"/no/such/program\"]");

	if (!enter(box, STATE_RUNNING, INIT, f))
		return;
	tell(box, "added ", &(struct ask){ .call = CALL_EXEC, .json = process }, f);
	tell(box, ", started ", &(struct ask){ .call = CALL_START, .who = who }, f);
	fprintf(f, "; then %s", ask_status(box, who));
}

static void exec_wrong_again(struct box *box, enum who who, FILE *f)
{
	_cleanup_free_ char *process = box_process(box, "[\"/no/such/program\"]");
	_cleanup_answer_ struct answer first = { 0 };

	if (!enter(box, STATE_RUNNING, INIT, f))
		return;
	ask(box, &(struct ask){ .call = CALL_EXEC, .json = process }, &first);
	ask_for(box, CALL_START, EXEC);
	tell(box, "", &(struct ask){ .call = CALL_START, .who = who }, f);
	fprintf(f, "; then %s", ask_status(box, who));
}

static void exec_no_json(struct box *box, enum who who, FILE *f)
{
	if (!enter(box, STATE_RUNNING, INIT, f))
		return;
	tell(box, "", &(struct ask){ .call = CALL_EXEC, .json = "{\"args\":" }, f);
	fprintf(f, "; then %s", ask_status(box, who));
}

static void exec_other_type(struct box *box, enum who who, FILE *f)
{
	if (!enter(box, STATE_RUNNING, INIT, f))
		return;
	tell(box, "", &(struct ask){ .call = CALL_EXEC, .json = "{\"args\":\"cat\"}" }, f);
	fprintf(f, "; then %s", ask_status(box, who));
}

static void update_no_json(struct box *box, enum who who, FILE *f)
{
	if (enter(box, STATE_RUNNING, who, f))
		tell(box, "", &(struct ask){ .call = CALL_UPDATE, .json = "{\"pids\":" }, f);
}

static void update_other_type(struct box *box, enum who who, FILE *f)
{
	if (enter(box, STATE_RUNNING, who, f))
		tell(box, "",
			&(struct ask){
				.call = CALL_UPDATE, .json = "{\"pids\":{\"limit\":\"many\"}}" },
			f);
}

/* --- another id --- */

static void other_id(struct box *box, enum who who, enum task_call call, FILE *f)
{
	if (!enter(box, STATE_RUNNING, who, f))
		return;
	tell(box, "", &(struct ask){ .call = call, .who = who, .id = "somebody" }, f);
	fprintf(f, "; then %s", ask_status(box, who));
}

static void state_other(struct box *box, enum who who, FILE *f)
{
	other_id(box, who, CALL_STATE, f);
}

static void kill_other(struct box *box, enum who who, FILE *f)
{
	other_id(box, who, CALL_KILL, f);
}

static void delete_other(struct box *box, enum who who, FILE *f)
{
	other_id(box, who, CALL_DELETE, f);
}

static void connect_other(struct box *box, enum who who, FILE *f)
{
	other_id(box, who, CALL_CONNECT, f);
}

static void shutdown_other(struct box *box, enum who who, FILE *f)
{
	other_id(box, who, CALL_SHUTDOWN, f);
}

#define WRONG "[\"/no/such/program\"]"
#define EXITS "[\"sh\",\"-c\",\"read x; exit $x\"]"
#define DIES  "[\"sh\",\"-c\",\"trap 'exit 5' HUP; echo ready; while :; do sleep 1 & wait; done\"]"

const struct scenario scenarios_life[] = {
	{ "events whole-life", INIT, .run = whole_life },
	{ "Wait many", INIT, .command = EXITS, .run = many_waits },
	{ "Wait many", EXEC, .run = many_waits },
	{ "Wait and-delete", EXEC, .run = wait_and_delete },
	{ "Kill HUP", INIT, .command = DIES, .run = kill_hup },
	{ "Kill HUP", EXEC, .run = kill_hup },
	{ "Kill signal-0", INIT, .run = kill_zero },
	{ "Kill signal-0", EXEC, .run = kill_zero },
	{ "Kill signal-99", INIT, .run = kill_too_high },
	{ "Kill signal-99", EXEC, .run = kill_too_high },
	{ "Kill all", INIT, .any_order = true, .run = kill_all },
	{ "Kill all", EXEC, .run = kill_all },
	{ "Kill before-exec", INIT, .any_order = true, .run = init_dies_first },
	{ "Create no-program", INIT, .command = WRONG, .run = create_wrong },
	{ "Create no-bundle", INIT, .run = create_elsewhere },
	{ "Start no-program", EXEC, .run = exec_wrong },
	{ "Start no-program-again", EXEC, .run = exec_wrong_again },
	{ "Exec no-json", EXEC, .run = exec_no_json },
	{ "Exec wrong-type", EXEC, .run = exec_other_type },
	{ "Update no-json", INIT, .run = update_no_json },
	{ "Update wrong-type", INIT, .run = update_other_type },
	{ "State other-id", INIT, .run = state_other },
	{ "Kill other-id", INIT, .run = kill_other },
	{ "Delete other-id", INIT, .run = delete_other },
	{ "Connect other-id", INIT, .run = connect_other },
	{ "Shutdown other-id", INIT, .run = shutdown_other },
	{ 0 },
};
