/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of the server stand on: a server with the echo service on a real Unix socket, in
 * the test's own loop, and a first connection to it. A header, since each test is one program of
 * one file.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/ttrpc_server.h"
#include "test/unit/precise_base.h"
#include "test/unit/ttrpc_echo.h"
#include "test/unit/ttrpc_raw.h"

struct fixture {
	char folder[64];
	char path[100];
	struct event_base *base;
	struct ttrpc_server *server;
	struct echo echo;
	int client; /* a first connection */
	size_t n_changes, n_flushed;
	bool was_listening;	     /* at the last change */
	struct ttrpc_call *the_next; /* what an on_cancel answers */
	int n_open;		     /* descriptors with the server there and no connection */
	struct rlimit nofile;	     /* to be restored */
};

static inline int connect_to(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 512), 0);
	return fd;
}

static inline void on_change(void *userdata)
{
	struct fixture *f = userdata;

	f->n_changes++;
	f->was_listening = event_pending(&f->server->listen_event, EV_READ, NULL);
}

static inline void on_flushed(void *userdata)
{
	struct fixture *f = userdata;

	f->n_flushed++;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	strcpy(f->folder, "/tmp/cleat-server-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
	f->base = precise_base_new();
	assert_int_equal(ttrpc_server_new(f->base, listen_at(f->path), &f->server), 0);
	assert_int_equal(echo_add(f->server, &f->echo), 0);
	ttrpc_server_on_change(f->server, on_change, f);
	f->n_open = fd_count();
	f->client = connect_to(f);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	setrlimit(RLIMIT_NOFILE, &f->nofile);
	fd_close(&f->client);
	ttrpc_server_free(f->server);
	event_base_free(f->base);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

static inline void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Runs the loop until *counter is at least n. */
static inline void await(struct fixture *f, const size_t *counter, size_t n)
{
	int64_t deadline = clock_monotonic_ms() + RAW_DEADLINE_MS;

	while (*counter < n) {
		assert_true(clock_monotonic_ms() < deadline);
		raw_turn(f->base, -1, 0);
	}
}

static inline void put(
	struct buf *b, uint32_t stream, const char *method, const char *key, const char *value)
{
	raw_put_request(b, stream, ECHO_SERVICE, method, key, value, 0, 0);
}

static inline void ask(struct fixture *f, int fd, uint32_t stream, const char *method,
	const char *key, const char *value)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	put(&b, stream, method, key, value);
	assert_true(raw_send_buf(f->base, fd, &b));
}

static inline void assert_answer(
	struct fixture *f, int fd, uint32_t stream, int code, const char *text)
{
	struct raw_answer a = raw_answer(f->base, fd);

	assert_int_equal(a.code, code);
	assert_int_equal(a.stream, stream);
	if (text)
		assert_string_equal(a.text, text);
	raw_answer_free(&a);
}

static inline void assert_answer_contains(
	struct fixture *f, int fd, uint32_t stream, int code, const char *part)
{
	struct raw_answer a = raw_answer(f->base, fd);

	assert_int_equal(a.code, code);
	assert_int_equal(a.stream, stream);
	if (!a.text || !strstr(a.text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, a.text);
	raw_answer_free(&a);
}

static inline void assert_serves(struct fixture *f, int fd, uint32_t stream)
{
	ask(f, fd, stream, "Echo", "still", "there");
	assert_answer(f, fd, stream, 0, "there");
}

static inline void assert_closed(struct fixture *f, int fd)
{
	struct raw_answer a = raw_answer(f->base, fd);

	assert_int_equal(a.code, -1);
}
