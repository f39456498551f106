/* SPDX-License-Identifier: Apache-2.0 */
/* The client in parts, over a pair of sockets: the other end is played by the test. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_client.h"
#include "common/ttrpc_envelope.h"
#include "test/unit/ttrpc_raw.h"
#include "ttrpc.pb-c.h"

struct pair {
	struct ttrpc_client *client;
	int server, n_fds;
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	p->n_fds = fd_count();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->server = fds[1];
	assert_int_equal(ttrpc_client_new(fds[0], NULL, &p->client, NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	ttrpc_client_free(p->client);
	fd_close(&p->server);
	assert_int_equal(fd_count(), p->n_fds);
	free(p);
	return 0;
}

static uint32_t post_with(struct pair *p, const char *value, const int *fds, size_t n_fds)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	const struct ttrpc_request request = {
		.service = "x.Y",
		.method = "Z",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.fds = fds,
		.n_fds = n_fds,
	};
	uint32_t stream = 0;

	m.value = (char *)value;
	assert_int_equal(ttrpc_client_post(p->client, &request, false, &stream, NULL), 0);
	return stream;
}

static uint32_t post(struct pair *p, const char *value)
{
	return post_with(p, value, NULL, 0);
}

static void answer(struct pair *p, uint32_t stream, const char *value)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_out out;

	m.value = (char *)value;
	assert_int_equal(ttrpc_out_answer(&out, stream, &m.base), 0);
	assert_true(raw_send(NULL, p->server, out.data, out.len));
	ttrpc_out_deinit(&out);
}

static void assert_taken(struct pair *p, uint32_t stream, const char *value)
{
	ProtobufCMessage *m = NULL;

	assert_true(ttrpc_client_has_answer(p->client, stream));
	assert_true(ttrpc_client_is_ready(p->client, stream));
	assert_int_equal(ttrpc_client_take(p->client, stream, &m, NULL), 0);
	assert_string_equal(((Ttrpc__KeyValue *)m)->value, value);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void assert_refused(struct pair *p, uint32_t stream, int code)
{
	ProtobufCMessage *m = (void *)p;

	assert_int_equal(ttrpc_client_take(p->client, stream, &m, NULL), code);
	assert_null(m);
}

static void test_answers_in_any_order(void **state)
{
	struct pair *p = *state;
	uint32_t first = post(p, "1"), second = post(p, "2");

	assert_int_equal(ttrpc_client_pump(p->client, NULL), 0);
	assert_false(ttrpc_client_is_ready(p->client, first));
	assert_refused(p, first, CODE_FAILED_PRECONDITION);
	answer(p, second, "two");
	assert_int_equal(ttrpc_client_pump(p->client, NULL), 0);
	assert_false(ttrpc_client_is_ready(p->client, first));
	assert_taken(p, second, "two");
	answer(p, first, "one");
	assert_int_equal(ttrpc_client_pump(p->client, NULL), 0);
	assert_taken(p, first, "one");
	/* it is over, and its number means nothing any more */
	assert_refused(p, first, CODE_FAILED_PRECONDITION);
}

/* More than the socket takes waits, in order, and descriptors go with the frame that they belong to. */
static void test_full_socket(void **state)
{
	struct pair *p = *state;
	size_t n = 1u << 20, n_got = 0;
	char *large = malloc(n + 1);
	struct raw_frame frame = { 0 };
	bool waited = false;
	int zero = 0;

	memset(large, 'x', n);
	large[n] = '\0';
	post(p, large);
	post(p, "between");
	post_with(p, large, &zero, 1);
	assert_true(ttrpc_client_wants_write(p->client));
	for (uint32_t stream = 1; stream <= 5; stream += 2) {
		uint8_t head[TTRPC_HEADER];

		while (n_got < sizeof(head)) {
			ssize_t r =
				recv(p->server, head + n_got, sizeof(head) - n_got, MSG_DONTWAIT);

			assert_int_equal(ttrpc_client_pump(p->client, NULL), 0);
			if (r > 0)
				n_got += (size_t)r;
		}
		assert_int_equal(ttrpc_header_decode(head, sizeof(head), &frame.header), 0);
		assert_int_equal(frame.header.stream, stream);
		for (n_got = 0; n_got < frame.header.length;) {
			size_t left = frame.header.length - n_got;
			ssize_t r = recv(p->server, large, left < n ? left : n, MSG_DONTWAIT);

			waited |= ttrpc_client_wants_write(p->client);
			assert_int_equal(ttrpc_client_pump(p->client, NULL), 0);
			if (r > 0)
				n_got += (size_t)r;
		}
		n_got = 0;
	}
	assert_true(waited);
	assert_false(ttrpc_client_wants_write(p->client));
	free(large);
}

/* Past the bound the connection ends, instead of memory. */
static void test_too_much_waits(void **state)
{
	struct pair *p = *state;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	const struct ttrpc_request request = { .service = "x.Y",
		.method = "Z",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor };
	size_t n = 4000000, n_posted = 0;
	char *large = malloc(n + 1);
	uint32_t stream;

	memset(large, 'x', n);
	large[n] = '\0';
	m.value = large;
	while (ttrpc_client_post(p->client, &request, false, &stream, NULL) == 0)
		assert_true(++n_posted * n < LIMIT_QUEUED_REPLIES + n);
	assert_true(n_posted >= 2);
	assert_false(ttrpc_client_wants_write(p->client));
	free(large);
}

/* What came before the end is still told, and the descriptor is nobody else's yet. */
static void test_end(void **state)
{
	struct pair *p = *state;
	uint32_t first = post(p, "1"), second = post(p, "2"), third;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	const struct ttrpc_request request = { .service = "x.Y",
		.method = "Z",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor };
	int fd = ttrpc_client_fd(p->client);

	answer(p, first, "one");
	fd_close(&p->server);
	while (ttrpc_client_pump(p->client, NULL) == 0)
		;
	assert_int_equal(ttrpc_client_pump(p->client, NULL), CODE_UNAVAILABLE);
	assert_taken(p, first, "one");
	assert_true(ttrpc_client_is_ready(p->client, second));
	assert_false(ttrpc_client_has_answer(p->client, second));
	assert_refused(p, second, CODE_UNAVAILABLE);
	assert_int_equal(
		ttrpc_client_post(p->client, &request, false, &third, NULL), CODE_UNAVAILABLE);
	assert_int_equal(ttrpc_client_fd(p->client), fd);
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

static void test_forgotten(void **state)
{
	struct pair *p = *state;
	uint32_t first = post(p, "1"), second = post(p, "2");

	ttrpc_client_forget(p->client, first);
	answer(p, first, "late");
	answer(p, second, "two");
	assert_int_equal(ttrpc_client_pump(p->client, NULL), 0);
	assert_false(ttrpc_client_has_answer(p->client, first));
	assert_taken(p, second, "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_much_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
