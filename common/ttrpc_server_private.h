/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the two halves of the server share: ttrpc_server.c (sockets, connections, services) and
 * ttrpc_call.c (requests and their answers). Included by nothing else but their tests.
 */

#include "common/list.h"
#include "common/ttrpc_conn.h"
#include "common/ttrpc_server.h"

struct ttrpc_service {
	struct list service_link;
	const struct ttrpc_method *methods;
	size_t n_methods;
	void *userdata;
	char name[];
};

struct ttrpc_server {
	struct event_base *base;
	int listen_fd;
	int reserve_fd; /* given up for a moment to turn a client away when no descriptor is left */
	struct event listen_event;
	struct event resume_timer; /* pending only while accepting has to pause */
	struct list services;
	struct list connections;
	size_t n_connections, max_connections;
	bool refusing;
	char *refusal; /* what new calls are told then; NULL: there was no memory for it */
	void (*on_change)(void *userdata);
	void *on_change_data;
	void (*on_flushed)(void *userdata);
	void *on_flushed_data;
};

/* A client. */
struct ttrpc_peer {
	struct ttrpc_conn conn;
	struct ttrpc_server *server;
	struct list server_link;
	struct list calls;    /* open ones, the oldest first */
	struct list draining; /* those whose on_drained is owed, in the order of their frames */
	size_t n_calls;
	uint32_t last_stream;
	struct ttrpc_call *current; /* the one whose handler is running */
};
_Static_assert(sizeof(struct ttrpc_peer) <= 768, "an idle connection costs less than 1 KiB");

/* A frame has come; data as in struct ttrpc_conn_ops. */
void ttrpc_peer_on_frame(
	struct ttrpc_peer *peer, const struct ttrpc_header *header, const uint8_t *data);

/* Queued frames have left: runs the on_drained of the calls that waited for that. */
void ttrpc_peer_on_written(struct ttrpc_peer *peer);

/* Ends every open call, with its on_cancel. */
void ttrpc_peer_cancel_calls(struct ttrpc_peer *peer);

/* The method, or NULL; *ret_service is NULL if the service is not there either. */
const struct ttrpc_method *ttrpc_server_find(const struct ttrpc_server *server, const char *service,
	const char *method, const struct ttrpc_service **ret_service);
