/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of another mind: any bytes, in pieces of any size, to a client with two calls and two
 * streams open. Each call ends once; nothing is left.
 *
 * Input: a byte for the size of the pieces (0: all at once), then the bytes.
 */
#include "common/ttrpc_client.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "ttrpc.pb-c.h"

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			abort();                                                                   \
	} while (0)

#define N_CALLS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct call {
	int is_stream;
	size_t n_ends;
};

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct call *call = userdata;

	CHECK(call->n_ends == 0);
	CHECK((code != 0) == (err != NULL));
	CHECK(code == 0 || !message);
	if (call->is_stream ? !message : true)
		call->n_ends++;
}

static void begin(struct ttrpc_client *client, struct call *call)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = "test.Echo",
		.method = "Echo",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
	};

	CHECK(ttrpc_client_begin(client, &request, call->is_stream, on_reply, call, NULL, NULL) ==
		0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct call calls[N_CALLS] = { { 0, 0 }, { 1, 0 }, { 0, 0 }, { 1, 0 } };
	struct ttrpc_client *client;
	struct event_base *base;
	int before = fd_count();
	size_t piece;
	int pair[2];

	if (n < 1)
		return 0;
	piece = data[0] ? data[0] : n;
	data++;
	n--;
	base = event_base_new();
	CHECK(base);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	CHECK(ttrpc_client_new(pair[0], base, &client, NULL) == 0);
	for (size_t i = 0; i < N_CALLS; i++)
		begin(client, &calls[i]);
	while (n > 0) {
		size_t now = piece < n ? piece : n;

		if (send(pair[1], data, now, MSG_NOSIGNAL) < 0)
			break;
		data += now;
		n -= now;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	close(pair[1]);
	for (int i = 0; i < 1000 && ttrpc_client_fd(client) >= 0; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	for (size_t i = 0; i < N_CALLS; i++)
		CHECK(calls[i].n_ends == 1);
	ttrpc_client_free(client);
	event_base_free(base);
	CHECK(fd_count() == before);
	return 0;
}
