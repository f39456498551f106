/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd SOCKET PID SECONDS ID...: the course of test/soak/clients, over a cleatd and containers that are
 * there. A quarter of the time without the two that do not read, to have something to hold the rest
 * against. The containers' inits are killed in the end. Subtle: memory is looked at twice in the same
 * state: all connected, and nobody calling.
 */
#include "test/soak/crowd/crowd.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events_service.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "tasks.pb-c.h"

#define PATIENCE_MS 60000
#define GROWN_KB    1024 /* what cleatd may have grown by between the two looks */
#define ALLOWED_MS                                                                                 \
	20 /* that a Get may take longer beside those that do not read, and thrice as long */
#define BALLAST	      200 /* events that push others out of the hub, of this size */
#define BALLAST_BYTES (64u << 10)

/* --- what all of it stands on --- */

void crowd_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("crowd: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

int64_t crowd_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

size_t crowd_index(const struct crowd *crowd, const char *id)
{
	for (size_t i = 0; i < crowd->n_ids; i++)
		if (strcmp(crowd->ids[i], id) == 0)
			return i;
	crowd_fail("\"%s\": no container of ours", id);
}

struct ttrpc_client *crowd_connect(struct crowd *crowd, struct event_base *base)
{
	struct ttrpc_client *client = NULL;
	struct error err = ERROR_INIT;

	if (ttrpc_client_connect(crowd->socket, base, &client, &err) != 0)
		crowd_fail("%s", error_message(&err));
	return client;
}

struct ttrpc_request crowd_request(const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response)
{
	static const struct ttrpc_metadata namespaces[] = {
		{ "containerd-namespace-ttrpc", "default" },
		{ "containerd-namespace-ttrpc", CROWD_NS },
	};

	return (struct ttrpc_request){
		.service = service,
		.method = method,
		.message = message,
		.response = response,
		.metadata = &namespaces[strcmp(method, "Publish") == 0],
		.n_metadata = 1,
	};
}

void crowd_begin(struct ttrpc_client *client, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response, int stream,
	ttrpc_reply_fn on_reply, void *userdata)
{
	const struct ttrpc_request request = crowd_request(service, method, message, response);
	struct error err = ERROR_INIT;

	if (ttrpc_client_begin(client, &request, stream, on_reply, userdata, NULL, &err) != 0)
		crowd_fail("%s: %s", method, error_message(&err));
}

static void run_for(struct crowd *c, double seconds)
{
	const struct timeval tv = { (time_t)seconds,
		(suseconds_t)((seconds - (int)seconds) * 1e6) };

	event_base_loopexit(c->base, &tv);
	event_base_dispatch(c->base);
}

static void run_until(struct crowd *c, bool (*is_so)(const struct crowd *c), const char *what)
{
	const int64_t end = crowd_now_us() + PATIENCE_MS * 1000LL;

	while (!is_so(c)) {
		if (crowd_now_us() > end)
			crowd_fail("not within %d s: %s", PATIENCE_MS / 1000, what);
		run_for(c, 0.01);
	}
}

/* --- cleatd from outside --- */

static long private_kb(const char *pid)
{
	char path[64], line[256];
	long total = 0, kb;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
	f = fopen(path, "re");
	if (!f)
		crowd_fail("%s: cannot be opened", path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Private_Clean: %ld", &kb) == 1 ||
			sscanf(line, "Private_Dirty: %ld", &kb) == 1)
			total += kb;
	fclose(f);
	return total;
}

static long n_descriptors(const char *pid)
{
	char path[64];
	long n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		crowd_fail("%s: cannot be opened", path);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* --- a time of calling --- */

static bool is_quiet(const struct crowd *c)
{
	for (size_t i = 0; i < N_CALLERS; i++)
		if (c->callers[i].is_busy)
			return false;
	return true;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The median time of a Get, in milliseconds. */
static double call_for(struct crowd *c, double seconds, const char *what)
{
	const uint64_t n_calls = c->n_calls, n_execs = c->n_execs;
	size_t middle, late;
	double median;

	c->n_times = 0;
	c->is_calling = true;
	for (size_t i = 0; i < N_CALLERS; i++)
		caller_go(&c->callers[i]);
	run_for(c, seconds);
	c->is_calling = false;
	run_until(c, is_quiet, "the calls are answered");
	if (c->n_times == 0 || c->n_execs == n_execs)
		crowd_fail("%s: nothing was called", what);
	qsort(c->times, c->n_times, sizeof(*c->times), compare);
	middle = c->n_times / 2;
	late = c->n_times * 99 / 100;
	median = (double)c->times[middle] / 1000;
	printf("%s, %.1f s: %llu calls, %llu execs; Get %.2f ms median, %.2f at 99 %%, %.2f at most\n",
		what, seconds, (unsigned long long)(c->n_calls - n_calls),
		(unsigned long long)(c->n_execs - n_execs), median, (double)c->times[late] / 1000,
		(double)c->times[c->n_times - 1] / 1000);
	return median;
}

/* --- the ballast --- */

struct publisher {
	struct ttrpc_client *client;
	struct event *timer;
	unsigned n_left;
};

static void on_published(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)message;
	(void)userdata;
	if (code != 0)
		crowd_fail("Publish: %s", error_message(err));
}

static void publish(struct publisher *p, const char *topic, size_t n)
{
	static uint8_t bytes[BALLAST_BYTES];
	Containerd__Services__Events__V1__PublishRequest r =
		CONTAINERD__SERVICES__EVENTS__V1__PUBLISH_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)"crowd";
	any.value = (ProtobufCBinaryData){ n, bytes };
	r.topic = (char *)topic;
	r.event = &any;
	crowd_begin(p->client, EVENTS, "Publish", &r.base, &google__protobuf__empty__descriptor, 0,
		on_published, p);
}

static void on_ballast(evutil_socket_t fd, short what, void *userdata)
{
	struct publisher *p = userdata;

	(void)fd;
	(void)what;
	publish(p, CROWD_BALLAST, BALLAST_BYTES);
	if (--p->n_left == 0)
		event_del(p->timer);
}

static void publisher_begin(struct publisher *p, unsigned n, double seconds)
{
	const struct timeval tv = { 0, (suseconds_t)(seconds / n * 1e6) };

	p->n_left = n;
	if (event_add(p->timer, &tv) < 0)
		crowd_fail("no memory");
}

static void publisher_init(struct publisher *p, struct crowd *c)
{
	p->client = crowd_connect(c, c->base);
	p->timer = event_new(c->base, -1, EV_PERSIST, on_ballast, p);
	if (!p->timer)
		crowd_fail("no memory");
}

/* --- the end --- */

static void on_killed(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)message;
	(void)userdata;
	if (code != 0)
		crowd_fail("Kill: %s", error_message(err));
}

static void kill_all(struct crowd *c)
{
	Containerd__Services__Tasks__V1__KillRequest r =
		CONTAINERD__SERVICES__TASKS__V1__KILL_REQUEST__INIT;

	c->is_ending = true;
	r.signal = SIGKILL;
	for (size_t i = 0; i < c->n_ids; i++) {
		r.container_id = (char *)c->ids[i];
		crowd_begin(c->callers[0].client, TASKS, "Kill", &r.base,
			&google__protobuf__empty__descriptor, 0, on_killed, c);
	}
}

/* Execs, and with the inits, that a follower must have been told the exits of. */
static uint64_t wanted_execs(const struct follower *f)
{
	return f->id ? f->crowd->execs_of[crowd_index(f->crowd, f->id)] : f->crowd->n_execs;
}

static uint64_t wanted_exits(const struct follower *f)
{
	return wanted_execs(f) + (f->id ? 1 : f->crowd->n_ids);
}

static bool is_told(const struct crowd *c)
{
	for (size_t i = 0; i < N_FOLLOWERS; i++)
		if (c->followers[i].n_exits < wanted_exits(&c->followers[i]))
			return false;
	for (size_t i = 0; i < N_WAITERS; i++)
		if (!c->waiters[i].is_answered)
			return false;
	return true;
}

static bool is_ended(const struct crowd *c)
{
	for (size_t i = 0; i < N_FOLLOWERS; i++)
		if (c->followers[i].of_events && !c->followers[i].has_ended)
			return false;
	return true;
}

/* The number of events between the markers, which all that see all must agree about. */
static uint64_t check_followers(const struct crowd *c)
{
	uint64_t n_between = 0;

	for (size_t i = 0; i < N_FOLLOWERS; i++) {
		const struct follower *f = &c->followers[i];

		if (f->n_exits != wanted_exits(f) || f->n_execs != 2 * wanted_execs(f))
			crowd_fail("subscriber %zu was told of %llu exits and %llu events of execs",
				i, (unsigned long long)f->n_exits, (unsigned long long)f->n_execs);
		if (!f->of_events || f->is_filtered)
			continue;
		if (n_between != 0 && f->n_between != n_between)
			crowd_fail("of two subscribers one was told of %llu events, one of %llu",
				(unsigned long long)n_between, (unsigned long long)f->n_between);
		n_between = f->n_between;
	}
	return n_between;
}

/* --- the course --- */

static void begin_all(struct crowd *c)
{
	for (size_t i = 0; i < N_WAITERS; i++) {
		c->waiters[i].crowd = c;
		waiter_begin(&c->waiters[i], c->ids[i % c->n_ids]);
	}
	for (size_t i = 0; i < N_FOLLOWERS; i++) {
		c->followers[i].crowd = c;
		follower_begin(&c->followers[i], i);
	}
	for (size_t i = 0; i < N_CALLERS; i++) {
		c->callers[i].crowd = c;
		caller_begin(&c->callers[i], (uint32_t)i);
	}
	run_for(c, 0.2);
}

static void course(struct crowd *c, const char *pid, double seconds)
{
	struct publisher publisher = { 0 };
	double alone, beside;
	long kb, n_fds;
	uint64_t n_between;

	begin_all(c);
	publisher_init(&publisher, c);
	publisher_begin(&publisher, BALLAST / 3, seconds / 5);
	alone = call_for(c, seconds / 4, "without those that do not read");
	run_for(c, 0.2);
	kb = private_kb(pid);
	n_fds = n_descriptors(pid);
	slow_begin(c);
	publisher_begin(&publisher, BALLAST, seconds * 3 / 5);
	beside = call_for(c, seconds * 3 / 4, "beside them");
	while (publisher.n_left > 0) /* where the machine was slow */
		run_for(c, 0.01);
	printf("cleatd: %ld kB private, then %ld with what they have not read\n", kb,
		private_kb(pid));
	kill_all(c);
	run_until(c, is_told, "every exit is told");
	publish(&publisher, CROWD_END, 0);
	run_until(c, is_ended, "the last event is told");
	n_between = check_followers(c);
	slow_catch_up(c, n_between);
	run_for(c, 0.2);
	printf("cleatd: %ld kB private and %ld descriptors, then %ld and %ld\n", kb, n_fds,
		private_kb(pid), n_descriptors(pid));
	if (private_kb(pid) > kb + GROWN_KB)
		crowd_fail("cleatd has grown");
	if (n_descriptors(pid) > n_fds)
		crowd_fail("cleatd has more descriptors");
	if (beside > 3 * alone + ALLOWED_MS)
		crowd_fail("a client that does not read costs the others");
	printf("%llu execs, %llu events between the markers, 50 waiters and 50 subscribers: none lost\n",
		(unsigned long long)c->n_execs, (unsigned long long)n_between);
}

int main(int argc, char **argv)
{
	static struct crowd crowd;

	if (argc < 5 || argc - 4 > (int)MAX_CONTAINERS)
		crowd_fail("usage: crowd SOCKET PID SECONDS ID...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	crowd.base = event_base_new();
	crowd.socket = argv[1];
	crowd.times = calloc(MAX_TIMES, sizeof(*crowd.times));
	if (!crowd.base || !crowd.times)
		crowd_fail("no memory");
	for (int i = 4; i < argc; i++)
		crowd.ids[crowd.n_ids++] = argv[i];
	course(&crowd, argv[2], atof(argv[3]));
	return 0;
}
