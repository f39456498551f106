/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from a socket, however they are cut, and whose the descriptors are. */
#include "common/ttrpc_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/limits.h"
#include "test/unit/ttrpc_raw.h"

struct got {
	struct ttrpc_header header;
	bool too_long;
	uint32_t sum; /* of the data's bytes */
	size_t n_fds;
	bool more;
};

struct fixture {
	int ours, theirs;
	struct ttrpc_reader reader;
	struct got *got;
	size_t n_got;
	size_t stop_after; /* frames; 0: never */
	bool keep_fds;	   /* leave them to the reader */
	int n_open;	   /* descriptors before anything came */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->ours = pair[0];
	f->theirs = pair[1];
	f->reader = TTRPC_READER_INIT;
	f->n_open = fd_count();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ttrpc_reader_deinit(&f->reader);
	assert_int_equal(fd_count(), f->n_open - (f->ours < 0) - (f->theirs < 0));
	fd_close(&f->ours);
	fd_close(&f->theirs);
	free(f->got);
	free(f);
	return 0;
}

static uint32_t sum(const uint8_t *data, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i++)
		s = s * 31 + data[i];
	return s;
}

static int on_frame(const struct ttrpc_header *header, const uint8_t *data, void *userdata)
{
	struct fixture *f = userdata;
	int fds[LIMIT_FRAME_FDS];
	struct got *g;

	f->got = realloc(f->got, (f->n_got + 1) * sizeof(*f->got));
	g = &f->got[f->n_got++];
	*g = (struct got){ .header = *header, .too_long = !data, .more = f->reader.more };
	if (data)
		g->sum = sum(data, header->length);
	if (f->keep_fds)
		return 0;
	g->n_fds = ttrpc_reader_take_fds(&f->reader, fds);
	for (size_t i = 0; i < g->n_fds; i++) {
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
	return f->stop_after > 0 && f->n_got >= f->stop_after;
}

static int receive(struct fixture *f)
{
	return ttrpc_reader_receive(&f->reader, f->ours, on_frame, f);
}

/* Reads until nothing is left or something else than 0 happens. */
static int receive_all(struct fixture *f)
{
	int r;

	do
		r = receive(f);
	while (r == 0);
	return r;
}

static void assert_idle(const struct fixture *f)
{
	assert_null(f->reader.body.data);
	assert_int_equal(f->reader.n_head, 0);
	assert_int_equal(f->reader.n_fds, 0);
}

static uint8_t *noise(size_t n)
{
	uint8_t *data = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	return data;
}

static void one_read_delivers_every_whole_frame(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 5; i++)
		raw_put(&b, i, 2 * i + 1, TTRPC_REQUEST, 0, "abcde", i);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), b.len));
	assert_int_equal(receive(f), 0);
	assert_int_equal(f->n_got, 5);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(f->got[i].header.length, i);
		assert_int_equal(f->got[i].header.stream, 2 * i + 1);
		assert_int_equal(f->got[i].sum, sum((const uint8_t *)"abcde", i));
		assert_int_equal(f->got[i].more, i < 4);
	}
	assert_int_equal(receive(f), TTRPC_READER_E_AGAIN);
	assert_idle(f);
}

static void bytes_may_come_one_at_a_time(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put(&b, 5, 1, TTRPC_REQUEST, 0, "hello", 5);
	raw_put(&b, 0, 3, TTRPC_REQUEST, 0, NULL, 0);
	raw_put(&b, 3, 5, TTRPC_REQUEST, 0, "end", 3);
	for (size_t i = 0; i < b.len; i++) {
		assert_true(raw_send(NULL, f->theirs, buf_head(&b) + i, 1));
		assert_int_equal(receive(f), 0);
		assert_int_equal(f->n_got, (i >= 14) + (i >= 24) + (i >= 37));
	}
	assert_int_equal(f->n_got, 3);
	assert_int_equal(f->got[0].sum, sum((const uint8_t *)"hello", 5));
	assert_int_equal(f->got[2].sum, sum((const uint8_t *)"end", 3));
	assert_idle(f);
}

/* Two frames, cut once at every place. */
static void a_cut_may_be_anywhere(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put(&b, 5, 1, TTRPC_REQUEST, 0, "hello", 5);
	raw_put(&b, 4, 3, TTRPC_REQUEST, 0, "more", 4);
	for (size_t cut = 1; cut < b.len; cut++) {
		size_t before = f->n_got;

		assert_true(raw_send(NULL, f->theirs, buf_head(&b), cut));
		assert_int_equal(receive(f), 0);
		assert_true(raw_send(NULL, f->theirs, buf_head(&b) + cut, b.len - cut));
		assert_int_equal(receive(f), 0);
		assert_int_equal(f->n_got, before + 2);
		assert_int_equal(f->got[before].sum, sum((const uint8_t *)"hello", 5));
		assert_int_equal(f->got[before + 1].sum, sum((const uint8_t *)"more", 4));
		assert_idle(f);
	}
}

/* Sends all of b, reading in between. */
static void send_and_receive(struct fixture *f, const uint8_t *data, size_t n)
{
	while (n > 0) {
		ssize_t done = send(f->theirs, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
		assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
	}
}

static void long_frames_arrive_whole(void **state)
{
	static const uint32_t lengths[] = { 8181, 8182, 8183, 65536, 1000003, LIMIT_FRAME_DATA };
	uint8_t *data = noise(LIMIT_FRAME_DATA);
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		f->n_got = 0;
		raw_put(&b, lengths[i], 1, TTRPC_REQUEST, 0, data, lengths[i]);
		raw_put(&b, 2, 3, TTRPC_REQUEST, 0, "ok", 2);
		send_and_receive(f, buf_head(&b), b.len);
		assert_int_equal(f->n_got, 2);
		assert_false(f->got[0].too_long);
		assert_int_equal(f->got[0].sum, sum(data, lengths[i]));
		assert_int_equal(f->got[1].sum, sum((const uint8_t *)"ok", 2));
		assert_idle(f);
	}
	free(data);
}

static void too_long_frames_are_skipped(void **state)
{
	static const uint32_t lengths[] = { LIMIT_FRAME_DATA + 1, LIMIT_FRAME_DATA + 8192,
		0x00ffffff };
	uint8_t *data = noise(0x00ffffff);
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		f->n_got = 0;
		raw_put(&b, lengths[i], 1, TTRPC_REQUEST, 0, data, lengths[i]);
		raw_put(&b, 2, 3, TTRPC_REQUEST, 0, "ok", 2);
		/* all but the last byte: nothing is said yet, and nothing is kept */
		send_and_receive(f, buf_head(&b), TTRPC_HEADER + lengths[i] - 1);
		assert_int_equal(f->n_got, 0);
		assert_null(f->reader.body.data);
		send_and_receive(f, buf_head(&b) + TTRPC_HEADER + lengths[i] - 1, 13);
		assert_int_equal(f->n_got, 2);
		assert_true(f->got[0].too_long);
		assert_int_equal(f->got[0].header.length, lengths[i]);
		assert_int_equal(f->got[0].header.stream, 1);
		assert_int_equal(f->got[1].sum, sum((const uint8_t *)"ok", 2));
		assert_idle(f);
	}
	free(data);
}

/* A length is only a claim: memory follows what has come. */
static void a_claimed_length_takes_no_memory(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put(&b, LIMIT_FRAME_DATA, 1, TTRPC_REQUEST, 0, "x", 1);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), b.len));
	assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
	assert_true(f->reader.body.size <= 512);
	assert_int_equal(f->n_got, 0);
}

static void a_single_read_is_bounded(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 4000; i++)
		raw_put(&b, 0, 2 * i + 1, TTRPC_REQUEST, 0, NULL, 0);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), b.len));
	assert_int_equal(receive(f), 0);
	assert_in_range(f->n_got, 1, 1000);
	assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
	assert_int_equal(f->n_got, 4000);
}

static void what_is_no_frame_is_told_at_its_first_byte(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put(&b, 2, 1, TTRPC_REQUEST, 0, "ok", 2);
	assert_int_equal(buf_append(&b, "\x01", 1), 0);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), b.len));
	assert_int_equal(receive(f), TTRPC_READER_E_BROKEN);
	assert_int_equal(f->n_got, 1);
}

static void the_end_is_told_after_what_came_before_it(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put(&b, 2, 1, TTRPC_REQUEST, 0, "ok", 2);
	raw_put(&b, 9, 3, TTRPC_REQUEST, 0, "half", 4);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), b.len));
	fd_close(&f->theirs);
	assert_int_equal(receive(f), 0);
	assert_int_equal(f->n_got, 1);
	assert_int_equal(receive(f), TTRPC_READER_E_EOF);
}

static void a_reset_is_an_end_too(void **state)
{
	struct fixture *f = *state;

	/* they close with our byte unread */
	assert_int_equal(send(f->ours, "x", 1, 0), 1);
	fd_close(&f->theirs);
	assert_int_equal(receive(f), TTRPC_READER_E_EOF);
}

static void delivery_stops_when_told(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	f->stop_after = 2;
	for (uint32_t i = 0; i < 5; i++)
		raw_put(&b, 0, 2 * i + 1, TTRPC_REQUEST, 0, NULL, 0);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), b.len));
	assert_int_equal(receive(f), TTRPC_READER_E_STOPPED);
	assert_int_equal(f->n_got, 2);
}

/* --- descriptors --- */

static bool send_frame_with(struct fixture *f, uint32_t stream, size_t n, size_t n_fds)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint8_t *data = noise(n);
	int fds[64];
	bool sent;

	for (size_t i = 0; i < n_fds; i++)
		fds[i] = f->theirs;
	raw_put(&b, (uint32_t)n, stream, TTRPC_REQUEST, 0, data, n);
	free(data);
	sent = raw_send_fds(f->theirs, buf_head(&b), b.len, fds, n_fds);
	return sent;
}

static void up_to_four_descriptors_come_with_a_frame(void **state)
{
	static const size_t sent[] = { 0, 1, 2, 4, 5, 6, 60 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sent) / sizeof(*sent); i++) {
		f->n_got = 0;
		assert_true(send_frame_with(f, 1, 5, sent[i]));
		assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
		assert_int_equal(f->n_got, 1);
		assert_int_equal(f->got[0].n_fds, sent[i] > 4 ? 4 : sent[i]);
		assert_int_equal(fd_count(), f->n_open);
	}
}

static void unclaimed_descriptors_are_closed(void **state)
{
	struct fixture *f = *state;

	f->keep_fds = true;
	assert_true(send_frame_with(f, 1, 5, 4));
	assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
	assert_int_equal(f->n_got, 1);
	assert_int_equal(fd_count(), f->n_open);
}

static void each_frame_gets_its_own_descriptors(void **state)
{
	static const struct {
		size_t length, n_fds;
	} sent[] = { { 3, 0 }, { 0, 1 }, { 7, 4 }, { 9, 0 }, { 20000, 2 }, { 9, 0 }, { 9, 0 },
		{ 60000, 3 }, { 0, 0 }, { 1, 2 } };
	const size_t n = sizeof(sent) / sizeof(*sent);
	struct fixture *f = *state;

	for (size_t i = 0; i < n; i++)
		assert_true(
			send_frame_with(f, (uint32_t)(2 * i + 1), sent[i].length, sent[i].n_fds));
	assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
	assert_int_equal(f->n_got, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(f->got[i].header.stream, 2 * i + 1);
		assert_int_equal(f->got[i].n_fds, sent[i].n_fds);
	}
}

/* They hang on the message's first byte, whenever the rest is sent or read. */
static void descriptors_wait_for_the_rest_of_their_frame(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int fds[2] = { f->theirs, f->theirs };

	raw_put(&b, 5, 1, TTRPC_REQUEST, 0, "hello", 5);
	raw_put(&b, 5, 3, TTRPC_REQUEST, 0, "other", 5);
	assert_true(raw_send_fds(f->theirs, buf_head(&b), 1, fds, 2));
	assert_int_equal(receive(f), 0);
	assert_int_equal(fd_count(), f->n_open + 2);
	for (size_t i = 1; i < b.len; i++) {
		assert_true(raw_send(NULL, f->theirs, buf_head(&b) + i, 1));
		assert_int_equal(receive(f), 0);
	}
	assert_int_equal(f->n_got, 2);
	assert_int_equal(f->got[0].n_fds, 2);
	assert_int_equal(f->got[1].n_fds, 0);
}

/* A sender of another mind: the last frame that begins in the bytes has them. */
static void descriptors_belong_to_the_last_frame_that_begins(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int fd = f->theirs;

	raw_put(&b, 5, 1, TTRPC_REQUEST, 0, "hello", 5);
	raw_put(&b, 5, 3, TTRPC_REQUEST, 0, "other", 5);
	assert_true(raw_send_fds(f->theirs, buf_head(&b), 18, &fd, 1));
	assert_true(raw_send(NULL, f->theirs, buf_head(&b) + 18, b.len - 18));
	assert_int_equal(receive_all(f), TTRPC_READER_E_AGAIN);
	assert_int_equal(f->n_got, 2);
	assert_int_equal(f->got[0].n_fds, 0);
	assert_int_equal(f->got[1].n_fds, 1);
}

static void descriptors_in_the_middle_of_a_frame_are_nobodys(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int fd = f->theirs;

	raw_put(&b, 5, 1, TTRPC_REQUEST, 0, "hello", 5);
	assert_true(raw_send(NULL, f->theirs, buf_head(&b), 12));
	assert_int_equal(receive(f), 0);
	assert_true(raw_send_fds(f->theirs, buf_head(&b) + 12, 3, &fd, 1));
	assert_int_equal(receive(f), 0);
	assert_int_equal(f->n_got, 1);
	assert_int_equal(f->got[0].n_fds, 0);
	assert_int_equal(fd_count(), f->n_open);
}

static void descriptors_of_a_skipped_frame_are_closed(void **state)
{
	uint8_t *data = noise(LIMIT_FRAME_DATA + 1);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;
	int fd = f->theirs;

	f->keep_fds = true;
	raw_put(&b, LIMIT_FRAME_DATA + 1, 1, TTRPC_REQUEST, 0, data, LIMIT_FRAME_DATA + 1);
	assert_true(raw_send_fds(f->theirs, buf_head(&b), 10, &fd, 1));
	send_and_receive(f, buf_head(&b) + 10, b.len - 10);
	assert_int_equal(f->n_got, 1);
	assert_true(f->got[0].too_long);
	assert_int_equal(fd_count(), f->n_open);
	free(data);
}

/* The end of a connection in the middle of a frame with descriptors: see teardown. */
static void descriptors_of_half_a_frame_are_closed_at_the_end(void **state)
{
	struct fixture *f = *state;
	int fd = f->theirs;

	assert_true(raw_send_fds(f->theirs, "\0\0", 2, &fd, 1));
	assert_int_equal(receive(f), 0);
	assert_int_equal(fd_count(), f->n_open + 1);
}

/* What this file's rule rests on: a read does not go on behind bytes that carried descriptors. */
static void linux_read_stops_behind_descriptors(void **state)
{
	struct fixture *f = *state;
	char space[CMSG_SPACE(sizeof(int))], data[64];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = f->theirs, came;

	assert_int_equal(send(f->theirs, "aa", 2, 0), 2);
	assert_true(raw_send_fds(f->theirs, "bb", 2, &fd, 1));
	assert_int_equal(send(f->theirs, "cc", 2, 0), 2);
	msg.msg_control = space;
	msg.msg_controllen = sizeof(space);
	assert_int_equal(recvmsg(f->ours, &msg, MSG_CMSG_CLOEXEC), 4);
	assert_memory_equal(data, "aabb", 4);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&came, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(came));
	close(came);
	assert_int_equal(recv(f->ours, data, sizeof(data), 0), 2);
	assert_memory_equal(data, "cc", 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_read_delivers_every_whole_frame),
		TEST(bytes_may_come_one_at_a_time),
		TEST(a_cut_may_be_anywhere),
		TEST(long_frames_arrive_whole),
		TEST(too_long_frames_are_skipped),
		TEST(a_claimed_length_takes_no_memory),
		TEST(a_single_read_is_bounded),
		TEST(what_is_no_frame_is_told_at_its_first_byte),
		TEST(the_end_is_told_after_what_came_before_it),
		TEST(a_reset_is_an_end_too),
		TEST(delivery_stops_when_told),
		TEST(up_to_four_descriptors_come_with_a_frame),
		TEST(unclaimed_descriptors_are_closed),
		TEST(each_frame_gets_its_own_descriptors),
		TEST(descriptors_wait_for_the_rest_of_their_frame),
		TEST(descriptors_belong_to_the_last_frame_that_begins),
		TEST(descriptors_in_the_middle_of_a_frame_are_nobodys),
		TEST(descriptors_of_a_skipped_frame_are_closed),
		TEST(descriptors_of_half_a_frame_are_closed_at_the_end),
		TEST(linux_read_stops_behind_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
