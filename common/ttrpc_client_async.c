/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's asynchronous use: every call has a callback, run from the event loop. Never calls
 * back from within ttrpc_client_begin(). Subtle: a callback may cancel its call or free the whole
 * client, so a call is looked up again after each.
 */
#include "common/ttrpc_client.h"

#include <stdlib.h>

#include "common/limits.h"
#include "common/ttrpc_client_private.h"

#define GRACE_MS 1000 /* the server's own answer to a deadline is waited for that much longer */

struct ttrpc_pending {
	struct list client_link;
	struct ttrpc_client *client;
	uint32_t stream;
	bool is_stream;
	const ProtobufCMessageDescriptor *response;
	ttrpc_reply_fn on_reply;
	void *userdata;
	struct event *deadline; /* only where one was given */
};

static void pending_free(struct ttrpc_pending *pending)
{
	list_unlink(&pending->client_link);
	if (pending->deadline)
		event_free(pending->deadline);
	free(pending);
}

static struct ttrpc_pending *pending_find(const struct ttrpc_client *client, uint32_t stream)
{
	struct list *pos;

	list_for_each (pos, &client->pendings) {
		struct ttrpc_pending *p = list_entry(pos, struct ttrpc_pending, client_link);

		if (p->stream == stream)
			return p;
	}
	return NULL;
}

/* The call's last word. */
static void pending_end(struct ttrpc_pending *pending, int code, const ProtobufCMessage *message,
	const struct error *err)
{
	ttrpc_reply_fn on_reply = pending->on_reply;
	void *userdata = pending->userdata;

	pending_free(pending);
	on_reply(code, message, err, userdata);
}

void ttrpc_client_drop_pendings(struct ttrpc_client *client)
{
	struct ttrpc_pending *pending;

	while ((pending = list_first(&client->pendings, struct ttrpc_pending, client_link)))
		pending_free(pending);
}

static void on_deadline(evutil_socket_t fd, short what, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	(void)fd;
	(void)what;
	error_set(&err, CODE_DEADLINE_EXCEEDED, "no answer in time");
	pending_end(userdata, err.code, NULL, &err);
}

static void on_frame(
	struct ttrpc_conn *conn, const struct ttrpc_header *header, const uint8_t *data)
{
	struct ttrpc_client *client = container_of(conn, struct ttrpc_client, conn);
	struct ttrpc_pending *pending = pending_find(client, header->stream);
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t stream = header->stream;
	ProtobufCMessage *message;
	bool last;
	int code;

	if (!pending || (header->type != TTRPC_RESPONSE && header->type != TTRPC_DATA))
		return; /* a call given up, or a frame that we know nothing of */
	code = ttrpc_client_decode(
		header, data, pending->response, pending->is_stream, &message, &last, &err);
	if (code != 0) {
		pending_end(pending, code, NULL, &err);
		return;
	}
	if (!pending->is_stream) {
		pending_end(pending, 0, message, NULL);
		pending = NULL;
	} else if (message) {
		pending->on_reply(0, message, NULL, pending->userdata);
		pending = pending_find(client, stream);
	}
	protobuf_c_message_free_unpacked(message, NULL);
	if (last && pending)
		pending_end(pending, 0, NULL, NULL);
}

static void on_written(struct ttrpc_conn *conn)
{
	(void)conn;
}

void ttrpc_client_end_calls(struct ttrpc_client *client)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_pending *pending;
	bool ending = client->ending;

	ttrpc_client_ended(&err);
	client->ending = true;
	while ((pending = list_first(&client->pendings, struct ttrpc_pending, client_link)))
		pending_end(pending, err.code, NULL, &err);
	client->ending = ending;
}

static void on_end(struct ttrpc_conn *conn)
{
	struct ttrpc_client *client = container_of(conn, struct ttrpc_client, conn);

	ttrpc_conn_deinit(conn);
	client->ending = true;
	ttrpc_client_end_calls(client);
	client->ending = false;
	if (client->freed)
		free(client);
}

const struct ttrpc_conn_ops ttrpc_client_async_ops = {
	.on_frame = on_frame,
	.on_written = on_written,
	.on_end = on_end,
};

static bool pending_arm(struct ttrpc_pending *pending, int64_t timeout_ms)
{
	struct timeval tv;

	if (timeout_ms <= 0)
		return true;
	if (timeout_ms < INT64_MAX - GRACE_MS)
		timeout_ms += GRACE_MS;
	tv = (struct timeval){ timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	pending->deadline = evtimer_new(pending->client->base, on_deadline, pending);
	return pending->deadline && evtimer_add(pending->deadline, &tv) == 0;
}

static struct ttrpc_pending *pending_new(struct ttrpc_client *client,
	const struct ttrpc_request *request, bool stream, ttrpc_reply_fn on_reply, void *userdata)
{
	struct ttrpc_pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->client = client;
	pending->is_stream = stream;
	pending->response = request->response;
	pending->on_reply = on_reply;
	pending->userdata = userdata;
	list_init(&pending->client_link);
	if (pending_arm(pending, request->timeout_ms))
		return pending;
	pending_free(pending);
	return NULL;
}

int ttrpc_client_begin(struct ttrpc_client *client, const struct ttrpc_request *request, int stream,
	ttrpc_reply_fn on_reply, void *userdata, struct ttrpc_pending **ret, struct error *err)
{
	_cleanup_out_ struct ttrpc_out out = { .data = NULL };
	struct ttrpc_pending *pending;
	int code;

	pending = pending_new(client, request, stream, on_reply, userdata);
	if (!pending)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "%s: no memory for the call",
			request->method);
	code = ttrpc_client_encode(client, request, stream, &out, &pending->stream, err);
	if (code == 0 &&
		ttrpc_conn_send(&client->conn, out.data, out.len, request->fds, request->n_fds) < 0)
		code = ttrpc_client_ended(err);
	if (code != 0) {
		pending_free(pending);
		return code;
	}
	list_append(&client->pendings, &pending->client_link);
	if (ret)
		*ret = pending;
	return 0;
}

void ttrpc_client_cancel(struct ttrpc_pending *pending)
{
	pending_free(pending);
}
