/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state table of a process: every event in every state, allowed or refused with its code and
 * sentence. A second table, in letters, so that no line of the first changes unseen.
 */
#include "shim/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"

static const char *const events[] = { "start", "kill", "delete", "pause", "resume", "exec",
	"resize", "close the stdin of", "wait for", "update", "checkpoint" };
_Static_assert(sizeof(events) / sizeof(*events) == _PROCESS_EVENT_MAX, "each event once");

/* A letter for each event: + allowed, p FAILED_PRECONDITION, n NOT_FOUND. */
static const struct {
	enum process_status status;
	const char *word, *answers;
} states[] = {
	{ PROCESS_CREATING, "unknown", "nnnnnnnnnnn" },
	{ PROCESS_CREATED, "created", "+++pp+++++p" },
	{ PROCESS_RUNNING, "running", "p+p+p++++++" },
	{ PROCESS_PAUSING, "pausing", "p+pppp++++p" },
	{ PROCESS_PAUSED, "paused", "p+pp+p+++++" },
	{ PROCESS_STOPPED, "stopped", "pn+pppp++pp" },
	{ PROCESS_DELETED, "deleted", "nnnnnnnnnnn" },
};
_Static_assert(sizeof(states) / sizeof(*states) == _PROCESS_STATUS_MAX, "each status once");

static bool is_of_container(enum process_event event)
{
	return event == PROCESS_PAUSE || event == PROCESS_RESUME || event == PROCESS_UPDATE ||
	       event == PROCESS_CHECKPOINT || event == PROCESS_EXEC;
}

/* As containerd's clients look for them. */
static void make_sentence(const char *word, enum process_event event, char *ret, size_t n)
{
	if (event == PROCESS_EXEC)
		snprintf(ret, n, "cannot exec in a %s container", word);
	else if (event == PROCESS_CHECKPOINT && strcmp(word, "created") == 0)
		snprintf(ret, n, "cannot checkpoint a task in created state");
	else
		snprintf(ret, n, "cannot %s a %s %s", events[event], word,
			is_of_container(event) ? "container" : "process");
}

static void check(size_t i, enum process_event event)
{
	const struct process p = { .status = states[i].status };
	_cleanup_error_ struct error err = ERROR_INIT;
	int code = process_check(&p, event, &err);
	char sentence[128];

	switch (states[i].answers[event]) {
	case '+':
		assert_int_equal(code, CODE_OK);
		assert_null(err.message);
		return;
	case 'n':
		assert_int_equal(code, CODE_NOT_FOUND);
		assert_string_equal(error_message(&err), p.status == PROCESS_STOPPED
								 ? "process already finished"
								 : "process does not exist");
		return;
	case 'p':
		assert_int_equal(code, CODE_FAILED_PRECONDITION);
		make_sentence(states[i].word, event, sentence, sizeof(sentence));
		assert_string_equal(error_message(&err), sentence);
		return;
	default:
		fail_msg("%s %s", states[i].word, events[event]);
	}
}

static void test_every_event_in_every_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < _PROCESS_STATUS_MAX; i++) {
		assert_int_equal(states[i].status, i);
		assert_int_equal(strlen(states[i].answers), _PROCESS_EVENT_MAX);
		for (unsigned event = 0; event < _PROCESS_EVENT_MAX; event++)
			check(i, (enum process_event)event);
	}
}

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < _PROCESS_STATUS_MAX; i++)
		assert_string_equal(process_status_word(states[i].status), states[i].word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_in_every_state),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
