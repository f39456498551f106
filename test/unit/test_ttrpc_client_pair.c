/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client over a pair of sockets, with the other end in the test's hand: a server that is not
 * ours and answers by hand, and asynchronous use in the same loop.
 */
#include "common/ttrpc_client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_frame.h"
#include "test/unit/precise_base.h"
#include "test/unit/ttrpc_client_bed.h"
#include "test/unit/ttrpc_raw.h"

/* --- against a server that is not ours: answers by hand --- */

struct pair {
	struct ttrpc_client *client;
	struct event_base *base;
	int theirs;
	size_t n_replies;
	int last_code;
	char last_key[32];
	char words[64];
	struct ttrpc_pending *cancel; /* in the next callback */
	bool free_client;	      /* likewise */
	bool begin_again;
	bool beginning;
};

static int pair_setup(void **state, bool with_base)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->base = with_base ? precise_base_new() : NULL;
	p->theirs = fds[1];
	assert_int_equal(ttrpc_client_new(fds[0], p->base, &p->client, NULL), 0);
	*state = p;
	return 0;
}

static int pair_setup_blocking(void **state)
{
	return pair_setup(state, false);
}

static int pair_setup_async(void **state)
{
	return pair_setup(state, true);
}

static int pair_teardown(void **state)
{
	struct pair *p = *state;

	ttrpc_client_free(p->client);
	fd_close(&p->theirs);
	if (p->base)
		event_base_free(p->base);
	free(p);
	return 0;
}

static void put_message(
	struct buf *b, uint32_t id, int type, int flags, const char *key, bool in_response)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	Ttrpc__Response r = TTRPC__RESPONSE__INIT;
	uint8_t payload[256], data[512];
	size_t n;

	m.key = (char *)key;
	n = ttrpc__key_value__pack(&m, payload);
	r.payload.data = payload;
	r.payload.len = n;
	if (in_response) {
		n = ttrpc__response__pack(&r, data);
		raw_put(b, (uint32_t)n, id, type, flags, data, n);
	} else {
		raw_put(b, (uint32_t)n, id, type, flags, payload, n);
	}
}

/* What a peculiar server may send before, or instead of, the answer to stream 1. */
static void a_client_bears_peculiar_answers(void **state)
{
	static const struct {
		const char *data; /* of a Response on stream 1 */
		size_t n;
		int type, flags, code;
	} cases[] = {
		{ "\x12\x03\x0a\x01k", 5, TTRPC_RESPONSE, 0, 0 },
		{ "", 0, TTRPC_RESPONSE, 0, 0 },
		{ "\x0a\x00", 2, TTRPC_RESPONSE, 0, 0 }, /* a status with code 0 */
		{ "\x0a\x02\x08\x05", 4, TTRPC_RESPONSE, 0, CODE_NOT_FOUND },
		{ "\x0a\x7f", 2, TTRPC_RESPONSE, 0, CODE_INTERNAL },
		{ "\x12\x02\x0a\x7f", 4, TTRPC_RESPONSE, 0, CODE_INTERNAL },
		{ "x", 1, TTRPC_DATA, 0, CODE_INTERNAL },
		{ "", 0, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA, CODE_INTERNAL },
	};
	struct pair *p = *state;
	uint32_t id = 1;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++, id += 2) {
		_cleanup_error_ struct error err = ERROR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		Ttrpc__KeyValue *answer = NULL;

		raw_put(&b, 3, 777, TTRPC_RESPONSE, 0, "odd", 3);
		raw_put(&b, 3, id, TTRPC_REQUEST, 0, "odd", 3);
		raw_put(&b, 3, id, 99, 0, "odd", 3);
		raw_put(&b, (uint32_t)cases[i].n, id, cases[i].type, cases[i].flags, cases[i].data,
			cases[i].n);
		assert_true(raw_send_buf(NULL, p->theirs, &b));
		assert_int_equal(
			call(p->client, "Echo", "", "", 10000, &answer, &err), cases[i].code);
		if (answer)
			ttrpc__key_value__free_unpacked(answer, NULL);
	}
}

static void a_client_drops_what_is_not_ttrpc(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	struct pair *p = *state;

	assert_true(raw_send(NULL, p->theirs, "HTTP/1.1 400", 12));
	assert_fails(call(p->client, "Echo", "", "", 10000, &answer, &err), CODE_UNAVAILABLE, &err,
		"not ttrpc");
	assert_fails(call(p->client, "Echo", "", "", 10000, &answer, &err), CODE_UNAVAILABLE, &err,
		"closed");
}

static void the_last_message_of_a_stream_may_end_it(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;
	uint32_t one = stream(p->client, "Count", "", "", 0);
	uint32_t two = stream(p->client, "Count", "", "", 0);
	uint32_t three = stream(p->client, "Count", "", "", 0);

	put_message(&b, one, TTRPC_DATA, TTRPC_REMOTE_CLOSED, "last", false);
	put_message(&b, two, TTRPC_RESPONSE, 0, "answer", true);
	raw_put(&b, 0, three, TTRPC_DATA, 0, NULL, 0);
	raw_put(&b, 0, three, TTRPC_RESPONSE, 0, NULL, 0);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	assert_next(p->client, one, "last");
	assert_next(p->client, one, NULL);
	assert_next(p->client, two, "answer");
	assert_next(p->client, two, NULL);
	assert_next(p->client, three, ""); /* no bytes are an empty message */
	assert_next(p->client, three, NULL);
}

/* From a process of its own, since nobody reads them here at first. */
static pid_t send_messages(struct pair *p, size_t n, uint32_t id, uint32_t then_answer)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t length = (1u << 20) - 64;
	size_t value = length - 4; /* a KeyValue of that much value: a tag, three bytes of varint */
	uint8_t *data = calloc(1, length);
	pid_t pid = fork();

	assert_true(pid >= 0);
	data[0] = 2 << 3 | 2;
	data[1] = (uint8_t)(value | 0x80);
	data[2] = (uint8_t)(value >> 7 | 0x80);
	data[3] = (uint8_t)(value >> 14);
	for (size_t i = 0; pid == 0 && i < n; i++)
		raw_put(&b, (uint32_t)length, id, TTRPC_DATA, 0, data, length);
	free(data);
	if (pid > 0)
		return pid;
	put_message(&b, then_answer, TTRPC_RESPONSE, 0, "answer", true);
	_exit(raw_send(NULL, p->theirs, buf_head(&b), b.len) ? 0 : 1);
}

/* A stream's messages are kept while other calls are made: 8 MiB of them, no more. */
static void what_nobody_reads_is_bounded(void **state)
{
	static const size_t more[] = { 8, 1 };
	struct pair *p = *state;
	uint32_t id = stream(p->client, "Count", "", "", 0);

	for (uint32_t i = 0; i < 2; i++) {
		_cleanup_error_ struct error err = ERROR_INIT;
		Ttrpc__KeyValue *answer = NULL;
		pid_t pid = send_messages(p, more[i], id, 2 * i + 3);
		int code = call(p->client, "Echo", "", "", 20000, &answer, &err);

		waitpid(pid, NULL, 0);
		if (i == 0) {
			assert_int_equal(code, 0);
			ttrpc__key_value__free_unpacked(answer, NULL);
		} else {
			assert_fails(code, CODE_RESOURCE_EXHAUSTED, &err, "wait to be read");
		}
	}
	/* what was kept is still to be had */
	for (size_t i = 0; i < 8; i++)
		assert_next(p->client, id, "");
}

/* The bytes that leave: what a Go server reads. */
static void requests_look_as_the_protocol_says(void **state)
{
	struct pair *p = *state;
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	struct raw_frame frame;
	Ttrpc__Request *r;

	assert_int_equal(
		call(p->client, "Echo", "k", "v", 20, &answer, &err), CODE_DEADLINE_EXCEEDED);
	assert_int_equal(raw_recv(NULL, p->theirs, &frame), RAW_FRAME);
	assert_int_equal(frame.header.type, TTRPC_REQUEST);
	assert_int_equal(frame.header.flags, 0);
	assert_int_equal(frame.header.stream, 1);
	r = ttrpc__request__unpack(NULL, frame.header.length, frame.data);
	assert_non_null(r);
	assert_string_equal(r->service, ECHO_SERVICE);
	assert_string_equal(r->method, "Echo");
	assert_int_equal(r->timeout_nano, 20000000);
	ttrpc__request__free_unpacked(r, NULL);
	raw_frame_free(&frame);
	stream(p->client, "Count", "", "", 0);
	assert_int_equal(raw_recv(NULL, p->theirs, &frame), RAW_FRAME);
	assert_int_equal(frame.header.flags, TTRPC_REMOTE_CLOSED);
	assert_int_equal(frame.header.stream, 3);
	raw_frame_free(&frame);
}

/* --- asynchronous --- */

static int begin(struct pair *p, int is_stream, const char *key, int64_t timeout_ms,
	struct ttrpc_pending **ret);

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct pair *p = userdata;

	assert_false(p->beginning);
	p->n_replies++;
	p->last_code = code;
	assert_true((code == 0) == (err == NULL));
	snprintf(p->last_key, sizeof(p->last_key), "%s",
		message ? ((const Ttrpc__KeyValue *)message)->key : "(none)");
	snprintf(p->words, sizeof(p->words), "%s", err ? error_message(err) : "");
	if (p->cancel)
		ttrpc_client_cancel(TAKE_PTR(p->cancel));
	if (p->begin_again) {
		p->begin_again = false;
		assert_int_equal(begin(p, 0, "again", 0, NULL), 0);
	}
	if (p->free_client)
		ttrpc_client_free(TAKE_PTR(p->client));
}

static int begin(struct pair *p, int is_stream, const char *key, int64_t timeout_ms,
	struct ttrpc_pending **ret)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = is_stream ? "Count" : "Echo",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.timeout_ms = timeout_ms,
	};
	int code;

	m.key = (char *)key;
	p->beginning = true;
	code = ttrpc_client_begin(p->client, &request, is_stream, on_reply, p, ret, &err);
	p->beginning = false;
	return code;
}

static void await_replies(struct pair *p, size_t n)
{
	int64_t deadline = clock_monotonic_ms() + RAW_DEADLINE_MS;

	while (p->n_replies < n) {
		assert_true(clock_monotonic_ms() < deadline);
		event_base_loop(p->base, EVLOOP_ONCE);
	}
	event_base_loop(p->base, EVLOOP_NONBLOCK);
	assert_int_equal(p->n_replies, n);
}

static void answers_arrive_by_callback(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "second", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 1);
	assert_string_equal(p->last_key, "second");
	put_message(&b, 1, TTRPC_RESPONSE, 0, "first", true);
	put_message(&b, 5, TTRPC_RESPONSE, 0, "third", true);
	put_message(&b, 5, TTRPC_RESPONSE, 0, "too many", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 3);
	assert_string_equal(p->last_key, "third");
}

static void a_callback_may_begin_the_next_call(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	p->begin_again = true;
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	put_message(&b, 1, TTRPC_RESPONSE, 0, "first", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 1);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "second", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "second");
}

static void a_stream_calls_back_for_each_and_the_end(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	assert_int_equal(begin(p, 1, "k", 0, NULL), 0);
	put_message(&b, 1, TTRPC_DATA, 0, "a", false);
	put_message(&b, 1, TTRPC_DATA, 0, "b", false);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "b");
	raw_put(&b, 0, 1, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA, NULL, 0);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 3);
	assert_string_equal(p->last_key, "(none)");
	assert_int_equal(p->last_code, 0);
}

static void a_cancelled_call_hears_nothing(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;
	struct ttrpc_pending *pending;

	assert_int_equal(begin(p, 0, "k", 50, &pending), 0);
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	ttrpc_client_cancel(pending);
	/* a stream that is cancelled in its own callback, with the end behind it */
	assert_int_equal(begin(p, 1, "k", 0, &p->cancel), 0);
	put_message(&b, 1, TTRPC_RESPONSE, 0, "cancelled", true);
	put_message(&b, 5, TTRPC_DATA, TTRPC_REMOTE_CLOSED, "message", false);
	put_message(&b, 5, TTRPC_DATA, 0, "too late", false);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "other", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "other");
	/* no timer is left */
	assert_int_equal(event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED), 1);
}

static void a_client_may_be_freed_in_a_callback(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	p->free_client = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, 1, "k", 0, NULL), 0);
	put_message(&b, 1, TTRPC_DATA, TTRPC_REMOTE_CLOSED, "a", false);
	put_message(&b, 3, TTRPC_DATA, 0, "b", false);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 1);
	assert_null(p->client);
	/* nor in the callback that tells of the connection's end */
	assert_int_equal(event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED), 0);
}

static void a_client_may_be_freed_when_the_server_has_gone(void **state)
{
	struct pair *p = *state;

	p->free_client = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, 1, "k", 0, NULL), 0);
	fd_close(&p->theirs);
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
}

static void calls_can_be_ended_by_who_has_the_client(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, i % 2, "k", 0, NULL), 0);
	ttrpc_client_end_calls(p->client);
	assert_int_equal(p->n_replies, 3);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
	/* with the client going in the first of them */
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	p->free_client = true;
	ttrpc_client_end_calls(p->client);
	assert_null(p->client);
	assert_int_equal(p->n_replies, 4);
	event_base_loop(p->base, EVLOOP_NONBLOCK);
}

static void the_end_of_the_server_ends_every_call(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(begin(p, i % 2, "k", i % 3 ? 100000 : 0, NULL), 0);
	fd_close(&p->theirs);
	await_replies(p, 5);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
	assert_int_equal(begin(p, 0, "k", 0, NULL), CODE_UNAVAILABLE);
	assert_int_equal(event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED), 0);
}

/* The failure shows while sending: every earlier call still hears of it, from the loop. */
static void a_failed_send_ends_every_call(void **state)
{
	struct pair *p = *state;

	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	fd_close(&p->theirs);
	assert_int_equal(begin(p, 0, "k", 0, NULL), CODE_UNAVAILABLE);
	assert_int_equal(p->n_replies, 0);
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
}

static void a_deadline_of_our_own_follows_the_servers(void **state)
{
	struct pair *p = *state;
	int64_t began = clock_monotonic_ms();

	p->free_client = true; /* in the timer's callback */
	assert_int_equal(begin(p, 0, "k", 20, NULL), 0);
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_DEADLINE_EXCEEDED);
	assert_in_range(clock_monotonic_ms() - began, 1020, 15000);
}

static void an_answer_too_long_fails_its_call_alone(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;
	uint8_t *data = calloc(1, LIMIT_FRAME_DATA + 1);

	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	raw_put(&b, LIMIT_FRAME_DATA + 1, 1, TTRPC_RESPONSE, 0, data, LIMIT_FRAME_DATA + 1);
	free(data);
	assert_true(raw_send_buf(p->base, p->theirs, &b));
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_RESOURCE_EXHAUSTED);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "fine", true);
	assert_true(raw_send_buf(p->base, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "fine");
}

/* Against our own server in the same loop: more than the socket holds, descriptors included. */
static void many_calls_at_once_are_all_answered(void **state)
{
	struct pair *p = *state;
	struct ttrpc_server *server;
	struct echo *echo = calloc(1, sizeof(*echo));
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	int pipes[2], n_open;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = "Fds",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
	};
	char *value = malloc(2001), bytes[4096];
	size_t got = 0;

	assert_int_equal(ttrpc_server_new(p->base, -1, &server), 0);
	assert_int_equal(echo_add(server, echo), 0);
	assert_int_equal(ttrpc_server_adopt(server, p->theirs), 0);
	p->theirs = -1;
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	n_open = fd_count();
	memset(value, 'v', 2000);
	value[2000] = '\0';
	for (size_t i = 0; i < 1000; i++) {
		/* of every hundredth the server writes a byte to the descriptor it got */
		request.fds = &pipes[1];
		request.n_fds = i % 100 == 0;
		m.key = (char *)(request.n_fds ? "4" : "0");
		m.value = (char *)(request.n_fds ? "!" : value);
		assert_int_equal(
			ttrpc_client_begin(p->client, &request, 0, on_reply, p, NULL, &err), 0);
	}
	await_replies(p, 1000);
	assert_int_equal(p->last_code, 0);
	got = (size_t)read(pipes[0], bytes, sizeof(bytes));
	assert_int_equal(got, 10);
	assert_int_equal(fd_count(), n_open);
	close(pipes[0]);
	close(pipes[1]);
	free(value);
	ttrpc_server_free(server);
	free(echo);
}

static void a_queue_that_is_full_ends_the_connection(void **state)
{
	struct pair *p = *state;
	size_t n = 0;
	char *key = malloc(1000001);
	int code;

	memset(key, 'k', 1000000);
	key[1000000] = '\0';
	do
		code = begin(p, 0, key, 0, NULL);
	while (code == 0 && ++n < 100);
	free(key);
	assert_int_equal(code, CODE_UNAVAILABLE);
	assert_in_range(n, 8, 12);
	assert_int_equal(p->n_replies, 0);
	await_replies(p, n);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
}

#define BYHAND(name) cmocka_unit_test_setup_teardown(name, pair_setup_blocking, pair_teardown)
#define ASYNC(name)  cmocka_unit_test_setup_teardown(name, pair_setup_async, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BYHAND(a_client_bears_peculiar_answers),
		BYHAND(a_client_drops_what_is_not_ttrpc),
		BYHAND(the_last_message_of_a_stream_may_end_it),
		BYHAND(what_nobody_reads_is_bounded),
		BYHAND(requests_look_as_the_protocol_says),
		ASYNC(answers_arrive_by_callback),
		ASYNC(a_callback_may_begin_the_next_call),
		ASYNC(a_stream_calls_back_for_each_and_the_end),
		ASYNC(a_cancelled_call_hears_nothing),
		ASYNC(a_client_may_be_freed_in_a_callback),
		ASYNC(a_client_may_be_freed_when_the_server_has_gone),
		ASYNC(calls_can_be_ended_by_who_has_the_client),
		ASYNC(the_end_of_the_server_ends_every_call),
		ASYNC(a_failed_send_ends_every_call),
		ASYNC(a_deadline_of_our_own_follows_the_servers),
		ASYNC(an_answer_too_long_fails_its_call_alone),
		ASYNC(many_calls_at_once_are_all_answered),
		ASYNC(a_queue_that_is_full_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
