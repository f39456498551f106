/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client without an event loop, in parts: requests out, frames in, answers taken. Never waits;
 * ttrpc_client_blocking.c does that over it. Subtle: messages of other calls and streams come in
 * between and are kept in their inboxes, within a bound. A connection that is over keeps its
 * descriptor, and what has been received on it.
 */
#include "common/ttrpc_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/limits.h"
#include "common/ttrpc_client_private.h"

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
	bool is_stream; /* many messages are expected */
	bool ended;	/* its last message has been handed over */
	const ProtobufCMessageDescriptor *response;
};

/* --- inboxes --- */

static void letter_free(struct ttrpc_client *client, struct letter *letter)
{
	list_unlink(&letter->inbox_link);
	client->kept -= sizeof(*letter) + (letter->too_long ? 0 : letter->header.length);
	free(letter);
}

static void inbox_free(struct ttrpc_client *client, struct inbox *inbox)
{
	struct letter *letter;

	while ((letter = list_first(&inbox->letters, struct letter, inbox_link)))
		letter_free(client, letter);
	list_unlink(&inbox->client_link);
	free(inbox);
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

	while ((inbox = list_first(&client->inboxes, struct inbox, client_link)))
		inbox_free(client, inbox);
}

void ttrpc_client_forget(struct ttrpc_client *client, uint32_t stream)
{
	struct inbox *inbox = inbox_find(client, stream);

	if (inbox)
		inbox_free(client, inbox);
}

/* --- frames --- */

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

/* The peer is to see the end at once, and whoever polls the descriptor too. */
static void end_connection(struct ttrpc_client *client)
{
	ttrpc_conn_break(&client->conn);
	if (client->conn.fd >= 0)
		shutdown(client->conn.fd, SHUT_RDWR);
}

static int receive(struct ttrpc_client *client, struct error *err)
{
	int r = ttrpc_reader_receive(&client->conn.reader, client->conn.fd, on_frame, client);

	if (r == 0 || r == TTRPC_READER_E_AGAIN)
		return 0;
	end_connection(client);
	if (r == TTRPC_READER_E_STOPPED)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"more than %u bytes of answers wait to be read", LIMIT_QUEUED_REPLIES);
	if (r == TTRPC_READER_E_BROKEN)
		return error_set(err, CODE_UNAVAILABLE, "what the server sent is not ttrpc");
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return error_errno(err, r, "cannot read the answer");
	return ttrpc_client_ended(err);
}

int ttrpc_client_pump(struct ttrpc_client *client, struct error *err)
{
	int r, code;

	if (client->conn.broken)
		return ttrpc_client_ended(err);
	r = ttrpc_client_wants_write(client) ? ttrpc_conn_flush(&client->conn) : 0;
	/* a peer that takes no more may have answered before */
	code = receive(client, err);
	if (code == 0 && r < 0) {
		end_connection(client);
		code = ttrpc_client_ended(err);
	}
	return code;
}

bool ttrpc_client_wants_write(const struct ttrpc_client *client)
{
	return !client->conn.broken && client->conn.queued > 0;
}

/* --- calls --- */

int ttrpc_client_post(struct ttrpc_client *client, const struct ttrpc_request *request, bool stream,
	uint32_t *ret_stream, struct error *err)
{
	_cleanup_out_ struct ttrpc_out out = { .data = NULL };
	struct inbox *inbox = malloc(sizeof(*inbox));
	int code;

	if (!inbox)
		return error_errno(err, -ENOMEM, "%s", request->method);
	code = ttrpc_client_encode(client, request, stream, &out, &inbox->stream, err);
	if (code == 0 &&
		ttrpc_conn_send(&client->conn, out.data, out.len, request->fds, request->n_fds) < 0)
		code = ttrpc_client_ended(err);
	if (code != 0) {
		free(inbox);
		return code;
	}
	inbox->is_stream = stream;
	inbox->ended = false;
	inbox->response = request->response;
	list_init(&inbox->letters);
	list_init(&inbox->client_link);
	list_append(&client->inboxes, &inbox->client_link);
	*ret_stream = inbox->stream;
	return 0;
}

bool ttrpc_client_has_answer(const struct ttrpc_client *client, uint32_t stream)
{
	const struct inbox *inbox = inbox_find(client, stream);

	return inbox && (inbox->ended || !list_is_empty(&inbox->letters));
}

bool ttrpc_client_is_ready(const struct ttrpc_client *client, uint32_t stream)
{
	return client->conn.broken || !inbox_find(client, stream) ||
	       ttrpc_client_has_answer(client, stream);
}

int ttrpc_client_take(
	struct ttrpc_client *client, uint32_t stream, ProtobufCMessage **ret, struct error *err)
{
	struct inbox *inbox = inbox_find(client, stream);
	struct letter *letter;
	int code = 0;

	*ret = NULL;
	if (!inbox)
		return error_set(err, CODE_FAILED_PRECONDITION, "stream %u is not open", stream);
	letter = list_first(&inbox->letters, struct letter, inbox_link);
	if (!inbox->ended && !letter && !client->conn.broken)
		return error_set(
			err, CODE_FAILED_PRECONDITION, "stream %u: nothing has come", stream);
	if (!inbox->ended && letter) {
		code = ttrpc_client_decode(&letter->header, letter->too_long ? NULL : letter->data,
			inbox->response, inbox->is_stream, ret, &inbox->ended, err);
		letter_free(client, letter);
	} else if (!inbox->ended) {
		code = ttrpc_client_ended(err);
	}
	/* behind a last message of a stream the end still is to be told, by the next call of this */
	if (code != 0 || !inbox->is_stream || (inbox->ended && !*ret))
		inbox_free(client, inbox);
	return code;
}
