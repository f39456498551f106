/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server and what should not come: frames against the protocol, garbage, and more of anything
 * than it allows. Each test ends with a check that the server still answers where it should.
 */
#include "common/ttrpc_server.h"

#include <errno.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/ttrpc_server_private.h"
#include "test/unit/ttrpc_server_bed.h"

/* --- what is wrong --- */

static void a_first_byte_that_is_not_zero_closes_the_connection(void **state)
{
	struct fixture *f = *state;
	int other = connect_to(f);

	assert_serves(f, f->client, 1);
	assert_true(raw_send(f->base, f->client, "\x01", 1));
	assert_closed(f, f->client);
	assert_serves(f, other, 1);
	close(other);
}

static void length_of_a_frame_is_limited(void **state)
{
	static const uint32_t lengths[] = { LIMIT_FRAME_DATA + 1, LIMIT_FRAME_DATA + 2,
		0x00ffffff };
	struct fixture *f = *state;
	uint32_t stream = 1;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++, stream += 4) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		uint8_t *data = calloc(1, lengths[i]);

		raw_put(&b, lengths[i], stream, TTRPC_REQUEST, 0, data, lengths[i]);
		free(data);
		assert_true(raw_send_buf(f->base, f->client, &b));
		assert_answer_contains(
			f, f->client, stream, CODE_RESOURCE_EXHAUSTED, "over the limit");
		assert_serves(f, f->client, stream + 2);
	}
}

/* A request of exactly 4 MiB of data, and an answer of the same length. */
static void a_frame_of_the_full_length_is_served(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t overhead, n = LIMIT_FRAME_DATA - 100;
	char *value = malloc(LIMIT_FRAME_DATA);

	memset(value, 'v', LIMIT_FRAME_DATA);
	value[n] = '\0';
	put(&b, 1, "Echo", "k", value);
	overhead = b.len - TTRPC_HEADER - n;
	buf_deinit(&b);
	n = LIMIT_FRAME_DATA - overhead;
	value[n - 1] = 'v';
	memset(value, 'v', n);
	value[n] = '\0';
	put(&b, 1, "Echo", "k", value);
	assert_int_equal(b.len, TTRPC_HEADER + LIMIT_FRAME_DATA);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, 0, value);
	free(value);
}

static void an_answer_over_the_limit_is_a_failure(void **state)
{
	/* a Response with a KeyValue of key "" has 4 + 4 + 2 bytes around 4 MiB of value */
	static const struct {
		unsigned int value;
		int code;
	} cases[] = {
		{ LIMIT_FRAME_DATA - 10, 0 },
		{ LIMIT_FRAME_DATA - 9, CODE_RESOURCE_EXHAUSTED },
		{ 4 * LIMIT_FRAME_DATA, CODE_RESOURCE_EXHAUSTED },
	};
	struct fixture *f = *state;

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", cases[i].value);
		ask(f, f->client, 2 * i + 1, "Big", "", text);
		assert_answer(f, f->client, 2 * i + 1, cases[i].code, NULL);
	}
	assert_serves(f, f->client, 99);
}

static void an_even_stream_is_invalid(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 2, "Echo", "k", "v");
	assert_answer_contains(f, f->client, 2, CODE_INVALID_ARGUMENT, "odd");
	ask(f, f->client, 0, "Echo", "k", "v");
	assert_answer_contains(f, f->client, 0, CODE_INVALID_ARGUMENT, "odd");
	assert_serves(f, f->client, 1);
	assert_int_equal(f->echo.n_calls, 1);
}

static void a_stream_that_does_not_rise_is_invalid(void **state)
{
	struct fixture *f = *state;

	assert_serves(f, f->client, 5);
	ask(f, f->client, 5, "Echo", "k", "v");
	assert_answer_contains(f, f->client, 5, CODE_INVALID_ARGUMENT, "higher");
	ask(f, f->client, 3, "Echo", "k", "v");
	assert_answer_contains(f, f->client, 3, CODE_INVALID_ARGUMENT, "higher");
	assert_serves(f, f->client, 7);
	assert_int_equal(f->echo.n_calls, 2);
}

/* Each stream is answered once: the call that was open on it is over. */
static void a_stream_used_again_while_open_ends_its_call(void **state)
{
	struct fixture *f = *state;

	ask(f, f->client, 1, "Hold", "", "");
	await(f, &f->echo.n_held, 1);
	ask(f, f->client, 1, "Echo", "k", "v");
	assert_answer_contains(f, f->client, 1, CODE_INVALID_ARGUMENT, "higher");
	assert_int_equal(f->echo.n_cancelled, 1);
	assert_serves(f, f->client, 3);
}

static void unknown_types_are_ignored(void **state)
{
	static const int types[] = { 0, 4, 77, 255, TTRPC_RESPONSE };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		raw_put(&b, 5, 1, types[i], 0xff, "hello", 5);
		raw_put(&b, 0, 2, types[i], 0, NULL, 0);
		assert_true(raw_send_buf(f->base, f->client, &b));
	}
	assert_serves(f, f->client, 1);
}

static void data_on_a_call_is_invalid(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	ask(f, f->client, 1, "Hold", "", "");
	await(f, &f->echo.n_held, 1);
	/* that the client closes its side is nothing to us */
	raw_put(&b, 0, 1, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA, NULL, 0);
	put(&b, 3, "Echo", "k", "v");
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 3, 0, "v");
	assert_int_equal(f->echo.n_cancelled, 0);
	raw_put(&b, 2, 1, TTRPC_DATA, 0, "xx", 2);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer_contains(f, f->client, 1, CODE_INVALID_ARGUMENT, "no data");
	assert_int_equal(f->echo.n_cancelled, 1);
	/* nor on one that is not open */
	raw_put(&b, 2, 1, TTRPC_DATA, 0, "xx", 2);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, CODE_INVALID_ARGUMENT, NULL);
	assert_serves(f, f->client, 5);
}

static void unknown_names_are_unimplemented(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	char *name = malloc(100001);

	raw_put_request(&b, 1, "test.Nothing", "Echo", "k", "v", 0, 0);
	raw_put_request(&b, 3, ECHO_SERVICE, "Nothing", "k", "v", 0, 0);
	raw_put_request(&b, 5, "", "", "k", "v", 0, 0);
	memset(name, 'n', 100000);
	name[100000] = '\0';
	raw_put_request(&b, 7, name, name, "k", "v", 0, 0);
	free(name);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, CODE_UNIMPLEMENTED, "service test.Nothing");
	assert_answer(f, f->client, 3, CODE_UNIMPLEMENTED, "method Nothing");
	assert_answer(f, f->client, 5, CODE_UNIMPLEMENTED, "service ");
	assert_answer_contains(f, f->client, 7, CODE_UNIMPLEMENTED, "service nnnn");
	assert_serves(f, f->client, 9);
}

static void garbage_is_invalid(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	Ttrpc__Request r = TTRPC__REQUEST__INIT;
	uint8_t data[256];
	size_t n;

	/* no ttrpc.Request: a field that ends beyond the data */
	raw_put(&b, 3, 1, TTRPC_REQUEST, 0,
		"\x0a\x7f"
		"x",
		3);
	/* a Request whose payload is no KeyValue */
	r.service = (char *)ECHO_SERVICE;
	r.method = (char *)"Echo";
	r.payload.data = (uint8_t *)"\x0a\x7f\xff";
	r.payload.len = 3;
	n = ttrpc__request__pack(&r, data);
	raw_put(&b, (uint32_t)n, 3, TTRPC_REQUEST, 0, data, n);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer_contains(f, f->client, 1, CODE_INVALID_ARGUMENT, "ttrpc.Request");
	assert_answer_contains(f, f->client, 3, CODE_INVALID_ARGUMENT, "Echo");
	assert_int_equal(f->echo.n_calls, 0);
	assert_serves(f, f->client, 5);
}

/* 4 MiB of empty metadata would be over 100 MiB once decoded. */
static void a_request_that_swells_is_refused(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	uint8_t *data = malloc(LIMIT_FRAME_DATA);

	for (size_t i = 0; i < LIMIT_FRAME_DATA; i += 2) {
		data[i] = 5 << 3 | 2;
		data[i + 1] = 0;
	}
	raw_put(&b, LIMIT_FRAME_DATA, 1, TTRPC_REQUEST, 0, data, LIMIT_FRAME_DATA);
	free(data);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, CODE_RESOURCE_EXHAUSTED, NULL);
	assert_serves(f, f->client, 3);
}

/* --- limits --- */

static void calls_of_a_connection_are_limited(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	uint32_t stream = 1;

	for (size_t i = 0; i < LIMIT_STREAMS; i++, stream += 2)
		put(&b, stream, "Hold", "", "");
	assert_true(raw_send_buf(f->base, f->client, &b));
	await(f, &f->echo.n_held, LIMIT_STREAMS);
	/* one more, and many more */
	for (size_t i = 0; i < 1000; i++, stream += 2) {
		ask(f, f->client, stream, i % 2 ? "Echo" : "Hold", "", "");
		assert_answer_contains(f, f->client, stream, CODE_RESOURCE_EXHAUSTED, "4096");
	}
	assert_int_equal(f->echo.n_calls, LIMIT_STREAMS);
	echo_reply(f->echo.held[77], "k", "one is free");
	assert_answer(f, f->client, 155, 0, "one is free");
	assert_serves(f, f->client, stream);
	/* another connection has its own */
	fd_close(&f->client);
	f->client = connect_to(f);
	assert_serves(f, f->client, 1);
	await(f, &f->echo.n_cancelled, LIMIT_STREAMS - 1);
}

static void connections_are_limited(void **state)
{
	struct fixture *f = *state;
	int fds[LIMIT_CONNECTIONS + 50];

	fds[0] = f->client;
	for (size_t i = 1; i < LIMIT_CONNECTIONS; i++) {
		fds[i] = connect_to(f);
		turn(f);
	}
	for (size_t i = 0; i < LIMIT_CONNECTIONS; i++)
		assert_serves(f, fds[i], 1);
	assert_int_equal(ttrpc_server_n_connections(f->server), LIMIT_CONNECTIONS);
	for (size_t i = 0; i < 50; i++) {
		int one_more = connect_to(f);

		assert_closed(f, one_more);
		close(one_more);
	}
	assert_int_equal(ttrpc_server_n_connections(f->server), LIMIT_CONNECTIONS);
	close(fds[77]);
	await(f, &f->n_changes, LIMIT_CONNECTIONS + 1);
	fds[77] = connect_to(f);
	assert_serves(f, fds[77], 1);
	for (size_t i = 1; i < LIMIT_CONNECTIONS; i++)
		close(fds[i]);
	await(f, &f->n_changes, 2 * LIMIT_CONNECTIONS + 1);
	assert_int_equal(ttrpc_server_n_connections(f->server), 1);
	assert_serves(f, f->client, 3);
}

static void adopting_is_limited_too(void **state)
{
	struct fixture *f = *state;
	int pair[2];

	assert_serves(f, f->client, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ttrpc_server_adopt(f->server, pair[0]), 0);
	assert_int_equal(f->n_changes, 2);
	assert_serves(f, pair[1], 1);
	close(pair[1]);
	await(f, &f->n_changes, 3);
	f->server->n_connections += LIMIT_CONNECTIONS - 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ttrpc_server_adopt(f->server, pair[0]), -EUSERS);
	f->server->n_connections -= LIMIT_CONNECTIONS - 1;
	close(pair[0]);
	close(pair[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_first_byte_that_is_not_zero_closes_the_connection),
		TEST(length_of_a_frame_is_limited),
		TEST(a_frame_of_the_full_length_is_served),
		TEST(an_answer_over_the_limit_is_a_failure),
		TEST(an_even_stream_is_invalid),
		TEST(a_stream_that_does_not_rise_is_invalid),
		TEST(a_stream_used_again_while_open_ends_its_call),
		TEST(unknown_types_are_ignored),
		TEST(data_on_a_call_is_invalid),
		TEST(unknown_names_are_unimplemented),
		TEST(garbage_is_invalid),
		TEST(a_request_that_swells_is_refused),
		TEST(calls_of_a_connection_are_limited),
		TEST(connections_are_limited),
		TEST(adopting_is_limited_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
