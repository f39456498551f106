/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, connections and services of the server; calls are in ttrpc_call.c. Never waits, never
 * logs. Subtle: a process that is out of descriptors still takes connections, to close them; one
 * left in the backlog would keep the listening socket readable, and the loop spinning.
 */
#include "common/ttrpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_server_private.h"

#define ACCEPTS_PER_ROUND 16u
#define PAUSE_MS	  200

static void server_changed(struct ttrpc_server *server)
{
	if (server->on_change)
		server->on_change(server->on_change_data);
}

static void server_check_flushed(struct ttrpc_server *server)
{
	void (*cb)(void *userdata) = server->on_flushed;

	if (!cb || !ttrpc_server_is_flushed(server))
		return;
	server->on_flushed = NULL;
	cb(server->on_flushed_data);
}

/* --- connections --- */

static struct ttrpc_peer *peer_of(struct ttrpc_conn *conn)
{
	return container_of(conn, struct ttrpc_peer, conn);
}

static void peer_free(struct ttrpc_peer *peer)
{
	list_unlink(&peer->server_link);
	peer->server->n_connections--;
	ttrpc_conn_deinit(&peer->conn);
	ttrpc_peer_cancel_calls(peer);
	free(peer);
}

static void peer_on_frame(
	struct ttrpc_conn *conn, const struct ttrpc_header *header, const uint8_t *data)
{
	ttrpc_peer_on_frame(peer_of(conn), header, data);
}

static void peer_on_written(struct ttrpc_conn *conn)
{
	struct ttrpc_peer *peer = peer_of(conn);

	ttrpc_peer_on_written(peer);
	server_check_flushed(peer->server);
}

static void server_resume(struct ttrpc_server *server);

static void peer_on_end(struct ttrpc_conn *conn)
{
	struct ttrpc_peer *peer = peer_of(conn);
	struct ttrpc_server *server = peer->server;

	peer_free(peer);
	server_resume(server);
	server_changed(server);
	server_check_flushed(server);
}

static const struct ttrpc_conn_ops peer_ops = {
	.on_frame = peer_on_frame,
	.on_written = peer_on_written,
	.on_end = peer_on_end,
};

static int peer_new(struct ttrpc_server *server, int fd_take)
{
	struct ttrpc_peer *peer = calloc(1, sizeof(*peer));
	int r;

	if (!peer)
		return -ENOMEM;
	r = ttrpc_conn_init(&peer->conn, server->base, fd_take, &peer_ops);
	if (r < 0) {
		free(peer);
		return r;
	}
	peer->server = server;
	list_init(&peer->calls);
	list_init(&peer->draining);
	list_init(&peer->server_link);
	list_append(&server->connections, &peer->server_link);
	server->n_connections++;
	return 0;
}

int ttrpc_server_adopt(struct ttrpc_server *server, int fd_take)
{
	int r;

	if (server->n_connections >= server->max_connections)
		return -EUSERS;
	r = peer_new(server, fd_take);
	if (r == 0)
		server_changed(server);
	return r;
}

/* --- accepting --- */

/* Root and we ourselves; who the peer was when it connected (unix(7), SO_PEERCRED). */
static bool peer_is_allowed(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	return cred.uid == 0 || cred.uid == geteuid();
}

static int server_reserve(struct ttrpc_server *server)
{
	if (server->reserve_fd < 0)
		server->reserve_fd = fcntl(server->listen_fd, F_DUPFD_CLOEXEC, 0);
	return server->reserve_fd < 0 ? -errno : 0;
}

/* Takes a client that there is no descriptor for and closes it. 0, or -errno as accept4(2). */
static int server_turn_away(struct ttrpc_server *server)
{
	int fd, r;

	fd_close(&server->reserve_fd);
	fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	r = fd < 0 ? -errno : 0;
	fd_close(&fd);
	server_reserve(server);
	return r;
}

static void server_pause(struct ttrpc_server *server)
{
	struct timeval tv = { PAUSE_MS / 1000, PAUSE_MS % 1000 * 1000 };

	if (evtimer_add(&server->resume_timer, &tv) == 0)
		event_del(&server->listen_event);
}

static void server_resume(struct ttrpc_server *server)
{
	if (server->listen_fd < 0)
		return;
	server_reserve(server);
	evtimer_del(&server->resume_timer);
	if (!event_pending(&server->listen_event, EV_READ, NULL) &&
		event_add(&server->listen_event, NULL) < 0)
		server_pause(server);
}

/* 0 to go on, or -errno when there is no more to accept, or none can be accepted. */
static int server_accept_one(struct ttrpc_server *server)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
		return 0;
	if (fd < 0)
		return -errno;
	if (!peer_is_allowed(fd) || server->n_connections >= server->max_connections)
		return 0;
	r = peer_new(server, fd);
	if (r < 0)
		return 0; /* no memory for this one: closed */
	TAKE_FD(fd);
	server_changed(server);
	return 0;
}

static void server_accept(struct ttrpc_server *server)
{
	for (size_t i = 0; i < ACCEPTS_PER_ROUND; i++) {
		int r = server_accept_one(server);

		/* accept4() says so before it looks whether anyone is waiting */
		if (r == -EMFILE || r == -ENFILE)
			r = server_turn_away(server);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			server_pause(server);
			return;
		}
	}
}

static void on_listen(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	server_accept(userdata);
}

static void on_resume(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	server_resume(userdata);
}

static int server_listen(struct ttrpc_server *server, int listen_fd_take)
{
	int r;

	event_assign(&server->listen_event, server->base, listen_fd_take, EV_READ | EV_PERSIST,
		on_listen, server);
	evtimer_assign(&server->resume_timer, server->base, on_resume, server);
	server->listen_fd = listen_fd_take;
	r = server_reserve(server);
	if (r == 0 && event_add(&server->listen_event, NULL) < 0)
		r = -ENOMEM;
	if (r < 0)
		server->listen_fd = -1;
	return r;
}

/* --- the server --- */

int ttrpc_server_new(struct event_base *base, int listen_fd_take, struct ttrpc_server **ret)
{
	struct ttrpc_server *server = calloc(1, sizeof(*server));
	int r = 0;

	if (!server)
		return -ENOMEM;
	server->base = base;
	server->max_connections = LIMIT_CONNECTIONS;
	server->listen_fd = server->reserve_fd = -1;
	list_init(&server->services);
	list_init(&server->connections);
	if (listen_fd_take >= 0)
		r = server_listen(server, listen_fd_take);
	if (r < 0) {
		ttrpc_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void ttrpc_server_free(struct ttrpc_server *server)
{
	struct ttrpc_peer *peer;
	struct ttrpc_service *service;

	if (!server)
		return;
	while ((peer = list_first(&server->connections, struct ttrpc_peer, server_link)))
		peer_free(peer);
	while ((service = list_first(&server->services, struct ttrpc_service, service_link))) {
		list_unlink(&service->service_link);
		free(service);
	}
	if (event_initialized(&server->listen_event)) {
		event_del(&server->listen_event);
		evtimer_del(&server->resume_timer);
	}
	fd_close(&server->reserve_fd);
	fd_close(&server->listen_fd);
	free(server->refusal);
	free(server);
}

int ttrpc_server_add_service(struct ttrpc_server *server, const char *name,
	const struct ttrpc_method *methods, size_t n_methods, void *userdata)
{
	size_t n = strlen(name) + 1;
	struct ttrpc_service *service = malloc(sizeof(*service) + n);

	if (!service)
		return -ENOMEM;
	service->methods = methods;
	service->n_methods = n_methods;
	service->userdata = userdata;
	memcpy(service->name, name, n);
	list_append(&server->services, &service->service_link);
	return 0;
}

const struct ttrpc_method *ttrpc_server_find(const struct ttrpc_server *server, const char *service,
	const char *method, const struct ttrpc_service **ret_service)
{
	struct list *pos;

	*ret_service = NULL;
	list_for_each (pos, &server->services) {
		struct ttrpc_service *s = list_entry(pos, struct ttrpc_service, service_link);

		if (strcmp(s->name, service) != 0)
			continue;
		*ret_service = s;
		for (size_t i = 0; i < s->n_methods; i++)
			if (strcmp(s->methods[i].name, method) == 0)
				return &s->methods[i];
	}
	return NULL;
}

void ttrpc_server_set_max_connections(struct ttrpc_server *server, size_t n)
{
	server->max_connections = n;
}

void ttrpc_server_on_change(
	struct ttrpc_server *server, void (*on_change)(void *userdata), void *userdata)
{
	server->on_change = on_change;
	server->on_change_data = userdata;
}

size_t ttrpc_server_n_connections(const struct ttrpc_server *server)
{
	return server->n_connections;
}

void ttrpc_server_refuse(struct ttrpc_server *server, const char *message)
{
	free(server->refusal);
	server->refusal = strdup(message); /* without memory the code alone has to do */
	server->refusing = true;
}

bool ttrpc_server_is_flushed(const struct ttrpc_server *server)
{
	struct list *pos;

	list_for_each (pos, &server->connections) {
		struct ttrpc_peer *peer = list_entry(pos, struct ttrpc_peer, server_link);

		if (!peer->conn.broken && !list_is_empty(&peer->conn.queue))
			return false;
	}
	return true;
}

void ttrpc_server_on_flushed(
	struct ttrpc_server *server, void (*cb)(void *userdata), void *userdata)
{
	server->on_flushed = cb;
	server->on_flushed_data = userdata;
	server_check_flushed(server);
}
