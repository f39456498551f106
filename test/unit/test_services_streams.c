/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services' streams of events, with slow readers too, Monitor's other calls, and how a shim is
 * asked to end: over a real shim without a runtime.
 */
#include "shim/shim.h"

#include "common/file.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "monitor.pb-c.h"
#include "shim2017.pb-c.h"
#include "test/unit/services_bed.h"

/* --- streams --- */

struct stream {
	struct fixture *f;
	unsigned n;
	uint64_t last_seq, n_missed, epoch;
	bool ended, is_2017;
	int code;
	char message[256];
};

static void on_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct stream *s = userdata;
	const Cleat__Shim__V1__Event *e = (const void *)message;

	if (!message) {
		s->ended = true;
		s->code = code;
		snprintf(s->message, sizeof(s->message), "%s", code ? error_message(err) : "");
		return;
	}
	s->n++;
	if (s->is_2017)
		return;
	s->epoch = e->epoch;
	assert_int_equal(e->seq, s->last_seq + e->missed + 1);
	assert_string_equal(e->namespace_, "default");
	assert_true(pbtime_get(e->time) != 0);
	s->last_seq = e->seq;
	s->n_missed += e->missed;
}

/* From behind number since, where the epoch is the shim's; from the start for any other. */
static void subscribe(struct fixture *f, struct ttrpc_client *client, uint64_t epoch,
	uint64_t since, struct stream *s)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	*s = (struct stream){ .f = f };
	if (epoch == events_epoch(f->shim->events))
		s->last_seq = since;
	r.epoch = epoch;
	r.since = since;
	assert_int_equal(ttrpc_client_begin(client, &request, 1, on_event, s, NULL, &err), 0);
	for (int i = 0; i < 5; i++)
		turn(f);
}

static void subscribe_2017(struct fixture *f, struct stream *s)
{
	Cleat__Shim2017__EventsRequest r = CLEAT__SHIM2017__EVENTS_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = SHIM,
		.method = "Events",
		.message = &r.base,
		.response = &cleat__shim2017__types__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	*s = (struct stream){ .f = f, .is_2017 = true };
	assert_int_equal(ttrpc_client_begin(f->client, &request, 1, on_event, s, NULL, &err), 0);
	for (int i = 0; i < 5; i++)
		turn(f);
}

static void add(struct fixture *f, enum event_kind kind)
{
	const struct event_args args = { .kind = kind, .container_id = "web", .pid = 42 };

	assert_int_equal(events_add(f->shim->events, &args), 0);
}

/* Turns the loop until nothing happens any more. */
static void settle(struct fixture *f, const struct stream *s)
{
	for (unsigned quiet = 0, n = s->n; quiet < 5; quiet++) {
		turn(f);
		if (s->n != n)
			quiet = 0;
		n = s->n;
	}
}

static void test_subscribe(void **state)
{
	struct fixture *f = *state;
	uint64_t epoch = events_epoch(f->shim->events);
	struct stream all, some, other;

	for (int i = 0; i < 5; i++)
		add(f, EVENT_PAUSED);
	subscribe(f, f->client, 0, 0, &all);
	subscribe(f, f->client, epoch, 3, &some);
	assert_int_equal(all.n, 5);
	assert_int_equal(all.epoch, epoch);
	assert_int_equal(some.n, 2);
	/* a number of another epoch says nothing */
	subscribe(f, f->client, epoch ^ 1, 3, &other);
	assert_int_equal(other.n, 5);
	add(f, EVENT_RESUMED);
	settle(f, &all);
	assert_int_equal(all.n, 6);
	assert_int_equal(some.n, 3);
	assert_int_equal(all.n_missed + some.n_missed, 0);
	events_end(f->shim->events);
	settle(f, &all);
	assert_true(all.ended && some.ended && other.ended);
	assert_int_equal(all.code + some.code + other.code, 0);
}

/* One that does not read for a while is told how much it missed, and costs nobody anything. */
static void test_slow_reader(void **state)
{
	const unsigned n = 30000;
	struct fixture *f = *state;
	struct stream s;

	subscribe(f, f->client, 0, 0, &s);
	for (unsigned i = 0; i < n; i++)
		add(f, EVENT_PAUSED); /* the client reads nothing: its loop does not turn */
	settle(f, &s);
	assert_false(s.ended);
	assert_true(s.n_missed > 0);
	assert_int_equal(s.n + s.n_missed, n);
	assert_int_equal(s.last_seq, n);
	add(f, EVENT_PAUSED);
	settle(f, &s);
	assert_int_equal(s.last_seq, n + 1);
}

/* At the end a slow reader still gets all that was kept for it. */
static void test_end_with_slow_reader(void **state)
{
	struct fixture *f = *state;
	struct stream s;

	subscribe(f, f->client, 0, 0, &s);
	for (unsigned i = 0; i < 30000; i++)
		add(f, EVENT_PAUSED);
	events_end(f->shim->events);
	settle(f, &s);
	assert_true(s.ended);
	assert_int_equal(s.code, 0);
	assert_int_equal(s.last_seq, 30000);
}

static void test_2017_events(void **state)
{
	static const enum event_kind kinds[] = { EVENT_CREATE, EVENT_START, EVENT_EXEC_ADDED,
		EVENT_EXEC_STARTED, EVENT_PAUSED, EVENT_RESUMED, EVENT_DELETE, EVENT_EXIT };
	struct fixture *f = *state;
	struct stream s;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		add(f, kinds[i]);
	subscribe_2017(f, &s);
	assert_int_equal(s.n, 5); /* create, start, exec-started, paused, exit */
	events_end(f->shim->events);
	settle(f, &s);
	assert_true(s.ended);
	assert_int_equal(s.code, 0);
}

static void test_2017_overrun(void **state)
{
	struct fixture *f = *state;
	unsigned long long n;
	struct stream s;

	subscribe_2017(f, &s);
	for (unsigned i = 0; i < 50000; i++)
		add(f, EVENT_PAUSED);
	settle(f, &s);
	assert_true(s.ended);
	assert_int_equal(s.code, CODE_DATA_LOSS);
	assert_int_equal(
		sscanf(s.message, "container web: %llu events were lost to this reader", &n), 1);
	assert_true(n > 0 && n + s.n <= 50000);
	/* who comes later than the oldest kept has lost nothing */
	subscribe_2017(f, &s);
	settle(f, &s);
	assert_false(s.ended);
	assert_int_equal(s.n, RING_TAIL_EVENTS);
}

/* A reader that leaves in the middle takes only itself along. */
static void test_reader_leaves(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_client *other = connect_to(f->shim);
	struct stream s, gone;

	subscribe(f, f->client, 0, 0, &s);
	subscribe(f, other, 0, 0, &gone);
	add(f, EVENT_PAUSED);
	ttrpc_client_free(other);
	add(f, EVENT_PAUSED);
	settle(f, &s);
	add(f, EVENT_PAUSED);
	settle(f, &s);
	assert_int_equal(s.n, 3);
	assert_int_equal(ttrpc_server_n_connections(f->shim->server), 1);
}

/* --- Monitor's other calls --- */

static void test_info(void **state)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const ProtobufCMessageDescriptor *response = &cleat__shim__v1__info_response__descriptor;
	const Cleat__Shim__V1__InfoResponse *ok;
	struct fixture *f = *state;
	struct process *p;
	struct answer a;
	int root;

	call(f, MONITOR, "Info", &r.base, response, &a);
	ok = (const void *)a.ok;
	assert_string_equal(ok->id, "web");
	assert_string_equal(ok->namespace_, "default");
	assert_string_equal(ok->version, CLEAT_VERSION);
	assert_string_equal(ok->status, "");
	assert_string_equal(ok->socket, f->shim->socket_path);
	assert_non_null(strstr(ok->state_dir, "/c/default/web"));
	assert_int_equal(ok->shim_pid, getpid());
	assert_int_equal(ok->epoch, events_epoch(f->shim->events));
	assert_int_equal(ok->next_seq, 1);
	assert_int_equal(ok->connections, 1);
	assert_int_equal(ok->n_processes, 0);
	answer_free(&a);

	p = add_container(f);
	root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_write_atomic(root, "config.json", "{ }", 3, 0600), 0);
	close(root);
	call(f, MONITOR, "Info", &r.base, response, &a);
	ok = (const void *)a.ok;
	assert_string_equal(ok->status, "running");
	assert_string_equal(ok->runtime, "/usr/bin/runc");
	assert_string_equal(ok->bundle, "/b");
	assert_string_equal(ok->stdout, "/o");
	assert_int_equal(ok->pid, 42);
	assert_int_equal(ok->n_processes, 1);
	assert_string_equal(ok->processes[0]->status, "running");
	assert_int_equal(ok->spec.len, 3);
	assert_memory_equal(ok->spec.data, "{ }", 3);
	assert_null(ok->exited_at);
	assert_false(ok->exit_known);
	answer_free(&a);

	tell_exit(p, 7);
	call(f, MONITOR, "Info", &r.base, response, &a);
	ok = (const void *)a.ok;
	assert_string_equal(ok->status, "stopped");
	assert_true(ok->exit_known);
	assert_int_equal(ok->exit_status, 7);
	assert_int_equal(pbtime_get(ok->exited_at), 1000000001);
	answer_free(&a);
}

static size_t n_records(struct fixture *f, const char *exec_id, bool all, uint32_t *status)
{
	Cleat__Shim__V1__ExitRecordsRequest r = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	const Cleat__Shim__V1__ExitRecordsResponse *ok;
	struct answer a;
	size_t n;

	r.exec_id = (char *)exec_id;
	r.all = all;
	call(f, MONITOR, "ExitRecords", &r.base,
		&cleat__shim__v1__exit_records_response__descriptor, &a);
	assert_int_equal(a.code, 0);
	ok = (const void *)a.ok;
	n = ok->n_records;
	if (n)
		*status = ok->records[n - 1]->status;
	for (size_t i = 0; i < n; i++)
		assert_string_equal(ok->records[i]->id, "web");
	answer_free(&a);
	return n;
}

static void test_exit_records(void **state)
{
	struct fixture *f = *state;
	struct exit_entry e = { .id = (char *)"web",
		.exec_id = (char *)"probe",
		.pid = 5,
		.known = true,
		.status = 137,
		.signal = 9,
		.exited_at = 1000000001 };
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t status = 0;

	assert_int_equal(n_records(f, "", true, &status), 0);
	assert_int_equal(ledger_open(f->shim->dir.fd, &f->shim->ledger, &err), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ledger_reserve(f->shim->ledger, &err), 0);
	assert_int_equal(ledger_append(f->shim->ledger, &e), 0);
	e.exec_id = (char *)"";
	e.status = 3;
	assert_int_equal(ledger_append(f->shim->ledger, &e), 0);
	e.exec_id = (char *)"x";
	e.known = false;
	e.status = 255;
	assert_int_equal(ledger_append(f->shim->ledger, &e), 0);
	assert_int_equal(n_records(f, "", true, &status), 3);
	assert_int_equal(n_records(f, "probe", false, &status), 1);
	assert_int_equal(status, 137);
	assert_int_equal(n_records(f, "", false, &status), 1);
	assert_int_equal(status, 3);
	/* what is not known is never told as a number */
	assert_int_equal(n_records(f, "x", false, &status), 1);
	assert_int_equal(status, 0);
	assert_int_equal(n_records(f, "none", false, &status), 0);
	ledger_free(f->shim->ledger);
	f->shim->ledger = NULL;
}

/* --- Exit and Shutdown --- */

static void test_exit_with_container(void **state)
{
	Cleat__Shim2017__ExitRequest r = CLEAT__SHIM2017__EXIT_REQUEST__INIT;
	Containerd__Task__V2__ShutdownRequest shutdown =
		CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	struct fixture *f = *state;
	struct process *p = add_container(f), *exec;

	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: process 42 is alive");
	assert_int_equal(process_new(p->container, "probe", &exec), 0);
	exec->pid = 43;
	exec->status = PROCESS_RUNNING;
	list_append(&p->container->processes, &exec->processes_link);
	p->container->n_processes++;
	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: processes 42, 43 are alive");
	exec->exited = true;
	tell_exit(p, 0);
	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: it was not deleted yet");
	p->status = PROCESS_CREATING;
	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: it is being created");
	expect(f, TASK, "Shutdown", &shutdown.base, EMPTY, CODE_OK, NULL);
	assert_false(f->shim->ending);
}

/* The answer comes before the end, and what is asked after it is refused. */
static void check_ending(
	struct fixture *f, const char *service, const char *method, const ProtobufCMessage *message)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	struct answer ended, after;

	begin(f, service, method, message, EMPTY, &ended);
	begin(f, TASK, "Connect", &r.base, &containerd__task__v2__connect_response__descriptor,
		&after);
	while (!ended.ended || !after.ended)
		event_base_loop(f->shim->base, EVLOOP_ONCE);
	assert_int_equal(ended.code, 0);
	assert_int_equal(after.code, CODE_UNAVAILABLE);
	assert_true(f->shim->ending);
	answer_free(&ended);
	answer_free(&after);
}

static void test_2017_exit(void **state)
{
	Cleat__Shim2017__ExitRequest r = CLEAT__SHIM2017__EXIT_REQUEST__INIT;

	check_ending(*state, SHIM, "Exit", &r.base);
}

static void test_shutdown(void **state)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

	check_ending(*state, TASK, "Shutdown", &r.base);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_subscribe),
		TEST(test_slow_reader),
		TEST(test_end_with_slow_reader),
		TEST(test_2017_events),
		TEST(test_2017_overrun),
		TEST(test_reader_leaves),
		TEST(test_info),
		TEST(test_exit_records),
		TEST(test_exit_with_container),
		TEST(test_2017_exit),
		TEST(test_shutdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
