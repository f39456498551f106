/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of another mind: any bytes, in pieces of any size, some with descriptors, to a server
 * with a small service. What comes back must be frames, and nothing may be left of the client.
 *
 * Input: a byte for the size of the pieces (0: all at once), a byte for how many descriptors come
 * with the first of them, then the bytes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/fd.h"
#include "common/limits.h"
#include "test/unit/ttrpc_echo.h"
#include "test/unit/ttrpc_raw.h"

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct fuzz {
	struct event_base *base;
	struct ttrpc_server *server;
	struct echo *echo;
	int client;
	struct buf got;
};

static void fuzz_open(struct fuzz *f)
{
	int pair[2];

	f->base = event_base_new();
	f->echo = calloc(1, sizeof(*f->echo));
	CHECK(f->base && f->echo);
	CHECK(ttrpc_server_new(f->base, -1, &f->server) == 0);
	CHECK(echo_add(f->server, f->echo) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	CHECK(ttrpc_server_adopt(f->server, pair[0]) == 0);
	f->client = pair[1];
	f->got = BUF_INIT;
}

static void fuzz_close(struct fuzz *f)
{
	fd_close(&f->client);
	for (int i = 0; i < 1000 && ttrpc_server_n_connections(f->server) > 0; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	CHECK(ttrpc_server_n_connections(f->server) == 0);
	ttrpc_server_free(f->server);
	event_base_free(f->base);
	free(f->echo);
	buf_deinit(&f->got);
}

/* Takes the whole frames off what has come back. */
static void fuzz_parse(struct fuzz *f)
{
	struct ttrpc_header h;
	int r;

	while ((r = ttrpc_header_decode(buf_head(&f->got), f->got.len, &h)) == 0) {
		CHECK(h.type == TTRPC_RESPONSE || h.type == TTRPC_DATA);
		if (f->got.len < TTRPC_HEADER + h.length)
			return;
		if (h.type == TTRPC_RESPONSE) {
			Ttrpc__Response *response = ttrpc__response__unpack(
				NULL, h.length, buf_head(&f->got) + TTRPC_HEADER);

			CHECK(response);
			ttrpc__response__free_unpacked(response, NULL);
		}
		buf_consume(&f->got, TTRPC_HEADER + h.length);
	}
	CHECK(r == TTRPC_FRAME_E_PARTIAL);
}

static void fuzz_turn(struct fuzz *f)
{
	ssize_t n;

	event_base_loop(f->base, EVLOOP_NONBLOCK);
	n = recv(f->client, buf_reserve(&f->got, 65536), 65536, MSG_DONTWAIT);
	if (n > 0)
		buf_commit(&f->got, (size_t)n);
	if (f->got.len > 0)
		fuzz_parse(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int before = fd_count();
	size_t piece, n_fds;
	struct fuzz f;
	int fds[8];

	if (n < 2)
		return 0;
	piece = data[0] ? data[0] : n;
	n_fds = data[1] % 8;
	data += 2;
	n -= 2;
	fuzz_open(&f);
	/* not the client's own end: whoever holds that keeps the connection open */
	fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (size_t i = 1; i < 8; i++)
		fds[i] = fds[0];
	while (n > 0) {
		size_t now = piece < n ? piece : n;

		if (!raw_send_fds(f.client, data, now, fds, n_fds))
			break;
		n_fds = 0;
		data += now;
		n -= now;
		fuzz_turn(&f);
	}
	fuzz_turn(&f);
	fuzz_close(&f);
	close(fds[0]);
	CHECK(fd_count() == before);
	return 0;
}
