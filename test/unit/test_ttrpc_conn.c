/* SPDX-License-Identifier: Apache-2.0 */
/* A connection on a loop: what is queued, what is bounded, and when it is over. */
#include "common/ttrpc_conn.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/limits.h"
#include "test/unit/ttrpc_raw.h"

struct fixture {
	struct event_base *base;
	struct ttrpc_conn conn;
	int theirs;
	size_t n_frames, n_written, n_ended;
	size_t n_answer; /* bytes sent back for each frame */
	size_t break_at; /* frames; 0: never */
	bool watch;	 /* note when the first answer has arrived */
	int n_early;	 /* its bytes, then */
	bool refill;	 /* send again whenever the queue has moved */
	bool calling;	 /* a function of the connection is running, outside of the loop */
};

static struct fixture *fixture_of(struct ttrpc_conn *conn)
{
	return container_of(conn, struct fixture, conn);
}

static int send_bytes(struct fixture *f, size_t n)
{
	uint8_t *data = malloc(n);
	bool outside = !f->conn.dispatching;
	int r;

	memset(data, 'x', n);
	f->calling = outside;
	r = ttrpc_conn_send(&f->conn, data, n, NULL, 0);
	f->calling = false;
	free(data);
	return r;
}

static void on_frame(
	struct ttrpc_conn *conn, const struct ttrpc_header *header, const uint8_t *data)
{
	struct fixture *f = fixture_of(conn);

	(void)header;
	(void)data;
	assert_false(f->calling);
	f->n_frames++;
	if (f->n_answer > 0)
		send_bytes(f, f->n_answer);
	if (f->watch && f->n_early == 0)
		assert_int_equal(ioctl(f->theirs, FIONREAD, &f->n_early), 0);
	if (f->break_at > 0 && f->n_frames == f->break_at)
		ttrpc_conn_break(conn);
}

static void on_written(struct ttrpc_conn *conn)
{
	struct fixture *f = fixture_of(conn);

	assert_false(f->calling);
	f->n_written++;
	while (f->refill && conn->queued == 0 && send_bytes(f, 10000) == 0)
		;
}

static void on_end(struct ttrpc_conn *conn)
{
	struct fixture *f = fixture_of(conn);

	assert_false(f->calling);
	f->n_ended++;
	ttrpc_conn_deinit(conn);
}

static const struct ttrpc_conn_ops ops = { on_frame, on_written, on_end };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->base = event_base_new();
	f->theirs = pair[1];
	assert_int_equal(ttrpc_conn_init(&f->conn, f->base, pair[0], &ops), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ttrpc_conn_deinit(&f->conn);
	ttrpc_conn_deinit(&f->conn); /* safe to repeat */
	fd_close(&f->theirs);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Reads n bytes on their side. */
static void drain(struct fixture *f, size_t n)
{
	uint8_t *data = malloc(n);

	assert_int_equal(
		raw_read(f->base, f->theirs, data, n, clock_monotonic_ms() + RAW_DEADLINE_MS),
		RAW_FRAME);
	free(data);
}

/* Fills the socket's own buffer, so that the queue holds all that follows. */
static size_t fill_socket(struct fixture *f)
{
	size_t n = 0;

	while (f->conn.queued == 0) {
		assert_int_equal(send_bytes(f, 4096), 0);
		n += 4096;
	}
	return n;
}

static void what_fits_is_sent_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_bytes(f, 1000), 0);
	assert_int_equal(f->conn.queued, 0);
	assert_true(ttrpc_conn_has_written(&f->conn, f->conn.accepted));
	drain(f, 1000);
	assert_int_equal(f->n_written, 0);
}

static void what_does_not_fit_waits_in_order(void **state)
{
	struct fixture *f = *state;
	size_t n_frames = 0;
	uint8_t frame[700];
	uint64_t position;

	while (f->conn.queued < (1 << 20)) {
		memset(frame, (int)(n_frames++ & 0xff), sizeof(frame));
		assert_int_equal(ttrpc_conn_send(&f->conn, frame, sizeof(frame), NULL, 0), 0);
	}
	position = f->conn.accepted;
	assert_false(ttrpc_conn_has_written(&f->conn, position));
	for (size_t i = 0; i < n_frames; i++) {
		assert_int_equal(raw_read(f->base, f->theirs, frame, sizeof(frame),
					 clock_monotonic_ms() + RAW_DEADLINE_MS),
			RAW_FRAME);
		assert_int_equal(frame[0], i & 0xff);
		assert_int_equal(frame[699], i & 0xff);
	}
	assert_true(f->n_written > 0);
	assert_true(ttrpc_conn_has_written(&f->conn, position));
	assert_int_equal(f->conn.queued, 0);
	assert_true(list_is_empty(&f->conn.queue));
	/* nothing is waited for any more: an idle loop sleeps */
	assert_false(event_pending(&f->conn.write_event, EV_WRITE, NULL));
}

static void the_queue_is_bounded(void **state)
{
	struct fixture *f = *state;

	fill_socket(f);
	assert_int_equal(send_bytes(f, LIMIT_QUEUED_REPLIES - f->conn.queued), 0);
	assert_int_equal(f->conn.queued, LIMIT_QUEUED_REPLIES);
	assert_false(f->conn.broken);
	turn(f);
	assert_int_equal(f->n_ended, 0);

	assert_int_equal(send_bytes(f, 1), -EPIPE);
	assert_true(f->conn.broken);
	assert_int_equal(f->n_ended, 0); /* from the loop only */
	turn(f);
	assert_int_equal(f->n_ended, 1);
	assert_int_equal(send_bytes(f, 1), -EPIPE);
	turn(f);
	assert_int_equal(f->n_ended, 1);
}

static void one_frame_far_above_the_bound_ends_it(void **state)
{
	struct fixture *f = *state;

	fill_socket(f);
	assert_int_equal(send_bytes(f, 3 * LIMIT_QUEUED_REPLIES), -EPIPE);
	turn(f);
	assert_int_equal(f->n_ended, 1);
}

static void a_peer_that_reads_again_makes_room(void **state)
{
	struct fixture *f = *state;
	size_t total = fill_socket(f), rest = LIMIT_QUEUED_REPLIES - f->conn.queued;

	assert_int_equal(send_bytes(f, rest), 0);
	total += rest;
	drain(f, total - 100);
	assert_int_equal(send_bytes(f, 4000000), 0);
	drain(f, 4000100);
	assert_false(f->conn.broken);
	assert_int_equal(f->n_ended, 0);
}

static void what_is_sent_from_on_written_follows(void **state)
{
	struct fixture *f = *state;
	size_t total = fill_socket(f);

	f->refill = true;
	/* each time the queue empties, on_written fills the socket anew */
	drain(f, total + 3000000);
	assert_true(f->n_written > 5);
	assert_true(f->conn.queued > 0);
	assert_true(event_pending(&f->conn.write_event, EV_WRITE, NULL));
}

static void answers_to_pipelined_frames_arrive(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	f->n_answer = 100;
	for (uint32_t i = 0; i < 1000; i++)
		raw_put(&b, 4, 2 * i + 1, TTRPC_REQUEST, 0, "ping", 4);
	assert_true(raw_send_buf(f->base, f->theirs, &b));
	drain(f, 100 * 1000);
	assert_int_equal(f->n_frames, 1000);
	assert_int_equal(f->conn.queued, 0);
	assert_null(f->conn.reader.body.data);
}

/* Answers to one read leave together, but many bytes of them begin to leave before its end. */
static void answers_are_held_together_up_to_a_point(void **state)
{
	struct fixture *f = *state;

	f->watch = true;
	for (size_t n = 100; n <= 60000; n += 59900) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		f->n_answer = n;
		for (uint32_t i = 0; i < 50; i++)
			raw_put(&b, 0, 2 * i + 1, TTRPC_REQUEST, 0, NULL, 0);
		assert_true(raw_send_buf(NULL, f->theirs, &b));
		event_base_loop(f->base, EVLOOP_ONCE);
		assert_int_equal(f->n_early > 0, n == 60000);
		drain(f, 50 * n);
		assert_int_equal(f->n_ended, 0);
	}
}

static void breaking_in_a_callback_ends_after_it(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	char byte;

	f->break_at = 2;
	for (uint32_t i = 0; i < 5; i++)
		raw_put(&b, 0, 2 * i + 1, TTRPC_REQUEST, 0, NULL, 0);
	assert_true(raw_send_buf(NULL, f->theirs, &b));
	turn(f);
	assert_int_equal(f->n_frames, 2);
	assert_int_equal(f->n_ended, 1);
	assert_int_equal(
		raw_read(f->base, f->theirs, &byte, 1, clock_monotonic_ms() + RAW_DEADLINE_MS),
		RAW_EOF);
}

static void broken_bytes_end_it_but_answers_leave(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	f->n_answer = 50;
	raw_put(&b, 0, 1, TTRPC_REQUEST, 0, NULL, 0);
	raw_put(&b, 0, 3, TTRPC_REQUEST, 0, NULL, 0);
	assert_int_equal(buf_append(&b, "\xff", 1), 0);
	assert_true(raw_send_buf(NULL, f->theirs, &b));
	turn(f);
	assert_int_equal(f->n_ended, 1);
	drain(f, 100);
}

static void a_peer_that_leaves_ends_it(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->theirs);
	turn(f);
	assert_int_equal(f->n_ended, 1);
}

static void sending_to_one_that_left_raises_no_signal(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->theirs);
	assert_int_equal(send_bytes(f, 10), -EPIPE);
	assert_int_equal(f->n_ended, 0);
	turn(f);
	assert_int_equal(f->n_ended, 1);
}

static void half_closed_is_over(void **state)
{
	struct fixture *f = *state;

	shutdown(f->theirs, SHUT_WR);
	turn(f);
	assert_int_equal(f->n_ended, 1);
}

/* The descriptors are sent with the frame they belong to, also out of the queue. */
static void queued_descriptors_keep_their_frame(void **state)
{
	struct fixture *f = *state;
	int open_before = fd_count(), fd = f->theirs;
	size_t total = fill_socket(f), n_with = 0, at = 0;
	uint8_t data[300];

	for (int i = 0; i < 3; i++) {
		memset(data, 'a', sizeof(data));
		assert_int_equal(ttrpc_conn_send(&f->conn, data, sizeof(data), NULL, 0), 0);
		memset(data, 'A' + i, sizeof(data));
		assert_int_equal(ttrpc_conn_send(&f->conn, data, sizeof(data), &fd, 1), 0);
	}
	assert_int_equal(fd_count(), open_before + 3); /* copies of its own */
	while (at < total + 1800) {
		char space[CMSG_SPACE(8 * sizeof(int))];
		uint8_t chunk[4096];
		struct iovec iov = { chunk, sizeof(chunk) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		msg.msg_control = space;
		msg.msg_controllen = sizeof(space);
		turn(f);
		n = recvmsg(f->theirs, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		assert_true(n > 0);
		at += (size_t)n;
		if (CMSG_FIRSTHDR(&msg)) {
			int came;

			memcpy(&came, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(came));
			close(came);
			/* all of its frame is the end of these bytes */
			assert_int_equal(chunk[n - 1], 'A' + (int)n_with);
			assert_int_equal(at, total + 600 * (n_with + 1));
			n_with++;
		}
	}
	assert_int_equal(n_with, 3);
	assert_int_equal(fd_count(), open_before);
}

static void queued_descriptors_are_closed_with_it(void **state)
{
	struct fixture *f = *state;
	int open_before = fd_count(), fd = f->theirs;

	fill_socket(f);
	assert_int_equal(ttrpc_conn_send(&f->conn, (const uint8_t *)"x", 1, &fd, 1), 0);
	assert_int_equal(fd_count(), open_before + 1);
	ttrpc_conn_deinit(&f->conn);
	assert_int_equal(fd_count(), open_before - 1);
}

/* One that floods does not keep another from its turn. */
static void a_round_of_the_loop_is_bounded(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (uint32_t i = 0; i < 10000; i++)
		raw_put(&b, 0, 2 * i + 1, TTRPC_REQUEST, 0, NULL, 0);
	assert_true(raw_send_buf(NULL, f->theirs, &b));
	event_base_loop(f->base, EVLOOP_ONCE);
	assert_in_range(f->n_frames, 1, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_fits_is_sent_at_once),
		TEST(what_does_not_fit_waits_in_order),
		TEST(the_queue_is_bounded),
		TEST(one_frame_far_above_the_bound_ends_it),
		TEST(a_peer_that_reads_again_makes_room),
		TEST(what_is_sent_from_on_written_follows),
		TEST(answers_to_pipelined_frames_arrive),
		TEST(answers_are_held_together_up_to_a_point),
		TEST(breaking_in_a_callback_ends_after_it),
		TEST(broken_bytes_end_it_but_answers_leave),
		TEST(a_peer_that_leaves_ends_it),
		TEST(sending_to_one_that_left_raises_no_signal),
		TEST(half_closed_is_over),
		TEST(queued_descriptors_keep_their_frame),
		TEST(queued_descriptors_are_closed_with_it),
		TEST(a_round_of_the_loop_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
