/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that several wait for. Subtle: one that nobody wants any more stays until its answer has
 * come, or a client that waits and gives up again and again would open ever more calls.
 */
#include "common/client_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_line_private.h"
#include "common/ttrpc_client.h"

struct client_shared {
	struct list line_link; /* until it has its answer */
	struct client_line *line;
	char *key;
	unsigned n_users; /* under the line's lock, as all below */
	uint32_t stream;
	bool answered;
	ProtobufCMessage *answer;
	struct error why; /* there is none */
};

static void shared_free(struct client_shared *s)
{
	list_unlink(&s->line_link);
	protobuf_c_message_free_unpacked(s->answer, NULL);
	error_clear(&s->why);
	free(s->key);
	free(s);
}

void client_line_drop_shared(struct client_line *line)
{
	struct client_shared *s;

	while ((s = list_first(&line->shared, struct client_shared, line_link)))
		shared_free(s);
}

/* Whether there is an answer; what has come is put into it. */
static bool look(struct client_shared *s)
{
	struct client_line *line = s->line;

	if (s->answered)
		return true;
	if (ttrpc_client_has_answer(line->client, s->stream))
		ttrpc_client_take(line->client, s->stream, &s->answer, &s->why);
	else if (line->over)
		client_line_ended(line, &s->why);
	else
		return false;
	s->answered = true;
	list_unlink(&s->line_link);
	return true;
}

/* What was answered meanwhile is not joined: the answer may be about what is gone by now. */
static struct client_shared *find(struct client_line *line, const char *key)
{
	struct list *pos, *next;
	struct client_shared *found = NULL;

	client_line_take_in(line);
	list_for_each_safe (pos, next, &line->shared) {
		struct client_shared *s = list_entry(pos, struct client_shared, line_link);

		if (look(s)) {
			if (s->n_users == 0)
				shared_free(s);
		} else if (strcmp(s->key, key) == 0) {
			found = s;
		}
	}
	return found;
}

static int begin(struct client_line *line, const char *key, const struct ttrpc_request *request,
	struct client_shared **ret, struct error *err)
{
	struct client_shared *s = find(line, key);
	int r = 0;

	if (line->over)
		return client_line_ended(line, err);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return error_errno(err, -ENOMEM, "%s", request->method);
		s->line = line;
		s->why = ERROR_INIT;
		list_init(&s->line_link);
		s->key = strdup(key);
		r = s->key ? client_line_post(line, request, &s->stream, err)
			   : error_errno(err, -ENOMEM, "%s", request->method);
		if (r != 0) {
			shared_free(s);
			return r;
		}
		list_append(&line->shared, &s->line_link);
	}
	s->n_users++;
	*ret = s;
	return 0;
}

int client_shared_begin(struct client_line *line, const char *key,
	const struct ttrpc_request *request, struct client_shared **ret, struct error *err)
{
	int r;

	pthread_mutex_lock(&line->lock);
	r = begin(line, key, request, ret, err);
	pthread_mutex_unlock(&line->lock);
	if (r == 0)
		client_line_hold(line);
	return r;
}

bool client_shared_poll(struct client_shared *shared)
{
	struct client_line *line = shared->line;
	bool answered;

	pthread_mutex_lock(&line->lock);
	answered = look(shared);
	if (!answered) {
		client_line_take_in(line);
		answered = look(shared);
	}
	pthread_mutex_unlock(&line->lock);
	return answered;
}

struct stopping {
	struct client_shared *shared;
	const atomic_bool *stop;
};

static bool is_done(void *userdata)
{
	const struct stopping *s = userdata;

	return look(s->shared) || (s->stop && atomic_load(s->stop));
}

int client_shared_await(struct client_shared *shared, int64_t deadline_ms, const atomic_bool *stop,
	struct error *err)
{
	struct stopping s = { shared, stop };
	struct client_line *line = shared->line;
	bool answered;
	int r;

	pthread_mutex_lock(&line->lock);
	r = client_line_await(line, is_done, &s, deadline_ms);
	answered = look(shared);
	pthread_mutex_unlock(&line->lock);
	if (answered)
		return 0;
	return r == -ETIMEDOUT ? error_set(err, CODE_DEADLINE_EXCEEDED, "not yet")
			       : error_set(err, CODE_CANCELLED, "was cancelled");
}

void client_shared_wake(struct client_shared *shared)
{
	pthread_mutex_lock(&shared->line->lock);
	client_line_wake(shared->line);
	pthread_mutex_unlock(&shared->line->lock);
}

int client_shared_answer(
	struct client_shared *shared, const ProtobufCMessage **ret, struct error *err)
{
	int r;

	pthread_mutex_lock(&shared->line->lock);
	r = (int)shared->why.code;
	if (r != 0)
		error_set(err, shared->why.code, "%s", error_message(&shared->why));
	else
		*ret = shared->answer;
	pthread_mutex_unlock(&shared->line->lock);
	return r;
}

int client_shared_fd(const struct client_shared *shared)
{
	return client_line_fd(shared->line);
}

void client_shared_drop(struct client_shared *shared)
{
	struct client_line *line;

	if (!shared)
		return;
	line = shared->line;
	pthread_mutex_lock(&line->lock);
	if (--shared->n_users == 0 && shared->answered)
		shared_free(shared);
	pthread_mutex_unlock(&line->lock);
	client_line_drop(line);
}

void client_shared_observe(struct client_shared *shared, struct client_observer *observer)
{
	pthread_mutex_lock(&shared->line->lock);
	list_init(&observer->line_link);
	list_append(&shared->line->observers, &observer->line_link);
	pthread_mutex_unlock(&shared->line->lock);
}

void client_shared_unobserve(struct client_shared *shared, struct client_observer *observer)
{
	pthread_mutex_lock(&shared->line->lock);
	list_unlink(&observer->line_link);
	pthread_mutex_unlock(&shared->line->lock);
}
