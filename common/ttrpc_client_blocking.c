/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's blocking use: sends, then waits for one answer. Needs no event loop. Subtle: other
 * streams' messages come in between and are kept in their inboxes, within a bound.
 */
#include "common/ttrpc_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_client_private.h"

#define GRACE_MS 1000 /* the server's own answer to a deadline is waited for that much longer */

struct letter {
	struct list inbox_link;
	struct ttrpc_header header;
	bool too_long; /* there is no data then */
	uint8_t data[];
};

/* Frames of one stream. */
struct inbox {
	struct list client_link;
	struct list letters;
	uint32_t stream;
	bool ended; /* its last message has been handed over */
	const ProtobufCMessageDescriptor *response;
};

/* --- inboxes --- */

static void inbox_add(struct ttrpc_client *client, struct inbox *inbox, uint32_t stream,
	const ProtobufCMessageDescriptor *response)
{
	inbox->stream = stream;
	inbox->ended = false;
	inbox->response = response;
	list_init(&inbox->letters);
	list_init(&inbox->client_link);
	list_append(&client->inboxes, &inbox->client_link);
}

static void letter_free(struct ttrpc_client *client, struct letter *letter)
{
	list_unlink(&letter->inbox_link);
	client->kept -= sizeof(*letter) + (letter->too_long ? 0 : letter->header.length);
	free(letter);
}

static void inbox_remove(struct ttrpc_client *client, struct inbox *inbox)
{
	struct letter *letter;

	while ((letter = list_first(&inbox->letters, struct letter, inbox_link)))
		letter_free(client, letter);
	list_unlink(&inbox->client_link);
}

static struct inbox *inbox_find(const struct ttrpc_client *client, uint32_t stream)
{
	struct list *pos;

	list_for_each (pos, &client->inboxes) {
		struct inbox *inbox = list_entry(pos, struct inbox, client_link);

		if (inbox->stream == stream)
			return inbox;
	}
	return NULL;
}

void ttrpc_client_drop_inboxes(struct ttrpc_client *client)
{
	struct inbox *inbox;

	while ((inbox = list_first(&client->inboxes, struct inbox, client_link))) {
		inbox_remove(client, inbox);
		free(inbox);
	}
}

/* Returns not 0 when the connection cannot go on. */
static int on_frame(const struct ttrpc_header *header, const uint8_t *data, void *userdata)
{
	struct ttrpc_client *client = userdata;
	struct inbox *inbox = inbox_find(client, header->stream);
	size_t n = data ? header->length : 0;
	struct letter *letter;

	if (!inbox || (header->type != TTRPC_RESPONSE && header->type != TTRPC_DATA))
		return 0; /* a call given up, or a frame that we know nothing of */
	if (sizeof(*letter) + n > LIMIT_QUEUED_REPLIES - client->kept)
		return -ENOBUFS;
	letter = malloc(sizeof(*letter) + n);
	if (!letter)
		return -ENOMEM;
	letter->header = *header;
	letter->too_long = !data;
	if (n > 0)
		memcpy(letter->data, data, n);
	list_init(&letter->inbox_link);
	list_append(&inbox->letters, &letter->inbox_link);
	client->kept += sizeof(*letter) + n;
	return 0;
}

/* --- waiting --- */

/* 0 once the socket is ready or may be, -ETIMEDOUT, -ECANCELED, or -errno. deadline_ms < 0: none. */
static int wait_ready(const struct ttrpc_client *client, short events, int64_t deadline_ms)
{
	struct pollfd p[] = {
		{ .fd = client->conn.fd, .events = events },
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

static int send_all(struct ttrpc_client *client, const struct ttrpc_out *out,
	const struct ttrpc_request *request, int64_t deadline_ms)
{
	size_t sent = 0;

	while (sent < out->len) {
		struct iovec iov = { out->data + sent, out->len - sent };
		ssize_t n = ttrpc_send_once(
			client->conn.fd, &iov, 1, request->fds, sent == 0 ? request->n_fds : 0);
		int r;

		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (n != -EAGAIN)
			return (int)n;
		r = wait_ready(client, POLLOUT, deadline_ms);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Half a request cannot be taken back: whatever stops it ends the connection. */
static int begin(struct ttrpc_client *client, const struct ttrpc_request *request, bool stream,
	int64_t deadline_ms, uint32_t *ret_stream, struct error *err)
{
	_cleanup_out_ struct ttrpc_out out = { .data = NULL };
	int code = ttrpc_client_encode(client, request, stream, &out, ret_stream, err);
	int r;

	if (code != 0)
		return code;
	r = send_all(client, &out, request, deadline_ms);
	if (r == 0)
		return 0;
	ttrpc_conn_deinit(&client->conn);
	if (r == -ETIMEDOUT)
		return deadline_error(request->method, err);
	if (r == -EPIPE || r == -ECONNRESET)
		return ttrpc_client_ended(err);
	return error_errno(err, r, "%s: cannot send the request", request->method);
}

/* Waits until the inbox holds something. 0, or a code. */
static int await(struct ttrpc_client *client, struct inbox *inbox, const char *what,
	int64_t deadline_ms, struct error *err)
{
	while (list_is_empty(&inbox->letters)) {
		int r;

		if (client->conn.broken)
			return ttrpc_client_ended(err);
		r = wait_ready(client, POLLIN, deadline_ms);
		if (r == -ETIMEDOUT)
			return deadline_error(what, err);
		if (r == 0)
			r = ttrpc_reader_receive(
				&client->conn.reader, client->conn.fd, on_frame, client);
		if (r != 0 && r != TTRPC_READER_E_AGAIN)
			ttrpc_conn_deinit(&client->conn);
		if (r == TTRPC_READER_E_STOPPED)
			return error_set(err, CODE_RESOURCE_EXHAUSTED,
				"more than %u bytes of answers wait to be read",
				LIMIT_QUEUED_REPLIES);
		if (r == TTRPC_READER_E_BROKEN)
			return error_set(
				err, CODE_UNAVAILABLE, "what the server sent is not ttrpc");
		if (r < 0)
			return error_errno(err, r, "%s: cannot read the answer", what);
	}
	return 0;
}

static int take_letter(struct ttrpc_client *client, struct inbox *inbox, bool stream,
	ProtobufCMessage **ret, bool *ret_last, struct error *err)
{
	struct letter *letter = list_first(&inbox->letters, struct letter, inbox_link);
	int code = ttrpc_client_decode(&letter->header, letter->too_long ? NULL : letter->data,
		inbox->response, stream, ret, ret_last, err);

	letter_free(client, letter);
	return code;
}

/* --- calls --- */

int ttrpc_client_call(struct ttrpc_client *client, const struct ttrpc_request *request,
	ProtobufCMessage **ret, struct error *err)
{
	int64_t deadline_ms = -1;
	struct inbox inbox;
	uint32_t stream;
	bool last;
	int code;

	if (request->timeout_ms > 0)
		deadline_ms = clock_monotonic_ms() + request->timeout_ms + GRACE_MS;
	code = begin(client, request, false, deadline_ms, &stream, err);
	if (code != 0)
		return code;
	inbox_add(client, &inbox, stream, request->response);
	code = await(client, &inbox, request->method, deadline_ms, err);
	if (code == 0)
		code = take_letter(client, &inbox, false, ret, &last, err);
	inbox_remove(client, &inbox);
	return code;
}

int ttrpc_client_stream(struct ttrpc_client *client, const struct ttrpc_request *request,
	uint32_t *ret_stream, struct error *err)
{
	struct inbox *inbox = malloc(sizeof(*inbox));
	int code;

	if (!inbox)
		return error_errno(err, -ENOMEM, "%s", request->method);
	code = begin(client, request, true, -1, ret_stream, err);
	if (code != 0) {
		free(inbox);
		return code;
	}
	inbox_add(client, inbox, *ret_stream, request->response);
	return 0;
}

int ttrpc_client_next(struct ttrpc_client *client, uint32_t stream, int64_t timeout_ms,
	ProtobufCMessage **ret, struct error *err)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
	struct inbox *inbox = inbox_find(client, stream);
	int code = 0;

	if (!inbox)
		return error_set(err, CODE_FAILED_PRECONDITION, "stream %u is not open", stream);
	*ret = NULL;
	if (!inbox->ended) {
		code = await(client, inbox, "the stream", deadline_ms, err);
		if (code == CODE_DEADLINE_EXCEEDED)
			return code;
		if (code == 0)
			code = take_letter(client, inbox, true, ret, &inbox->ended, err);
	}
	/* behind a last message the end still is to be told, by the next call of this */
	if (code != 0 || (inbox->ended && !*ret)) {
		inbox_remove(client, inbox);
		free(inbox);
	}
	return code;
}
