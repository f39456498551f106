/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline: 240
 * libcleat over a real shim and runtime: waits from many threads, cancelled and polled, what is told
 * when the shim dies, and events.
 */
#include "test/integration/client_world.h"

/* --- waiting --- */

static void test_pollable_wait(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = create(w, "[\"/bin/tool\",\"exit\",\"9\"]", NULL);
	struct cleat_process *init = cleat_task_init(task);
	struct cleat_exit exit = { 0 };
	struct cleat_wait *wait;
	struct pollfd p = { .events = POLLIN };
	int r;

	OK(cleat_wait_begin(init, &wait, e));
	p.fd = cleat_wait_fd(wait);
	assert_true(p.fd >= 0);
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, "not ended", cleat_wait_take(wait, 0, &exit, e));
	assert_int_equal(poll(&p, 1, 0), 0);
	/* other calls on the connection take in frames for it */
	OK(cleat_process_start(init, e));
	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = cleat_wait_take(wait, 0, &exit, NULL);
	} while (r == CLEAT_EDEADLINE_EXCEEDED);
	assert_int_equal(r, 0);
	assert_exit(&exit, 9);
	/* told again, and it stays readable */
	assert_int_equal(poll(&p, 1, 0), 1);
	OK(cleat_wait_take(wait, 0, &exit, e));
	assert_exit(&exit, 9);
	cleat_wait_free(wait);
	/* after the end, too */
	OK(cleat_wait_begin(init, &wait, e));
	p.fd = cleat_wait_fd(wait);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	OK(cleat_wait_take(wait, 0, &exit, e));
	assert_exit(&exit, 9);
	cleat_wait_free(wait);
	finish(task);
}

static void *cancel_it(void *wait)
{
	cleat_wait_cancel(wait);
	return NULL;
}

static void test_cancel(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"pause\"]", NULL);
	struct cleat_process *init = cleat_task_init(task);
	struct cleat_exit exit;
	struct cleat_wait *wait;
	pthread_t other;

	for (int i = 0; i < 50; i++) {
		struct pollfd p = { .events = POLLIN };

		OK(cleat_wait_begin(init, &wait, e));
		if (i % 2)
			p.fd = cleat_wait_fd(wait);
		assert_int_equal(pthread_create(&other, NULL, cancel_it, wait), 0);
		if (i % 2)
			assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		REFUSED(CLEAT_ECANCELLED, "cancelled", cleat_wait_take(wait, -1, &exit, e));
		pthread_join(other, NULL);
		cleat_wait_free(wait);
	}
	/* those that were given up have left nothing in the way */
	OK(cleat_process_kill(init, SIGKILL, e));
	OK(cleat_process_wait(init, WAIT_MS, &exit, e));
	assert_exit(&exit, 128 + SIGKILL);
	finish(task);
}

/* An exit anywhere around the wait's two questions. */
static void test_race(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"pause\"]", NULL);
	const char *const args[] = { "/bin/tool", "exit", "7", NULL };

	for (int i = 0; i < 20; i++) {
		struct cleat_process *exec = add(task, "race", args, NULL);
		struct cleat_exit exit = { 0 };

		OK(cleat_process_start(exec, e));
		OK(cleat_process_wait(exec, WAIT_MS, &exit, e));
		assert_exit(&exit, 7);
		OK(cleat_process_delete(exec, NULL, NULL, e));
		cleat_process_free(exec);
	}
	finish(task);
}

/* --- threads --- */

#define N_THREADS 8
#define N_ROUNDS  6

struct worker {
	struct cleat_task *task;
	int number, failed;
	struct cleat_error why;
};

#define TRY(w, call)                                                                               \
	do {                                                                                       \
		struct cleat_error *e = &(w)->why;                                                 \
		if ((call) != 0) {                                                                 \
			(w)->failed = __LINE__;                                                    \
			return NULL;                                                               \
		}                                                                                  \
	} while (0)

/* Execs that end by themselves and some that are killed, each waited for. */
static void *work(void *userdata)
{
	static const char *const exits[] = { "/bin/tool", "exit", "5", NULL };
	static const char *const stays[] = { "/bin/tool", "ignore-term", NULL };
	struct worker *w = userdata;

	for (int i = 0; i < N_ROUNDS; i++) {
		struct cleat_exec_options o = CLEAT_EXEC_OPTIONS_INIT;
		bool kill = (i + w->number) % 2;
		struct cleat_process *p;
		struct cleat_exit exit;
		char id[32];

		snprintf(id, sizeof(id), "t%d.%d", w->number, i);
		o.args = kill ? stays : exits;
		TRY(w, cleat_task_exec(w->task, id, &o, NULL, &p, e));
		TRY(w, cleat_process_start(p, e));
		if (kill)
			TRY(w, cleat_process_kill(p, SIGKILL, e));
		TRY(w, cleat_process_wait(p, WAIT_MS, &exit, e));
		if (!exit.known || exit.status != (kill ? 128u + SIGKILL : 5u))
			w->failed = __LINE__;
		TRY(w, cleat_process_delete(p, NULL, &exit, e));
		cleat_process_free(p);
	}
	return NULL;
}

/* All wait for the same end. */
static void *await(void *userdata)
{
	struct worker *w = userdata;
	struct cleat_exit exit = { 0 };

	TRY(w, cleat_process_wait(cleat_task_init(w->task), -1, &exit, e));
	if (!exit.known || exit.status != 128 + SIGKILL)
		w->failed = __LINE__;
	return NULL;
}

static void test_threads(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"ignore-term\"]", NULL);
	struct worker workers[2 * N_THREADS] = { 0 };
	pthread_t threads[2 * N_THREADS];

	for (int i = 0; i < 2 * N_THREADS; i++) {
		workers[i].task = task;
		workers[i].number = i;
		assert_int_equal(pthread_create(&threads[i], NULL, i < N_THREADS ? work : await,
					 &workers[i]),
			0);
	}
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	OK(cleat_process_kill(cleat_task_init(task), SIGKILL, e));
	for (int i = 0; i < 2 * N_THREADS; i++) {
		if (i >= N_THREADS)
			pthread_join(threads[i], NULL);
		if (workers[i].failed)
			fail_msg("thread %d, line %d: %s", i, workers[i].failed,
				cleat_error_message(&workers[i].why));
	}
	finish(task);
}

/* --- a shim that dies --- */

static void kill_shim(struct world *w)
{
	struct cleat_container *list;
	size_t n;

	OK(cleat_client_list(w->client, &list, &n, e));
	assert_int_equal(n, 1);
	assert_true(list[0].shim_pid > 0);
	kill((pid_t)list[0].shim_pid, SIGKILL);
	cleat_containers_free(list, n);
}

/* Killed once its shim was dead: cleatd was looking, and else nobody. */
static void assert_orphan_exit(const struct world *w, const struct cleat_exit *exit)
{
	assert_int_equal(exit->known, w->via == CLEAT_VIA_CLEATD);
	assert_int_equal(exit->status, exit->known ? 128 + SIGKILL : 0);
}

static void test_shim_dies(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"ignore-term\"]", NULL), *again;
	const char *const args[] = { "/bin/tool", "exit", "6", NULL };
	struct cleat_process *init = cleat_task_init(task), *exec = add(task, "done", args, NULL);
	struct cleat_container *list;
	struct cleat_wait *wait, *polled;
	struct pollfd p = { .events = POLLIN };
	struct cleat_exit exit;
	size_t n;
	int r;

	OK(cleat_process_start(exec, e));
	OK(cleat_process_wait(exec, WAIT_MS, &exit, e));
	OK(cleat_wait_begin(init, &wait, e));
	OK(cleat_wait_begin(init, &polled, e));
	p.fd = cleat_wait_fd(polled);
	kill_shim(w);
	/* its init lives on, and is waited for all the same */
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, "not ended", cleat_wait_take(wait, 500, &exit, e));
	assert_status(init, "running");
	OK(cleat_client_list(w->client, &list, &n, e));
	assert_string_equal(list[0].status, "orphaned");
	assert_int_equal(list[0].shim_pid, 0);
	cleat_containers_free(list, n);
	/* what was recorded is told from the ledger */
	OK(cleat_process_wait(exec, WAIT_MS, &exit, e));
	assert_exit(&exit, 6);
	REFUSED(CLEAT_EFAILED_PRECONDITION, "orphaned", cleat_task_pause(task, e));
	OK(cleat_process_kill(init, SIGKILL, e));
	OK(cleat_wait_take(wait, WAIT_MS, &exit, e));
	assert_orphan_exit(w, &exit);
	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = cleat_wait_take(polled, 0, &exit, NULL);
	} while (r == CLEAT_EDEADLINE_EXCEEDED);
	assert_int_equal(r, 0);
	assert_orphan_exit(w, &exit);
	cleat_wait_free(wait);
	cleat_wait_free(polled);
	cleat_process_free(exec);
	OK(cleat_task_open(w->client, w->id, &again, e));
	assert_status(cleat_task_init(again), "stopped");
	OK(cleat_process_delete(cleat_task_init(again), NULL, &exit, e));
	assert_orphan_exit(w, &exit);
	cleat_task_free(again);
	cleat_task_free(task);
}

/* --- a cleatd that dies, and one that comes --- */

/* What is waited for goes on at the shim, and so does what is asked for later. */
static void test_cleatd_dies(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"ignore-term\"]", NULL);
	const char *const args[] = { "/bin/tool", "exit", "6", NULL };
	struct cleat_process *init = cleat_task_init(task), *exec = add(task, "six", args, NULL);
	struct worker worker = { .task = task };
	struct cleat_wait *wait, *polled;
	struct pollfd p = { .events = POLLIN };
	struct cleat_exit exit;
	pthread_t thread;
	int r;

	OK(cleat_wait_begin(exec, &wait, e));
	OK(cleat_wait_begin(exec, &polled, e));
	p.fd = cleat_wait_fd(polled);
	assert_int_equal(pthread_create(&thread, NULL, await, &worker), 0);
	kill_cleatd(w);
	OK(cleat_process_start(exec, e));
	OK(cleat_wait_take(wait, WAIT_MS, &exit, e));
	assert_exit(&exit, 6);
	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = cleat_wait_take(polled, 0, &exit, NULL);
	} while (r == CLEAT_EDEADLINE_EXCEEDED);
	assert_int_equal(r, 0);
	assert_exit(&exit, 6);
	/* one that has come back is asked again */
	start_cleatd(w);
	assert_status(init, "running");
	OK(cleat_process_kill(init, SIGKILL, e));
	pthread_join(thread, NULL);
	if (worker.failed)
		fail_msg("line %d: %s", worker.failed, cleat_error_message(&worker.why));
	cleat_wait_free(wait);
	cleat_wait_free(polled);
	OK(cleat_process_delete(exec, NULL, &exit, e));
	assert_exit(&exit, 6);
	cleat_process_free(exec);
	finish(task);
}

/* --- events --- */

static void test_events(void **state)
{
	static const char *const topics[] = { "/tasks/start", "/tasks/exec-added",
		"/tasks/exec-started", "/tasks/exit", "/tasks/exit", "/tasks/delete" };
	struct world *w = *state;
	struct cleat_events_options o = CLEAT_EVENTS_OPTIONS_INIT;
	struct cleat_task *task = create(w, "[\"/bin/tool\",\"ignore-term\"]", NULL);
	const char *const args[] = { "/bin/tool", "exit", "4", NULL };
	struct cleat_process *exec;
	const struct cleat_event *event;
	struct cleat_events *events;
	struct cleat_exit exit;
	uint64_t last = 0;

	o.id = w->id;
	o.from_now = true;
	OK(cleat_events_open(w->client, &o, &events, e));
	/* the stream's beginning is its subscription, which is answered by no word of its own */
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, "none", cleat_events_next(events, 300, &event, e));
	OK(cleat_process_start(cleat_task_init(task), e));
	exec = add(task, "four", args, NULL);
	OK(cleat_process_start(exec, e));
	OK(cleat_process_wait(exec, WAIT_MS, &exit, e));
	cleat_process_free(exec);
	finish(task);
	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++) {
		struct pollfd p = { .fd = cleat_events_fd(events), .events = POLLIN };
		int r;

		do {
			assert_int_equal(poll(&p, 1, WAIT_MS), 1);
			r = cleat_events_next(events, 0, &event, NULL);
		} while (r == CLEAT_EDEADLINE_EXCEEDED);
		assert_int_equal(r, 0);
		assert_non_null(event);
		assert_string_equal(event->topic, topics[i]);
		assert_string_equal(event->id, w->id);
		assert_true(last == 0 || event->seq == last + 1);
		last = event->seq;
		if (i == 3) {
			assert_string_equal(event->exec_id, "four");
			assert_string_equal(event->type, "containerd.events.TaskExit");
			assert_true(event->has_exit);
			assert_int_equal(event->exit_status, 4);
			assert_true(event->pid > 0 && event->n_payload > 0);
		}
		if (i == 4) {
			assert_string_equal(event->exec_id, "");
			assert_int_equal(event->exit_status, 128 + SIGKILL);
		}
	}
	/* the container's shim ends with it, and the stream with that */
	OK(cleat_events_next(events, WAIT_MS, &event, e));
	assert_null(event);
	OK(cleat_events_next(events, 0, &event, e));
	assert_null(event);
	cleat_events_close(events);
}

/* Of a container that is made only later, too. */
static void test_events_of_all(void **state)
{
	static const char *const topics[] = { "/tasks/create", "/tasks/start", "/tasks/exit",
		"/tasks/delete" };
	struct world *w = *state;
	struct cleat_events_options o = CLEAT_EVENTS_OPTIONS_INIT;
	const struct cleat_event *event;
	struct cleat_events *events;
	struct cleat_task *task;

	o.from_now = true;
	OK(cleat_events_open(w->client, &o, &events, e));
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, "none", cleat_events_next(events, 300, &event, e));
	task = run(w, "[\"/bin/tool\",\"pause\"]", NULL);
	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++) {
		OK(cleat_events_next(events, WAIT_MS, &event, e));
		assert_non_null(event);
		assert_string_equal(event->topic, topics[i]);
		assert_string_equal(event->id, w->id);
		assert_int_equal(event->missed, 0);
		if (i == 1)
			finish(task);
	}
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, "none", cleat_events_next(events, 0, &event, e));
	cleat_events_close(events);
}

/* The shims tell the rest; but who named cleatd's socket wants it, and is told that it has gone. */
static void test_events_cleatd_dies(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *socket = bed_format("%s/cleatd.sock", w->bed->root);
	struct cleat_client_options named = CLEAT_CLIENT_OPTIONS_INIT;
	struct cleat_events *events, *of_named;
	const struct cleat_event *event;
	struct cleat_client *client;
	struct cleat_task *task;

	named.root = w->bed->root;
	named.socket = socket;
	OK(cleat_client_open(&named, &client, e));
	OK(cleat_events_open(client, NULL, &of_named, e));
	OK(cleat_events_open(w->client, NULL, &events, e));
	task = run(w, "[\"/bin/tool\",\"ignore-term\"]", NULL);
	OK(cleat_events_next(events, WAIT_MS, &event, e));
	assert_string_equal(event->topic, "/tasks/create");
	kill_cleatd(w);
	OK(cleat_process_kill(cleat_task_init(task), SIGKILL, e));
	OK(cleat_events_next(events, WAIT_MS, &event, e));
	assert_string_equal(event->topic, "/tasks/start");
	OK(cleat_events_next(events, WAIT_MS, &event, e));
	assert_string_equal(event->topic, "/tasks/exit");
	finish(task);
	OK(cleat_events_next(events, WAIT_MS, &event, e));
	assert_string_equal(event->topic, "/tasks/delete");
	cleat_events_close(events);
	while (cleat_events_next(of_named, WAIT_MS, &event, NULL) == 0)
		assert_non_null(event);
	REFUSED(CLEAT_EUNAVAILABLE, "", cleat_events_next(of_named, 0, &event, e));
	cleat_events_close(of_named);
	cleat_client_close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DIRECT(test_pollable_wait),
		BY_SHIM(test_pollable_wait),
		BY_CLEATD(test_pollable_wait),
		DIRECT(test_cancel),
		BY_CLEATD(test_cancel),
		DIRECT(test_race),
		BY_SHIM(test_race),
		BY_CLEATD(test_race),
		DIRECT(test_threads),
		BY_CLEATD(test_threads),
		DIRECT(test_shim_dies),
		BY_CLEATD(test_shim_dies),
		BY_CLEATD(test_cleatd_dies),
		DIRECT(test_events),
		BY_CLEATD(test_events),
		DIRECT(test_events_of_all),
		BY_CLEATD(test_events_of_all),
		BY_CLEATD(test_events_cleatd_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
