/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client: connecting, and messages to and from frames; waiting is in ttrpc_client_blocking.c
 * and ttrpc_client_async.c. Never retries a call. Subtle: a Unix socket's address holds 107 bytes
 * of path; a longer one is reached through a descriptor of its folder.
 */
#include "common/ttrpc_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_client_private.h"
#include "ttrpc.pb-c.h"

#define CONNECT_SECONDS 2
#define ARENA_BYTES	1024u

/* --- connecting --- */

/* The address of path; *ret_dir keeps what it leads through open until it has been used. */
static int make_address(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
	_cleanup_free_ char *folder = NULL;
	_cleanup_close_ int dir = -1;
	char through[FD_PATH_MAX];
	const char *name;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (*path == '\0')
		return -ENOENT; /* an empty address would be taken for an abstract one */
	if (strlen(path) < sizeof(ret->sun_path)) {
		strcpy(ret->sun_path, path);
		return 0;
	}
	name = strrchr(path, '/');
	if (!name)
		return -ENAMETOOLONG;
	folder = strndup(path, (size_t)(name - path) + 1);
	if (!folder)
		return -ENOMEM;
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd_path(dir, through);
	if ((size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s%s", through, name) >=
		sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	*ret_dir = TAKE_FD(dir);
	return 0;
}

/* With wait, a full backlog is waited for; a Unix socket's connect never waits for more. */
static int connect_path(const char *path, bool wait, int *ret)
{
	_cleanup_close_ int fd = -1, dir = -1;
	struct timeval tv = { CONNECT_SECONDS, 0 };
	struct sockaddr_un address;
	int r;

	r = make_address(path, &address, &dir);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -errno;
	if (wait && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	do
		r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

static int connect_error(int r, const char *path, bool waited, struct error *err)
{
	switch (r) {
	case -ENOENT:
		return error_set(err, CODE_NOT_FOUND, "%s: there is no such socket", path);
	case -ECONNREFUSED:
		return error_set(err, CODE_UNAVAILABLE, "%s: nobody listens there", path);
	case -EAGAIN:
		return error_set(err, waited ? CODE_DEADLINE_EXCEEDED : CODE_UNAVAILABLE,
			"%s: the server takes no connections", path);
	default:
		return error_errno(err, r, "cannot connect to %s", path);
	}
}

int ttrpc_client_connect(
	const char *path, struct event_base *base, struct ttrpc_client **ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = connect_path(path, !base, &fd);

	if (r < 0)
		return connect_error(r, path, !base, err);
	r = ttrpc_client_new(fd, base, ret, err);
	if (r == 0)
		TAKE_FD(fd);
	return r;
}

int ttrpc_client_new(
	int fd_take, struct event_base *base, struct ttrpc_client **ret, struct error *err)
{
	struct ttrpc_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return error_errno(err, -ENOMEM, "cannot set up a connection");
	client->base = base;
	client->next_stream = 1;
	client->interrupt_fd = -1;
	list_init(&client->inboxes);
	list_init(&client->pendings);
	r = ttrpc_conn_init(&client->conn, base, fd_take, &ttrpc_client_async_ops);
	if (r < 0) {
		free(client);
		return error_errno(err, r, "cannot set up a connection");
	}
	*ret = client;
	return 0;
}

void ttrpc_client_free(struct ttrpc_client *client)
{
	if (!client)
		return;
	ttrpc_client_drop_pendings(client);
	ttrpc_client_drop_inboxes(client);
	if (client->conn.dispatching || client->ending) {
		client->freed = true;
		ttrpc_conn_break(&client->conn);
		return;
	}
	ttrpc_conn_deinit(&client->conn);
	free(client);
}

int ttrpc_client_fd(const struct ttrpc_client *client)
{
	return client->conn.fd;
}

bool ttrpc_client_is_over(const struct ttrpc_client *client)
{
	return client->conn.broken || client->ending;
}

void ttrpc_client_interrupt_by(struct ttrpc_client *client, int fd)
{
	client->interrupt_fd = fd;
}

int ttrpc_client_ended(struct error *err)
{
	return error_set(err, CODE_UNAVAILABLE, "the server closed the connection");
}

/* --- requests --- */

/* Pointers, then what they point at, in one piece. */
static int metadata_make(const struct ttrpc_request *request, Ttrpc__KeyValue ***ret)
{
	size_t n = request->n_metadata;
	Ttrpc__KeyValue **pointers, *pairs;

	*ret = NULL;
	if (n == 0)
		return 0;
	pointers = calloc(n, sizeof(*pointers) + sizeof(*pairs));
	if (!pointers)
		return -ENOMEM;
	pairs = (Ttrpc__KeyValue *)(void *)(pointers + n);
	for (size_t i = 0; i < n; i++) {
		ttrpc__key_value__init(&pairs[i]);
		pairs[i].key = (char *)request->metadata[i].key;
		pairs[i].value = (char *)request->metadata[i].value;
		pointers[i] = &pairs[i];
	}
	*ret = pointers;
	return 0;
}

static int encode(const struct ttrpc_request *request, const struct ttrpc_header *header,
	struct ttrpc_out *out)
{
	_cleanup_free_ Ttrpc__KeyValue **metadata = NULL;
	_cleanup_free_ uint8_t *payload = NULL;
	Ttrpc__Request wire = TTRPC__REQUEST__INIT;
	size_t n = protobuf_c_message_get_packed_size(request->message);
	int r;

	if (n > LIMIT_FRAME_DATA)
		return -EMSGSIZE;
	payload = malloc(n + 1);
	if (!payload)
		return -ENOMEM;
	protobuf_c_message_pack(request->message, payload);
	wire.service = (char *)request->service;
	wire.method = (char *)request->method;
	wire.payload.data = payload;
	wire.payload.len = n;
	if (request->timeout_ms > 0)
		wire.timeout_nano = request->timeout_ms > INT64_MAX / 1000000
					    ? INT64_MAX
					    : request->timeout_ms * 1000000;
	wire.n_metadata = request->n_metadata;
	r = metadata_make(request, &metadata);
	if (r < 0)
		return r;
	wire.metadata = metadata;
	return ttrpc_out_message(out, header, &wire.base);
}

int ttrpc_client_encode(struct ttrpc_client *client, const struct ttrpc_request *request,
	bool stream, struct ttrpc_out *out, uint32_t *ret_stream, struct error *err)
{
	struct ttrpc_header header = {
		.stream = client->next_stream,
		.type = TTRPC_REQUEST,
		.flags = stream ? TTRPC_REMOTE_CLOSED : 0,
	};
	int r;

	if (client->conn.broken)
		return ttrpc_client_ended(err);
	if (client->exhausted)
		return error_set(err, CODE_UNAVAILABLE, "the connection has used up its streams");
	if (request->n_fds > LIMIT_FRAME_FDS)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s: more than %u descriptors with one request", request->method,
			LIMIT_FRAME_FDS);
	r = encode(request, &header, out);
	if (r == -EMSGSIZE)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"%s: the request is longer than a frame may be (%u bytes)", request->method,
			LIMIT_FRAME_DATA);
	if (r < 0)
		return error_errno(err, r, "%s", request->method);
	*ret_stream = client->next_stream;
	client->exhausted = client->next_stream == UINT32_MAX;
	client->next_stream += 2;
	return 0;
}

/* --- answers --- */

static int unpack(const uint8_t *data, size_t n, const ProtobufCMessageDescriptor *response,
	ProtobufCMessage **ret, struct error *err)
{
	*ret = protobuf_c_message_unpack(response, NULL, n, data);
	if (!*ret)
		return error_set(
			err, CODE_INTERNAL, "the server's answer is no valid %s", response->name);
	return 0;
}

static int decode_response(const uint8_t *data, size_t n,
	const ProtobufCMessageDescriptor *response, bool stream, ProtobufCMessage **ret,
	struct error *err)
{
	_cleanup_arena_ struct arena arena;
	unsigned char room[ARENA_BYTES];
	const Ttrpc__Response *wire;

	arena_init(&arena, room, sizeof(room), ARENA_LIMIT);
	wire = ttrpc__response__unpack(&arena.allocator, n, data);
	if (!wire)
		return error_set(
			err, CODE_INTERNAL, "the server's answer is no valid ttrpc.Response");
	if (wire->status && wire->status->code != CODE_OK) {
		int code = wire->status->code;

		if (code < 0 || code >= _CODE_MAX)
			code = CODE_UNKNOWN;
		return error_set(err, code, "%s",
			*wire->status->message ? wire->status->message : code_name(code));
	}
	/* a stream may end with an answer, or with nothing more to say */
	if (stream && wire->payload.len == 0)
		return 0;
	return unpack(wire->payload.data, wire->payload.len, response, ret, err);
}

int ttrpc_client_decode(const struct ttrpc_header *header, const uint8_t *data,
	const ProtobufCMessageDescriptor *response, bool stream, ProtobufCMessage **ret_message,
	bool *ret_last, struct error *err)
{
	*ret_message = NULL;
	*ret_last = true;
	if (!data)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"the server's answer is longer than a frame may be (%u bytes)",
			header->length);
	if (header->type == TTRPC_RESPONSE)
		return decode_response(data, header->length, response, stream, ret_message, err);
	if (!stream)
		return error_set(
			err, CODE_INTERNAL, "the server sent stream data for a single call");
	*ret_last = header->flags & TTRPC_REMOTE_CLOSED;
	if (header->flags & TTRPC_NO_DATA)
		return 0;
	return unpack(data, header->length, response, ret_message, err);
}
