/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server, from outside: bytes in, bytes out, over a real Unix socket in the same loop. Each
 * test ends with a check that the server still answers where it should. What is wrong or too much
 * is in test_ttrpc_server_wrong.c, descriptors and cost are in test_ttrpc_server_fds.c.
 */
#include "common/ttrpc_server.h"

#include <fcntl.h>

#include "common/cleanup.h"
#include "common/ttrpc_server_private.h"
#include "test/unit/ttrpc_server_bed.h"

/* --- answers --- */

static void a_call_is_answered_on_its_stream(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Echo", "k", "hello");
	assert_answer(f, f->client, 1, 0, "hello");
	ask(f, f->client, 99, "Echo", "", "");
	assert_answer(f, f->client, 99, 0, "");
	ask(f, f->client, 0xffffffff, "Echo", "k", "the last id");
	assert_answer(f, f->client, 0xffffffff, 0, "the last id");
}

static void a_failure_has_its_code_and_sentence(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Fail", "5", "container web: not found");
	assert_answer(f, f->client, 1, CODE_NOT_FOUND, "container web: not found");
}

static void a_failure_is_valid_utf8(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Fail", "2", "caf\xc3\xa9 \xff\xc0\xaf \xed\xa0\x80 end\xe2\x82");
	assert_answer(f, f->client, 1, CODE_UNKNOWN, "caf\xc3\xa9 ??? ??? end??");
}

static void a_call_may_come_byte_by_byte(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	put(&b, 1, "Echo", "k", "slowly");
	put(&b, 3, "Echo", "k", "and again");
	for (size_t i = 0; i < b.len; i++) {
		assert_true(raw_send(f->base, f->client, buf_head(&b) + i, 1));
		turn(f);
	}
	assert_answer(f, f->client, 1, 0, "slowly");
	assert_answer(f, f->client, 3, 0, "and again");
}

static void pipelined_calls_are_all_answered_in_order(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	char text[32];

	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "number %u", i);
		put(&b, 2 * i + 1, "Echo", "k", text);
	}
	assert_true(raw_send_buf(f->base, f->client, &b));
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "number %u", i);
		assert_answer(f, f->client, 2 * i + 1, 0, text);
	}
}

static void kept_calls_are_answered_in_any_order(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3; i++)
		ask(f, f->client, 2 * i + 1, "Hold", "", "");
	await(f, &f->echo.n_held, 3);
	assert_serves(f, f->client, 7);
	echo_reply(f->echo.held[2], "k", "third");
	ttrpc_call_fail(f->echo.held[0], CODE_ABORTED, "first");
	echo_reply(f->echo.held[1], "k", "second");
	assert_answer(f, f->client, 5, 0, "third");
	assert_answer(f, f->client, 1, CODE_ABORTED, "first");
	assert_answer(f, f->client, 3, 0, "second");
	assert_int_equal(f->echo.n_cancelled, 0);
}

static void metadata_of_a_request_is_told(void **state)
{
	struct fixture *f = *state;
	Ttrpc__KeyValue pairs[3] = { TTRPC__KEY_VALUE__INIT, TTRPC__KEY_VALUE__INIT,
		TTRPC__KEY_VALUE__INIT };
	Ttrpc__KeyValue *list[3] = { &pairs[0], &pairs[1], &pairs[2] };
	Ttrpc__Request r = TTRPC__REQUEST__INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t data[512], payload[64];
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;

	pairs[0].key = (char *)"other";
	pairs[0].value = (char *)"";
	pairs[1].key = (char *)"containerd-namespace-ttrpc";
	pairs[1].value = (char *)"k8s.io";
	pairs[2].key = (char *)"containerd-namespace-ttrpc";
	pairs[2].value = (char *)"second";
	m.key = (char *)"containerd-namespace-ttrpc";
	r.service = (char *)ECHO_SERVICE;
	r.method = (char *)"Meta";
	r.payload.len = ttrpc__key_value__pack(&m, payload);
	r.payload.data = payload;
	r.n_metadata = 3;
	r.metadata = list;
	raw_put(&b, (uint32_t)ttrpc__request__get_packed_size(&r), 1, TTRPC_REQUEST, 0, data,
		ttrpc__request__pack(&r, data));
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, 0, "k8s.io");
	ask(f, f->client, 3, "Meta", "containerd-namespace-ttrpc", "");
	assert_answer(f, f->client, 3, CODE_NOT_FOUND, NULL);
}

/* --- streams --- */

static void assert_data(struct fixture *f, int fd, uint32_t stream, const char *key)
{
	struct raw_frame frame;
	Ttrpc__KeyValue *m;

	assert_int_equal(raw_recv(f->base, fd, &frame), RAW_FRAME);
	assert_int_equal(frame.header.type, TTRPC_DATA);
	assert_int_equal(frame.header.flags, 0);
	assert_int_equal(frame.header.stream, stream);
	m = ttrpc__key_value__unpack(NULL, frame.header.length, frame.data);
	assert_non_null(m);
	assert_string_equal(m->key, key);
	ttrpc__key_value__free_unpacked(m, NULL);
	raw_frame_free(&frame);
}

static void assert_finished(struct fixture *f, int fd, uint32_t stream)
{
	struct raw_frame frame;

	assert_int_equal(raw_recv(f->base, fd, &frame), RAW_FRAME);
	assert_int_equal(frame.header.type, TTRPC_DATA);
	assert_int_equal(frame.header.flags, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA);
	assert_int_equal(frame.header.length, 0);
	assert_int_equal(frame.header.stream, stream);
	raw_frame_free(&frame);
}

static void a_stream_sends_and_ends(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put_request(&b, 1, ECHO_SERVICE, "Count", "3", "10", 0, TTRPC_REMOTE_CLOSED);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_data(f, f->client, 1, "0");
	assert_data(f, f->client, 1, "1");
	assert_data(f, f->client, 1, "2");
	assert_finished(f, f->client, 1);
	raw_put_request(&b, 3, ECHO_SERVICE, "Count", "0", "0", 0, TTRPC_REMOTE_CLOSED);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_finished(f, f->client, 3);
	/* a client that sets no flag gets the same, as from the reference */
	ask(f, f->client, 5, "Count", "1", "10");
	assert_data(f, f->client, 5, "0");
	assert_finished(f, f->client, 5);
	assert_serves(f, f->client, 7);
}

static void a_stream_may_fail_in_the_middle(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "CountFail", "2", "overrun");
	assert_data(f, f->client, 1, "2");
	assert_data(f, f->client, 1, "2");
	assert_answer(f, f->client, 1, CODE_DATA_LOSS, "overrun");
}

static void a_slow_reader_costs_one_message_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_peer *peer;
	char key[16];

	ask(f, f->client, 1, "Count", "5000", "1000");
	await(f, &f->echo.n_calls, 1);
	for (int i = 0; i < 100; i++)
		turn(f);
	peer = list_first(&f->server->connections, struct ttrpc_peer, server_link);
	assert_true(f->echo.n_sent < 5000);
	assert_in_range(peer->conn.queued, 1, 2000);
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "%d", i);
		assert_data(f, f->client, 1, key);
	}
	assert_finished(f, f->client, 1);
	assert_true(f->echo.n_drained > 0);
	assert_int_equal(f->echo.n_cancelled, 0);
}

static void drained_is_told_to_one_that_asks_late(void **state)
{
	struct fixture *f = *state;
	struct raw_frame frame;

	ask(f, f->client, 1, "KeepLate", "", "4000000");
	await(f, &f->echo.n_sent, 1);
	assert_int_equal(f->echo.n_drained, 0);
	assert_int_equal(raw_recv(f->base, f->client, &frame), RAW_FRAME);
	raw_frame_free(&frame);
	await(f, &f->echo.n_drained, 1);
	/* what fits is not waited for, and a message over the limit is not sent */
	ask(f, f->client, 3, "KeepLate", "", "10");
	await(f, &f->echo.n_calls, 2);
	ask(f, f->client, 5, "KeepLate", "", "5000000");
	await(f, &f->echo.n_calls, 3);
	assert_int_equal(f->echo.n_sent, 2);
	turn(f);
	assert_int_equal(f->echo.n_drained, 1);
}

/* The same where an answer behind it in the same round is what sends both. */
static void a_message_that_leaves_with_a_large_answer_is_followed_by_the_next(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	struct raw_frame frame;

	put(&b, 1, "Count", "3", "10");
	put(&b, 3, "Big", "", "100000");
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_data(f, f->client, 1, "0");
	assert_int_equal(raw_recv(f->base, f->client, &frame), RAW_FRAME);
	assert_int_equal(frame.header.stream, 3);
	raw_frame_free(&frame);
	assert_data(f, f->client, 1, "1");
	assert_data(f, f->client, 1, "2");
	assert_finished(f, f->client, 1);
}

/* Without that care, the queue's bound ends the connection. */
static void a_reader_that_never_reads_is_dropped(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	int other = connect_to(f);

	assert_serves(f, other, 1);
	for (uint32_t i = 0; i < 20; i++)
		put(&b, 2 * i + 1, "Big", "k", "1000000");
	assert_true(raw_send_buf(f->base, f->client, &b));
	await(f, &f->n_changes, 3);
	assert_int_equal(ttrpc_server_n_connections(f->server), 1);
	assert_true(f->echo.n_calls < 20);
	assert_serves(f, other, 3);
	close(other);
}

/* --- cancelling --- */

static void a_client_that_leaves_cancels_its_calls(void **state)
{
	struct fixture *f = *state;
	int other = connect_to(f);

	ask(f, other, 1, "Hold", "", "");
	ask(f, f->client, 1, "Hold", "", "");
	ask(f, f->client, 3, "Hold", "", "");
	ask(f, f->client, 5, "Count", "100000", "1000");
	await(f, &f->echo.n_calls, 4);
	fd_close(&f->client);
	await(f, &f->echo.n_cancelled, 3);
	assert_int_equal(f->echo.n_cancelled, 3);
	assert_serves(f, other, 3);
	close(other);
}

static void a_client_that_half_closes_has_left(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Hold", "", "");
	shutdown(f->client, SHUT_WR);
	await(f, &f->echo.n_cancelled, 1);
	assert_int_equal(f->echo.n_calls, 1);
	assert_closed(f, f->client);
}

static void answer_the_next(void *userdata)
{
	struct fixture *f = userdata;

	f->echo.n_cancelled++;
	if (f->the_next)
		ttrpc_call_fail(TAKE_PTR(f->the_next), CODE_CANCELLED, "so are you");
}

/* What an on_cancel does may well concern the other calls of that connection. */
static void a_cancelled_call_may_answer_others(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3; i++)
		ask(f, f->client, 2 * i + 1, "Hold", "", "");
	await(f, &f->echo.n_held, 3);
	for (int i = 0; i < 3; i++)
		ttrpc_call_keep(f->echo.held[i], answer_the_next, NULL, f);
	f->the_next = f->echo.held[1];
	fd_close(&f->client);
	await(f, &f->n_changes, 2);
	assert_int_equal(f->echo.n_cancelled, 2);
}

/* Answering a client that has gone says nothing and runs nothing; the loop finds out. */
static void an_answer_to_nobody_is_harmless(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Hold", "", "");
	ask(f, f->client, 3, "Hold", "", "");
	await(f, &f->echo.n_held, 2);
	fd_close(&f->client);
	echo_reply(f->echo.held[0], "k", "v");
	assert_int_equal(f->echo.n_cancelled, 0);
	await(f, &f->echo.n_cancelled, 1);
	assert_int_equal(f->echo.n_cancelled, 1);
}

static void freeing_the_server_cancels(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Hold", "", "");
	await(f, &f->echo.n_held, 1);
	ttrpc_server_free(f->server);
	f->server = NULL;
	assert_int_equal(f->echo.n_cancelled, 1);
	assert_closed(f, f->client);
}

static void a_deadline_is_kept(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	int64_t began = clock_monotonic_ms(), took;

	raw_put_request(&b, 1, ECHO_SERVICE, "Hold", "", "", 50000000, 0);
	raw_put_request(&b, 3, ECHO_SERVICE, "Echo", "k", "in time", 50000000, 0);
	raw_put_request(&b, 5, ECHO_SERVICE, "Hold", "", "", 0, 0);
	raw_put_request(&b, 7, ECHO_SERVICE, "Hold", "", "", INT64_MAX, 0);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 3, 0, "in time");
	assert_answer_contains(f, f->client, 1, CODE_DEADLINE_EXCEEDED, "Hold");
	took = clock_monotonic_ms() - began;
	assert_in_range(took, 49, 15000);
	assert_int_equal(f->echo.n_cancelled, 1);
	/* the two others still wait */
	echo_reply(f->echo.held[1], "k", "no deadline");
	assert_answer(f, f->client, 5, 0, "no deadline");
	echo_reply(f->echo.held[2], "k", "a far one");
	assert_answer(f, f->client, 7, 0, "a far one");
}

static void a_deadline_that_has_passed_runs_nothing(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put_request(&b, 1, ECHO_SERVICE, "Echo", "k", "v", -1, 0);
	raw_put_request(&b, 3, ECHO_SERVICE, "Echo", "k", "v", INT64_MIN, 0);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, CODE_DEADLINE_EXCEEDED, NULL);
	assert_answer(f, f->client, 3, CODE_DEADLINE_EXCEEDED, NULL);
	assert_int_equal(f->echo.n_calls, 0);
}

static void a_stream_ends_at_its_deadline(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	struct raw_answer a;

	raw_put_request(
		&b, 1, ECHO_SERVICE, "Count", "1000000", "10000", 20000000, TTRPC_REMOTE_CLOSED);
	assert_true(raw_send_buf(f->base, f->client, &b));
	await(f, &f->echo.n_cancelled, 1);
	/* behind the data that was under way */
	do {
		a = raw_answer(f->base, f->client);
		raw_answer_free(&a);
	} while (a.code == -3);
	assert_int_equal(a.code, CODE_DEADLINE_EXCEEDED);
	assert_serves(f, f->client, 3);
}

/* --- ending --- */

static void refusing_lets_open_calls_go_on(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Hold", "", "");
	await(f, &f->echo.n_held, 1);
	ttrpc_server_refuse(f->server, "the shim is ending");
	ask(f, f->client, 3, "Echo", "k", "v");
	assert_answer(f, f->client, 3, CODE_UNAVAILABLE, "the shim is ending");
	echo_reply(f->echo.held[0], "k", "done");
	assert_answer(f, f->client, 1, 0, "done");
}

static void flushed_is_told_at_once_or_when_it_is_so(void **state)
{
	struct fixture *f = *state;
	struct raw_answer a;

	assert_true(ttrpc_server_is_flushed(f->server));
	ttrpc_server_on_flushed(f->server, on_flushed, f);
	assert_int_equal(f->n_flushed, 1);
	ask(f, f->client, 1, "Big", "k", "3000000");
	await(f, &f->echo.n_calls, 1);
	assert_false(ttrpc_server_is_flushed(f->server));
	ttrpc_server_on_flushed(f->server, on_flushed, f);
	turn(f);
	assert_int_equal(f->n_flushed, 1);
	a = raw_answer(f->base, f->client);
	assert_int_equal(strlen(a.text), 3000000);
	raw_answer_free(&a);
	assert_int_equal(f->n_flushed, 2);
	assert_true(ttrpc_server_is_flushed(f->server));
	/* once only */
	assert_serves(f, f->client, 3);
	assert_int_equal(f->n_flushed, 2);
}

static void one_that_left_owes_no_flush(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Big", "k", "3000000");
	await(f, &f->echo.n_calls, 1);
	ttrpc_server_on_flushed(f->server, on_flushed, f);
	assert_int_equal(f->n_flushed, 0);
	fd_close(&f->client);
	await(f, &f->n_flushed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_is_answered_on_its_stream),
		TEST(a_failure_has_its_code_and_sentence),
		TEST(a_failure_is_valid_utf8),
		TEST(a_call_may_come_byte_by_byte),
		TEST(pipelined_calls_are_all_answered_in_order),
		TEST(kept_calls_are_answered_in_any_order),
		TEST(metadata_of_a_request_is_told),
		TEST(a_stream_sends_and_ends),
		TEST(a_stream_may_fail_in_the_middle),
		TEST(a_slow_reader_costs_one_message_at_a_time),
		TEST(drained_is_told_to_one_that_asks_late),
		TEST(a_message_that_leaves_with_a_large_answer_is_followed_by_the_next),
		TEST(a_reader_that_never_reads_is_dropped),
		TEST(a_client_that_leaves_cancels_its_calls),
		TEST(a_client_that_half_closes_has_left),
		TEST(a_cancelled_call_may_answer_others),
		TEST(an_answer_to_nobody_is_harmless),
		TEST(freeing_the_server_cancels),
		TEST(a_deadline_is_kept),
		TEST(a_deadline_that_has_passed_runs_nothing),
		TEST(a_stream_ends_at_its_deadline),
		TEST(refusing_lets_open_calls_go_on),
		TEST(flushed_is_told_at_once_or_when_it_is_so),
		TEST(one_that_left_owes_no_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
