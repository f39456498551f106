/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Never waits and never writes. Subtle: small frames are delivered straight from
 * the stack; a body that is longer than what came is collected on the heap, where further reads
 * then put it directly, never more than doubling what has really arrived: a length is only a
 * claim.
 */
#include "common/ttrpc_reader.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/fd.h"

#define SCRATCH_BYTES 8192u
#define READ_MAX      (256u << 10)

/* Descriptors that came with one read and have no frame yet. */
struct arrival {
	int fds[LIMIT_FRAME_FDS];
	size_t n_fds;
};

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
}

static void reader_drop_fds(struct ttrpc_reader *r)
{
	close_all(r->fds, r->n_fds);
	r->n_fds = 0;
}

void ttrpc_reader_deinit(struct ttrpc_reader *r)
{
	reader_drop_fds(r);
	buf_deinit(&r->body);
	*r = TTRPC_READER_INIT;
}

size_t ttrpc_reader_take_fds(struct ttrpc_reader *r, int ret[static LIMIT_FRAME_FDS])
{
	size_t n = r->n_fds;

	memcpy(ret, r->fds, n * sizeof(*ret));
	r->n_fds = 0;
	return n;
}

static void reader_claim(struct ttrpc_reader *r, struct arrival *came)
{
	memcpy(r->fds, came->fds, came->n_fds * sizeof(*r->fds));
	r->n_fds = (uint8_t)came->n_fds;
	came->n_fds = 0;
}

/*
 * There is room for LIMIT_FRAME_FDS descriptors and no more: the kernel closes those beyond
 * (MSG_CTRUNC, which it also sets when our own table is full). Who needs the missing ones will
 * say so by name.
 */
static void collect_fds(struct msghdr *msg, struct arrival *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (ret->n_fds < LIMIT_FRAME_FDS)
				ret->fds[ret->n_fds++] = fd;
			else
				fd_close(&fd);
		}
	}
}

static int reader_deliver(struct ttrpc_reader *r, const uint8_t *data, bool more,
	ttrpc_reader_fn on_frame, void *userdata)
{
	int stop;

	r->more = more;
	stop = on_frame(&r->header, r->oversized ? NULL : data, userdata);
	r->more = false;
	r->n_head = 0;
	buf_deinit(&r->body);
	reader_drop_fds(r);
	return stop ? TTRPC_READER_E_STOPPED : 0;
}

/* Takes header bytes. Afterwards the header is whole, or all bytes are used up. */
static int reader_feed_header(
	struct ttrpc_reader *r, const uint8_t **data, size_t *n, struct arrival *came)
{
	size_t take = TTRPC_HEADER - r->n_head;
	bool begins = r->n_head == 0;
	int s;

	if (take > *n)
		take = *n;
	memcpy(r->head + r->n_head, *data, take);
	r->n_head += (uint8_t)take;
	*data += take;
	*n -= take;

	s = ttrpc_header_decode(r->head, r->n_head, &r->header);
	if (s == TTRPC_FRAME_E_BROKEN)
		return TTRPC_READER_E_BROKEN;
	if (begins && (s == TTRPC_FRAME_E_PARTIAL || *n <= r->header.length))
		reader_claim(r, came);
	if (s != TTRPC_FRAME_E_PARTIAL) {
		r->left = r->header.length;
		r->oversized = s == TTRPC_FRAME_E_TOO_LARGE;
	}
	return 0;
}

/* Takes bytes of the body. ret_body: the whole body once it is complete. */
static int reader_feed_body(
	struct ttrpc_reader *r, const uint8_t **data, size_t *n, const uint8_t **ret_body)
{
	size_t take = *n < r->left ? *n : r->left;
	int s;

	*ret_body = *data;
	if (!r->oversized && (r->body.len > 0 || take < r->left)) {
		s = buf_append(&r->body, *data, take);
		if (s < 0)
			return s;
		*ret_body = buf_head(&r->body);
	}
	*data += take;
	*n -= take;
	r->left -= (uint32_t)take;
	return 0;
}

static int reader_feed(struct ttrpc_reader *r, const uint8_t *data, size_t n, struct arrival *came,
	ttrpc_reader_fn on_frame, void *userdata)
{
	for (;;) {
		const uint8_t *body;
		int s;

		if (r->n_head < TTRPC_HEADER) {
			if (n == 0)
				return 0;
			s = reader_feed_header(r, &data, &n, came);
			if (s != 0)
				return s;
			if (r->n_head < TTRPC_HEADER)
				return 0;
		}
		s = reader_feed_body(r, &data, &n, &body);
		if (s < 0)
			return s;
		if (r->left > 0)
			return 0;
		s = reader_deliver(r, body, n > 0, on_frame, userdata);
		if (s != 0)
			return s;
	}
}

/* Room on the heap for the body that is under way; 0 when none is. */
static int reader_reserve(struct ttrpc_reader *r, struct iovec *ret)
{
	size_t want = r->body.len < READ_MAX ? r->body.len : READ_MAX;

	if (want > r->left)
		want = r->left;
	*ret = (struct iovec){ NULL, 0 };
	if (r->body.len == 0)
		return 0;
	ret->iov_base = buf_reserve(&r->body, want);
	ret->iov_len = want;
	return ret->iov_base ? 0 : -ENOMEM;
}

/* n bytes have come: first to the heap's room, the rest to scratch. */
static int reader_take(struct ttrpc_reader *r, const struct iovec iov[static 2], size_t n,
	struct arrival *came, ttrpc_reader_fn on_frame, void *userdata)
{
	size_t direct = n < iov[0].iov_len ? n : iov[0].iov_len;
	int s;

	n -= direct;
	if (direct > 0) {
		buf_commit(&r->body, direct);
		r->left -= (uint32_t)direct;
		if (r->left == 0) {
			s = reader_deliver(r, buf_head(&r->body), n > 0, on_frame, userdata);
			if (s != 0)
				return s;
		}
	}
	if (n == 0)
		return 0;
	return reader_feed(r, iov[1].iov_base, n, came, on_frame, userdata);
}

int ttrpc_reader_receive(struct ttrpc_reader *r, int fd, ttrpc_reader_fn on_frame, void *userdata)
{
	uint8_t scratch[SCRATCH_BYTES];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(LIMIT_FRAME_FDS * sizeof(int))];
	} control;
	struct iovec iov[2] = { { NULL, 0 }, { scratch, sizeof(scratch) } };
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct arrival came = { .n_fds = 0 };
	ssize_t n;
	int s;

	s = reader_reserve(r, &iov[0]);
	if (s < 0)
		return s;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return TTRPC_READER_E_AGAIN;
	if (n < 0)
		return errno == ECONNRESET ? TTRPC_READER_E_EOF : -errno;
	if (n == 0)
		return TTRPC_READER_E_EOF;
	collect_fds(&msg, &came);
	s = reader_take(r, iov, (size_t)n, &came, on_frame, userdata);
	close_all(came.fds, came.n_fds);
	return s;
}
