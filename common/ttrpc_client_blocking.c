/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's blocking use: sends, then waits for one answer. Needs no event loop. Subtle: half a
 * request cannot be taken back, so that whatever stops one ends the connection.
 */
#include "common/ttrpc_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "common/clock.h"
#include "common/ttrpc_client_private.h"

#define GRACE_MS 1000 /* the server's own answer to a deadline is waited for that much longer */

/* 0 once the socket is ready or may be, -ETIMEDOUT, -ECANCELED, or -errno. deadline_ms < 0: none. */
static int wait_ready(const struct ttrpc_client *client, int64_t deadline_ms)
{
	struct pollfd p[] = {
		{ .fd = client->conn.fd,
			.events = ttrpc_client_wants_write(client) ? POLLIN | POLLOUT : POLLIN },
		{ .fd = client->interrupt_fd, .events = POLLIN },
	};
	int64_t left = -1;
	int r;

	if (deadline_ms >= 0) {
		left = deadline_ms - clock_monotonic_ms();
		if (left < 0)
			left = 0;
		if (left > INT_MAX)
			left = INT_MAX;
	}
	r = poll(p, 2, (int)left);
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[1].revents)
		return -ECANCELED;
	if (r == 0 && deadline_ms <= clock_monotonic_ms())
		return -ETIMEDOUT;
	return 0;
}

static int deadline_error(const char *what, struct error *err)
{
	return error_set(err, CODE_DEADLINE_EXCEEDED, "%s: no answer in time", what);
}

/* Waits until there is something to take. 0, or a code. */
static int await(struct ttrpc_client *client, uint32_t stream, const char *what,
	int64_t deadline_ms, struct error *err)
{
	int r = 0;

	while (r == 0 && !ttrpc_client_is_ready(client, stream)) {
		r = wait_ready(client, deadline_ms);
		if (r == -ETIMEDOUT && !ttrpc_client_wants_write(client))
			return deadline_error(what, err);
		if (r < 0) {
			ttrpc_conn_deinit(&client->conn);
			return r == -ETIMEDOUT ? deadline_error(what, err)
					       : error_errno(err, r, "%s: cannot wait", what);
		}
		r = ttrpc_client_pump(client, err);
	}
	/* what came before the end is told first */
	if (r != 0) {
		ttrpc_conn_deinit(&client->conn);
		if (ttrpc_client_has_answer(client, stream))
			r = 0;
	}
	return r;
}

/* --- calls --- */

int ttrpc_client_call(struct ttrpc_client *client, const struct ttrpc_request *request,
	ProtobufCMessage **ret, struct error *err)
{
	int64_t deadline_ms = -1;
	uint32_t stream;
	int code;

	if (request->timeout_ms > 0)
		deadline_ms = clock_monotonic_ms() + request->timeout_ms + GRACE_MS;
	code = ttrpc_client_post(client, request, false, &stream, err);
	if (code != 0)
		return code;
	code = await(client, stream, request->method, deadline_ms, err);
	if (code == 0)
		code = ttrpc_client_take(client, stream, ret, err);
	else
		ttrpc_client_forget(client, stream);
	return code;
}

int ttrpc_client_stream(struct ttrpc_client *client, const struct ttrpc_request *request,
	uint32_t *ret_stream, struct error *err)
{
	int code = ttrpc_client_post(client, request, true, ret_stream, err);

	while (code == 0 && ttrpc_client_wants_write(client)) {
		int r = wait_ready(client, -1);

		code = r < 0 ? error_errno(err, r, "%s: cannot send the request", request->method)
			     : ttrpc_client_pump(client, err);
		if (code != 0) {
			ttrpc_client_forget(client, *ret_stream);
			ttrpc_conn_deinit(&client->conn);
		}
	}
	return code;
}

int ttrpc_client_next(struct ttrpc_client *client, uint32_t stream, int64_t timeout_ms,
	ProtobufCMessage **ret, struct error *err)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
	int code = await(client, stream, "the stream", deadline_ms, err);

	if (code == 0)
		return ttrpc_client_take(client, stream, ret, err);
	*ret = NULL;
	if (code != CODE_DEADLINE_EXCEEDED)
		ttrpc_client_forget(client, stream);
	return code;
}
