/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink's process: our own server with one method. Subtle: an event is written down right before
 * its answer is, so that what it has and what the shim knows differ by one event at most, whenever
 * it is killed.
 */
#include "test/integration/bed_sink.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/pbtime.h"
#include "common/ttrpc_server.h"
#include "events_forward.pb-c.h"
#include "google/protobuf/empty.pb-c.h"

#define SERVICE	 "containerd.services.events.ttrpc.v1.Events"
#define AWAIT_MS 60000

/* --- in the process --- */

struct sink_server {
	struct sink_memory *memory;
	struct event_base *base;
};

/* An answer that waits. */
struct late {
	struct sink_server *server;
	struct ttrpc_call *call;
	struct event *timer;
	struct sink_event event;
};

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void read_event(
	const Containerd__Services__Events__Ttrpc__V1__Envelope *from, struct sink_event *to)
{
	copy_text(to->topic, sizeof(to->topic), from->topic);
	copy_text(to->type, sizeof(to->type), from->event->type_url);
	copy_text(to->ns, sizeof(to->ns), from->namespace_);
	to->time = pbtime_get(from->timestamp);
	to->n_payload = from->event->value.len;
	if (to->n_payload > sizeof(to->payload))
		_exit(3);
	memcpy(to->payload, from->event->value.data, to->n_payload);
}

static void take(struct sink_memory *m, const struct sink_event *e, struct ttrpc_call *call)
{
	if (m->n >= SINK_EVENTS)
		_exit(4);
	m->events[m->n] = *e;
	m->n++;
	ttrpc_call_reply(call, NULL);
}

static void late_free(struct late *l)
{
	event_free(l->timer);
	free(l);
}

static void on_cancel(void *userdata)
{
	late_free(userdata);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct late *l = userdata;

	(void)fd;
	(void)what;
	take(l->server->memory, &l->event, l->call);
	late_free(l);
}

static void answer_later(
	struct sink_server *s, struct ttrpc_call *call, const struct sink_event *e, uint32_t ms)
{
	const struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };
	struct late *l = calloc(1, sizeof(*l));

	l->server = s;
	l->call = call;
	l->event = *e;
	l->timer = evtimer_new(s->base, on_timer, l);
	ttrpc_call_keep(call, on_cancel, NULL, l);
	evtimer_add(l->timer, &tv);
}

static void forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Containerd__Services__Events__Ttrpc__V1__ForwardRequest *r =
		(const Containerd__Services__Events__Ttrpc__V1__ForwardRequest *)request;
	struct sink_server *s = userdata;
	struct sink_event e = { 0 };

	s->memory->n_calls++;
	if (s->memory->refuses) {
		ttrpc_call_fail(call, CODE_INTERNAL, "the sink refuses");
		return;
	}
	read_event(r->envelope, &e);
	if (s->memory->delay_ms > 0)
		answer_later(s, call, &e, s->memory->delay_ms);
	else
		take(s->memory, &e, call);
}

static _Noreturn void serve(struct sink_memory *memory, int listen_fd, pid_t parent)
{
	static const struct ttrpc_method methods[] = {
		{ "Forward", &containerd__services__events__ttrpc__v1__forward_request__descriptor,
			&google__protobuf__empty__descriptor, false, forward },
	};
	struct sink_server s = { memory, event_base_new() };
	struct ttrpc_server *server;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
		ttrpc_server_new(s.base, listen_fd, &server) < 0 ||
		ttrpc_server_add_service(server, SERVICE, methods, 1, &s) < 0)
		_exit(2);
	event_base_dispatch(s.base);
	_exit(0);
}

/* --- in the test --- */

void sink_init(struct sink *sink, const char *path)
{
	sink->path = strdup(path);
	sink->pid = 0;
	sink->memory = mmap(NULL, sizeof(*sink->memory), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(sink->memory != MAP_FAILED);
}

void sink_deinit(struct sink *sink)
{
	sink_kill(sink);
	unlink(sink->path);
	munmap(sink->memory, sizeof(*sink->memory));
	free(sink->path);
}

void sink_start(struct sink *sink)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pid_t parent = getpid();

	unlink(sink->path);
	strcpy(address.sun_path, sink->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	sink->pid = fork();
	assert_true(sink->pid >= 0);
	if (sink->pid == 0)
		serve(sink->memory, fd, parent);
	close(fd);
}

void sink_kill(struct sink *sink)
{
	if (sink->pid == 0)
		return;
	sink_signal(sink, SIGKILL);
	waitpid(sink->pid, NULL, 0);
	sink->pid = 0;
}

void sink_signal(struct sink *sink, int signal)
{
	assert_int_equal(kill(sink->pid, signal), 0);
}

static void await(volatile size_t *counter, size_t n, const char *what)
{
	int64_t end = clock_monotonic_ms() + AWAIT_MS;

	while (*counter < n) {
		if (clock_monotonic_ms() > end)
			fail_msg("the sink has %s %zu of %zu events", what, *counter, n);
		poll(NULL, 0, 2);
	}
}

void sink_await(struct sink *sink, size_t n)
{
	await(&sink->memory->n, n, "taken");
}

void sink_await_calls(struct sink *sink, size_t n)
{
	await(&sink->memory->n_calls, n, "seen");
}
