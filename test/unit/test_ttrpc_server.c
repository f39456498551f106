/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server, from outside: bytes in, bytes out, over a real Unix socket in the same loop. Each
 * test ends with a check that the server still answers where it should.
 */
#include "common/ttrpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_server_private.h"
#include "test/unit/ttrpc_echo.h"
#include "test/unit/ttrpc_raw.h"

struct fixture {
	char folder[64];
	char path[100];
	struct event_base *base;
	struct ttrpc_server *server;
	struct echo echo;
	int client; /* a first connection */
	size_t n_changes, n_flushed;
	struct ttrpc_call *the_next; /* what an on_cancel answers */
	int n_open;		     /* descriptors with the server there and no connection */
	struct rlimit nofile;	     /* to be restored */
};

static int connect_to(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 512), 0);
	return fd;
}

static void on_change(void *userdata)
{
	struct fixture *f = userdata;

	f->n_changes++;
}

static void on_flushed(void *userdata)
{
	struct fixture *f = userdata;

	f->n_flushed++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	strcpy(f->folder, "/tmp/cleat-server-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
	f->base = event_base_new();
	assert_int_equal(ttrpc_server_new(f->base, listen_at(f->path), &f->server), 0);
	assert_int_equal(echo_add(f->server, &f->echo), 0);
	ttrpc_server_on_change(f->server, on_change, f);
	f->n_open = fd_count();
	f->client = connect_to(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	setrlimit(RLIMIT_NOFILE, &f->nofile);
	fd_close(&f->client);
	ttrpc_server_free(f->server);
	event_base_free(f->base);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Runs the loop until *counter is at least n. */
static void await(struct fixture *f, const size_t *counter, size_t n)
{
	int64_t deadline = clock_monotonic_ms() + RAW_DEADLINE_MS;

	while (*counter < n) {
		assert_true(clock_monotonic_ms() < deadline);
		raw_turn(f->base, -1, 0);
	}
}

static void put(
	struct buf *b, uint32_t stream, const char *method, const char *key, const char *value)
{
	raw_put_request(b, stream, ECHO_SERVICE, method, key, value, 0, 0);
}

static void ask(struct fixture *f, int fd, uint32_t stream, const char *method, const char *key,
	const char *value)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	put(&b, stream, method, key, value);
	assert_true(raw_send_buf(f->base, fd, &b));
}

static void assert_answer(struct fixture *f, int fd, uint32_t stream, int code, const char *text)
{
	struct raw_answer a = raw_answer(f->base, fd);

	assert_int_equal(a.code, code);
	assert_int_equal(a.stream, stream);
	if (text)
		assert_string_equal(a.text, text);
	raw_answer_free(&a);
}

static void assert_answer_contains(
	struct fixture *f, int fd, uint32_t stream, int code, const char *part)
{
	struct raw_answer a = raw_answer(f->base, fd);

	assert_int_equal(a.code, code);
	assert_int_equal(a.stream, stream);
	if (!a.text || !strstr(a.text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, a.text);
	raw_answer_free(&a);
}

static void assert_serves(struct fixture *f, int fd, uint32_t stream)
{
	ask(f, fd, stream, "Echo", "still", "there");
	assert_answer(f, fd, stream, 0, "there");
}

static void assert_closed(struct fixture *f, int fd)
{
	struct raw_answer a = raw_answer(f->base, fd);

	assert_int_equal(a.code, -1);
}

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

/* --- descriptors --- */

static void send_with_fds(struct fixture *f, uint32_t stream, const char *method, const char *max,
	const int *fds, size_t n_fds)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	put(&b, stream, method, max, "x");
	assert_true(raw_send_fds(f->client, buf_head(&b), b.len, fds, n_fds));
}

static void assert_fds(struct fixture *f, uint32_t stream, const char *n)
{
	struct raw_answer a = raw_answer(f->base, f->client);

	assert_int_equal(a.code, 0);
	assert_int_equal(a.stream, stream);
	assert_string_equal(a.key, n);
	raw_answer_free(&a);
}

static void a_handler_gets_what_was_sent(void **state)
{
	static const char *const n[] = { "0", "1", "2", "3", "4", "4", "4" };
	struct fixture *f = *state;
	int pipes[2], fds[6], n_open;
	char bytes[64];
	uint32_t stream = 1;

	assert_serves(f, f->client, stream);
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < 6; i++)
		fds[i] = pipes[1];
	n_open = fd_count();
	for (size_t i = 0; i <= 6; i++) {
		stream += 2;
		send_with_fds(f, stream, "Fds", "16", fds, i);
		assert_fds(f, stream, n[i]);
		assert_int_equal(fd_count(), n_open);
	}
	assert_int_equal(read(pipes[0], bytes, sizeof(bytes)), 1 + 2 + 3 + 4 + 4 + 4);
	/* what it leaves is closed with the call; so is what comes with a call that fails */
	send_with_fds(f, 101, "Fds", "1", fds, 3);
	assert_fds(f, 101, "1");
	send_with_fds(f, 103, "Echo", "16", fds, 3);
	assert_answer(f, f->client, 103, 0, NULL);
	send_with_fds(f, 105, "Nothing", "16", fds, 3);
	assert_answer(f, f->client, 105, CODE_UNIMPLEMENTED, NULL);
	send_with_fds(f, 104, "Fds", "16", fds, 3);
	assert_answer(f, f->client, 104, CODE_INVALID_ARGUMENT, NULL);
	assert_int_equal(fd_count(), n_open);
	/* a kept call keeps them until it is over */
	send_with_fds(f, 107, "Hold", "", fds, 3);
	await(f, &f->echo.n_held, 1);
	assert_int_equal(fd_count(), n_open + 3);
	echo_reply(f->echo.held[0], "", "");
	assert_answer(f, f->client, 107, 0, NULL);
	assert_int_equal(fd_count(), n_open);
	close(pipes[0]);
	close(pipes[1]);
}

static void back_to_back_calls_keep_their_own(void **state)
{
	struct fixture *f = *state;
	int pipes[2], fds[4];
	static const size_t sent[] = { 0, 2, 0, 0, 4, 1, 0, 3 };
	const size_t n = sizeof(sent) / sizeof(*sent);
	int n_open;

	assert_serves(f, f->client, 1);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (size_t i = 0; i < 4; i++)
		fds[i] = pipes[1];
	n_open = fd_count();
	for (uint32_t i = 0; i < n; i++)
		send_with_fds(f, 2 * i + 3, "Fds", "16", fds, sent[i]);
	for (uint32_t i = 0; i < n; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%zu", sent[i]);
		assert_fds(f, 2 * i + 3, key);
	}
	assert_int_equal(fd_count(), n_open);
	close(pipes[0]);
	close(pipes[1]);
}

/* From now on nothing can be opened whose number would be n or above. */
static void limit_descriptors(int n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void without_descriptors_a_client_is_turned_away(void **state)
{
	struct fixture *f = *state;
	int clients[3];

	assert_serves(f, f->client, 1);
	for (size_t i = 0; i < 3; i++)
		clients[i] = connect_to(f);
	limit_descriptors(clients[2] + 1); /* all below are taken */
	for (size_t i = 0; i < 3; i++)
		assert_closed(f, clients[i]);
	assert_serves(f, f->client, 3);
	/* and nothing spins: there is no client left to be accepted */
	turn(f);
	assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ACTIVE), 0);
	assert_false(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	for (size_t i = 0; i < 3; i++) {
		close(clients[i]);
		clients[i] = connect_to(f);
		assert_serves(f, clients[i], 1);
		close(clients[i]);
	}
}

/*
 * valgrind keeps the limit itself: its accept4() takes the client, drops it and says EMFILE. So
 * these tests let two wait, where the kernel leaves both.
 */
static bool is_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

/* Not even the reserve is there: accepting rests until a connection ends, or a moment. */
static void without_its_reserve_the_server_pauses(void **state)
{
	struct fixture *f = *state;
	int waiting, another, taken;

	assert_serves(f, f->client, 1);
	waiting = connect_to(f);
	another = connect_to(f);
	taken = f->server->reserve_fd;
	f->server->reserve_fd = -1;
	limit_descriptors(another + 1);
	turn(f);
	assert_false(event_pending(&f->server->listen_event, EV_READ, NULL));
	assert_true(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_serves(f, f->client, 3);
	fd_close(&f->client);
	await(f, &f->n_changes, 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	close(taken);
	/* the reserve came first: the two that waited were perhaps turned away */
	close(waiting);
	close(another);
	f->client = connect_to(f);
	assert_serves(f, f->client, 1);
	assert_true(event_pending(&f->server->listen_event, EV_READ, NULL));
	assert_false(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_true(f->server->reserve_fd >= 0);
}

/* Also without anything that ends. */
static void a_pause_ends_by_itself(void **state)
{
	struct fixture *f = *state;
	int taken = f->server->reserve_fd, other, another;

	assert_serves(f, f->client, 1);
	f->server->reserve_fd = -1;
	other = connect_to(f);
	another = connect_to(f);
	limit_descriptors(another + 1);
	turn(f);
	assert_true(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	close(taken);
	if (!is_under_valgrind())
		assert_serves(f, other, 1);
	close(other);
	close(another);
	other = connect_to(f);
	assert_serves(f, other, 1);
	close(other);
}

static void a_peer_of_another_uid_is_refused(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char byte;

		strcpy(address.sun_path, f->path);
		if (setresuid(65534, 65534, 65534) < 0 ||
			connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			_exit(1);
		_exit(read(fd, &byte, 1) == 0 ? 42 : 2);
	}
	assert_true(pid > 0);
	while (waitpid(pid, &status, WNOHANG) == 0)
		raw_turn(f->base, f->client, POLLIN);
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(f->echo.n_calls, 0);
	assert_serves(f, f->client, 1);
	assert_int_equal(f->n_changes, 1);
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

/* --- cost --- */

static void connections_leave_nothing_behind(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->client);
	await(f, &f->n_changes, 2);
	for (size_t i = 0; i < 200; i++) {
		int fd = connect_to(f);

		assert_serves(f, fd, 1);
		ask(f, fd, 3, "Hold", "", "");
		await(f, &f->echo.n_held, i + 1);
		close(fd);
		await(f, &f->n_changes, 2 * i + 4);
	}
	assert_int_equal(fd_count(), f->n_open);
	assert_int_equal(ttrpc_server_n_connections(f->server), 0);
}

/* Also after they have been busy. Counts the loop's own share of each too. */
static void an_idle_connection_holds_under_a_kibibyte(void **state)
{
	struct fixture *f = *state;
	int fds[100];
	size_t before, after;

	assert_serves(f, f->client, 1);
	/* what the loop and the C library keep for later is theirs already */
	for (size_t i = 0; i < 100; i++) {
		fds[i] = connect_to(f);
		assert_serves(f, fds[i], 1);
	}
	for (size_t i = 0; i < 100; i++)
		close(fds[i]);
	await(f, &f->n_changes, 201);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (size_t i = 0; i < 100; i++) {
		struct raw_answer a;

		fds[i] = connect_to(f);
		ask(f, fds[i], 1, "Big", "k", "500000");
		a = raw_answer(f->base, fds[i]);
		assert_int_equal(a.code, 0);
		raw_answer_free(&a);
		assert_serves(f, fds[i], 3);
	}
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_in_range((after - before) / 100, 0, 1023);
	for (size_t i = 0; i < 100; i++)
		close(fds[i]);
}

static void an_idle_server_has_no_timer(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put_request(&b, 1, ECHO_SERVICE, "Echo", "k", "v", 1000000000, 0);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, 0, "v");
	ask(f, f->client, 3, "Hold", "", "");
	await(f, &f->echo.n_held, 1);
	/* the listening socket and the connection, nothing else */
	assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ADDED), 2);
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
		TEST(a_stream_sends_and_ends),
		TEST(a_stream_may_fail_in_the_middle),
		TEST(a_slow_reader_costs_one_message_at_a_time),
		TEST(a_reader_that_never_reads_is_dropped),
		TEST(a_client_that_leaves_cancels_its_calls),
		TEST(a_client_that_half_closes_has_left),
		TEST(a_cancelled_call_may_answer_others),
		TEST(an_answer_to_nobody_is_harmless),
		TEST(freeing_the_server_cancels),
		TEST(a_deadline_is_kept),
		TEST(a_deadline_that_has_passed_runs_nothing),
		TEST(a_stream_ends_at_its_deadline),
		TEST(calls_of_a_connection_are_limited),
		TEST(connections_are_limited),
		TEST(adopting_is_limited_too),
		TEST(a_handler_gets_what_was_sent),
		TEST(back_to_back_calls_keep_their_own),
		TEST(without_descriptors_a_client_is_turned_away),
		TEST(without_its_reserve_the_server_pauses),
		TEST(a_pause_ends_by_itself),
		TEST(a_peer_of_another_uid_is_refused),
		TEST(refusing_lets_open_calls_go_on),
		TEST(flushed_is_told_at_once_or_when_it_is_so),
		TEST(one_that_left_owes_no_flush),
		TEST(connections_leave_nothing_behind),
		TEST(an_idle_connection_holds_under_a_kibibyte),
		TEST(an_idle_server_has_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
