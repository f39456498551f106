/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of the services stand on: a real shim without a runtime, in this process, on the
 * same loop as its client; calls and their answers; a container made up. A header, since each test
 * is one program of one file.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/ttrpc_client.h"
#include "shim/container_life.h"
#include "shim/shim.h"
#include "task.pb-c.h"

#define TASK	"containerd.task.v2.Task"
#define TASK3	"containerd.task.v3.Task"
#define SHIM	"containerd.v1.services.shim.Shim"
#define MONITOR "cleat.shim.v1.Monitor"
#define EMPTY	(&google__protobuf__empty__descriptor)

struct fixture {
	char root[64];
	struct shim *shim;
	struct ttrpc_client *client;
};

/* One answer, or the last of a stream. */
struct answer {
	bool ended;
	int code;
	char *message;	      /* of an error */
	ProtobufCMessage *ok; /* a copy */
};

static inline struct ttrpc_client *connect_to(struct shim *shim)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(ttrpc_server_adopt(shim->server, fds[0]), 0);
	assert_int_equal(ttrpc_client_new(fds[1], shim->base, &client, &err), 0);
	return client;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_error_ struct error err = ERROR_INIT;
	struct state_dir dir = STATE_DIR_INIT;
	struct shim_options o = { .ns = "default", .id = "web", .lock_fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(f->root, "/tmp/cleat-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	o.root = f->root;
	assert_int_equal(state_prepare(f->root, o.ns, &err), 0);
	assert_int_equal(state_dir_create(f->root, o.ns, o.id, &dir, &err), 0);
	o.lock_fd = TAKE_FD(dir.lock_fd);
	state_dir_close(&dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", f->root);
	o.socket_path = address.sun_path;
	o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(o.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(o.listen_fd, 1), 0);
	if (shim_new(&o, &f->shim, &err) != 0)
		fail_msg("%s", error_message(&err));
	f->client = connect_to(f->shim);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	ttrpc_client_free(f->client);
	shim_free(f->shim);
	remove_tree(AT_FDCWD, f->root);
	free(f);
	return 0;
}

static inline ProtobufCMessage *copy_of(const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *bytes = malloc(n + 1);

	protobuf_c_message_pack(m, bytes);
	return protobuf_c_message_unpack(m->descriptor, NULL, n, bytes);
}

static inline void answer_free(struct answer *a)
{
	free(a->message);
	if (a->ok)
		protobuf_c_message_free_unpacked(a->ok, NULL);
	*a = (struct answer){ 0 };
}

static inline void on_answer(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct answer *a = userdata;

	a->ended = true;
	a->code = code;
	if (code)
		a->message = strdup(error_message(err));
	else
		a->ok = copy_of(message);
}

static inline void begin(struct fixture *f, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response,
	struct answer *a)
{
	const struct ttrpc_request request = {
		.service = service, .method = method, .message = message, .response = response
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	*a = (struct answer){ 0 };
	assert_int_equal(ttrpc_client_begin(f->client, &request, 0, on_answer, a, NULL, &err), 0);
}

static inline void turn(struct fixture *f)
{
	event_base_loop(f->shim->base, EVLOOP_NONBLOCK);
}

static inline void call(struct fixture *f, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response,
	struct answer *a)
{
	begin(f, service, method, message, response, a);
	while (!a->ended)
		event_base_loop(f->shim->base, EVLOOP_ONCE);
}

static inline void expect(struct fixture *f, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response, int code,
	const char *sentence)
{
	struct answer a;

	call(f, service, method, message, response, &a);
	if (a.code != code || (code && strcmp(a.message, sentence) != 0))
		fail_msg("%s %s: %s \"%s\" instead of %s \"%s\"", service, method,
			code_name(a.code), a.message ? a.message : "", code_name(code),
			sentence ? sentence : "");
	answer_free(&a);
}

/* A container as Create leaves it, without the runtime; it goes with the shim. */
static inline struct process *add_container(struct fixture *f)
{
	struct container *c = container_new(f->shim);
	struct process *p;

	assert_int_equal(process_new(c, "", &p), 0);
	c->init = p;
	c->id = strdup("web");
	c->bundle_path = strdup("/b");
	c->n_processes = 1;
	c->runtime.command = strdup("/usr/bin/runc");
	c->runtime.root = strdup("/r");
	c->bundle.path = strdup(f->root);
	p->stdin_uri = strdup("");
	p->stdout_uri = strdup("/o");
	p->stderr_uri = strdup("");
	p->pid = 42;
	p->status = PROCESS_RUNNING;
	return p;
}

static inline void tell_exit(struct process *p, uint32_t status)
{
	p->exit = (struct process_exit){ .known = true, .status = status, .at = 1000000001 };
	p->exited = p->announced = true;
	p->status = PROCESS_STOPPED;
	process_wake(p, &p->exit);
}
