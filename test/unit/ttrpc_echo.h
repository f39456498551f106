/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small ttrpc service for tests and fuzzers. Its one message is ttrpc.KeyValue, so that it needs
 * no .proto file of its own. A header, since each test is one program of one file.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ttrpc_server.h"
#include "ttrpc.pb-c.h"

#define ECHO_SERVICE "test.Echo"
#define ECHO_HELD    8192
#define ECHO_MAX     (32ul << 20) /* bytes and messages asked for by a fuzzer */

static inline unsigned long echo_number(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	return n < ECHO_MAX ? n : ECHO_MAX;
}

struct echo {
	struct ttrpc_call *held[ECHO_HELD]; /* by Hold, not answered yet */
	size_t n_held;
	size_t n_calls;	    /* handlers run */
	size_t n_cancelled; /* on_cancel run */
	size_t n_drained;
	size_t n_sent; /* messages of streams */
	struct ttrpc_server *server;
};

/* What a kept call of a stream has still to send. */
struct echo_stream {
	struct echo *echo;
	struct ttrpc_call *call;
	unsigned long next, end;
	size_t size; /* of each message's value */
};

static inline void echo_reply(struct ttrpc_call *call, const char *key, const char *value)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;

	m.key = (char *)key;
	m.value = (char *)value;
	ttrpc_call_reply(call, &m.base);
}

static inline void echo_echo(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct echo *echo = userdata;

	echo->n_calls++;
	ttrpc_call_reply(call, request);
}

/* Fails with code key and message value. */
static inline void echo_fail(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	struct echo *echo = userdata;

	echo->n_calls++;
	ttrpc_call_fail(call, atoi(m->key), m->value);
}

/* Answers with value's number of bytes. */
static inline void echo_big(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	size_t n = echo_number(m->value);
	struct echo *echo = userdata;
	char *big = malloc(n + 1);

	echo->n_calls++;
	memset(big, 'b', n);
	big[n] = '\0';
	echo_reply(call, m->key, big);
	free(big);
}

static inline void echo_on_cancel(void *userdata)
{
	struct echo *echo = userdata;

	echo->n_cancelled++;
}

/* Keeps the call; the test answers echo->held[]. */
static inline void echo_hold(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	struct echo *echo = userdata;

	(void)request;
	echo->n_calls++;
	if (echo->n_held < ECHO_HELD)
		echo->held[echo->n_held++] = call;
	ttrpc_call_keep(call, echo_on_cancel, NULL, echo);
}

/* The value of the request's metadata key. */
static inline void echo_meta(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	const char *value = ttrpc_call_metadata(call, m->key);
	struct echo *echo = userdata;

	echo->n_calls++;
	if (value)
		echo_reply(call, m->key, value);
	else
		ttrpc_call_fail(call, CODE_NOT_FOUND, "no such metadata");
}

/* Takes up to key's number of descriptors, writes value to each; the answer's key: how many. */
static inline void echo_fds(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	struct echo *echo = userdata;
	int fds[16];
	size_t max = strtoul(m->key, NULL, 10);
	size_t n = ttrpc_call_take_fds(call, fds, max > 16 ? 16 : max);
	char key[16];

	echo->n_calls++;
	for (size_t i = 0; i < n; i++) {
		if (write(fds[i], m->value, strlen(m->value)) < 0)
			echo->n_sent++;
		close(fds[i]);
	}
	snprintf(key, sizeof(key), "%zu", n);
	echo_reply(call, key, m->value);
}

/* Sends as long as the client takes it; ends the stream behind the last message. */
static inline void echo_pump(struct echo_stream *s)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	char key[24], *value = malloc(s->size + 1);

	memset(value, 's', s->size);
	value[s->size] = '\0';
	m.key = key;
	m.value = value;
	while (s->next < s->end && !ttrpc_call_is_pending(s->call)) {
		snprintf(key, sizeof(key), "%lu", s->next++);
		if (ttrpc_call_send(s->call, &m.base) < 0)
			break;
		s->echo->n_sent++;
	}
	free(value);
	if (s->next == s->end && !ttrpc_call_is_pending(s->call)) {
		ttrpc_call_finish(s->call);
		free(s);
	}
}

static inline void echo_stream_on_drained(void *userdata)
{
	struct echo_stream *s = userdata;

	s->echo->n_drained++;
	echo_pump(s);
}

static inline void echo_stream_on_cancel(void *userdata)
{
	struct echo_stream *s = userdata;

	s->echo->n_cancelled++;
	free(s);
}

/* Streams key's number of messages with value's number of bytes each. */
static inline void echo_count(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	struct echo_stream *s = calloc(1, sizeof(*s));
	struct echo *echo = userdata;

	echo->n_calls++;
	s->echo = echo;
	s->call = call;
	s->end = echo_number(m->key);
	s->size = echo_number(m->value);
	ttrpc_call_keep(call, echo_stream_on_cancel, echo_stream_on_drained, s);
	echo_pump(s);
}

static inline void echo_on_drained(void *userdata)
{
	struct echo *echo = userdata;

	echo->n_drained++;
}

/* Sends one message with value's number of bytes, and only then keeps the call. */
static inline void echo_keep_late(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	Ttrpc__KeyValue message = TTRPC__KEY_VALUE__INIT;
	size_t n = echo_number(m->value);
	struct echo *echo = userdata;
	char *big = malloc(n + 1);

	echo->n_calls++;
	memset(big, 'b', n);
	big[n] = '\0';
	message.value = big;
	if (ttrpc_call_send(call, &message.base) == 0)
		echo->n_sent++;
	free(big);
	ttrpc_call_keep(call, echo_on_cancel, echo_on_drained, echo);
}

/* Streams key's number of messages, then fails with value. */
static inline void echo_count_fail(
	struct ttrpc_call *call, const ProtobufCMessage *request, void *userdata)
{
	const Ttrpc__KeyValue *m = (const Ttrpc__KeyValue *)request;
	unsigned long n = echo_number(m->key) % 1000;
	struct echo *echo = userdata;

	echo->n_calls++;
	for (unsigned long i = 0; i < n; i++)
		if (ttrpc_call_send(call, request) < 0)
			break;
	ttrpc_call_fail(call, CODE_DATA_LOSS, m->value);
}

#define ECHO_METHOD(name, handler)                                                                 \
	{                                                                                          \
		name, &ttrpc__key_value__descriptor, &ttrpc__key_value__descriptor, false, handler \
	}
#define ECHO_STREAM(name, handler)                                                                 \
	{                                                                                          \
		name, &ttrpc__key_value__descriptor, &ttrpc__key_value__descriptor, true, handler  \
	}

static const struct ttrpc_method echo_methods[] = {
	ECHO_METHOD("Echo", echo_echo),
	ECHO_METHOD("Fail", echo_fail),
	ECHO_METHOD("Big", echo_big),
	ECHO_METHOD("Hold", echo_hold),
	ECHO_METHOD("Meta", echo_meta),
	ECHO_METHOD("Fds", echo_fds),
	ECHO_STREAM("Count", echo_count),
	ECHO_STREAM("CountFail", echo_count_fail),
	ECHO_STREAM("KeepLate", echo_keep_late),
};

static inline int echo_add(struct ttrpc_server *server, struct echo *echo)
{
	echo->server = server;
	return ttrpc_server_add_service(server, ECHO_SERVICE, echo_methods,
		sizeof(echo_methods) / sizeof(*echo_methods), echo);
}
