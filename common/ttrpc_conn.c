/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Knows frames, not calls. Subtle: whoever is called back may end the connection,
 * so it is only marked then (broken), and on_end is the very last thing that one round of the loop
 * does with it.
 */
#include "common/ttrpc_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/fd.h"

#define BLOCK_MIN	 1024u	     /* small frames share a block */
#define IOV_COUNT	 16u	     /* blocks written at once */
#define WRITES_PER_ROUND 4u	     /* then others get their turn */
#define HOLD_MAX	 (64u << 10) /* answers held together are sent beyond this */

/* Bytes that wait; with descriptors it is one frame, which goes by itself (see ttrpc_reader.h). */
struct block {
	struct list block_link;
	size_t size, start, end; /* of data: allocated, written, filled */
	size_t n_fds;
	int fds[LIMIT_FRAME_FDS]; /* our own copies, until its first byte is written */
	uint8_t data[];
};

static void block_drop_fds(struct block *b)
{
	for (size_t i = 0; i < b->n_fds; i++)
		fd_close(&b->fds[i]);
	b->n_fds = 0;
}

static void block_free(struct block *b)
{
	list_unlink(&b->block_link);
	block_drop_fds(b);
	free(b);
}

static struct block *block_new(struct ttrpc_conn *conn, size_t n, bool alone)
{
	size_t size = n > BLOCK_MIN || alone ? n : BLOCK_MIN;
	struct block *b = malloc(sizeof(*b) + size);

	if (!b)
		return NULL;
	b->size = size;
	b->start = b->end = b->n_fds = 0;
	list_append(&conn->queue, &b->block_link);
	return b;
}

static int queue_bytes(struct ttrpc_conn *conn, const uint8_t *data, size_t n)
{
	struct block *b = NULL;

	if (n > LIMIT_QUEUED_REPLIES - conn->queued)
		return -ENOBUFS;
	if (!list_is_empty(&conn->queue))
		b = list_entry(conn->queue.prev, struct block, block_link);
	if (!b || b->size - b->end < n) /* one with descriptors has no room left */
		b = block_new(conn, n, false);
	if (!b)
		return -ENOMEM;
	memcpy(b->data + b->end, data, n);
	b->end += n;
	conn->queued += n;
	return 0;
}

static int queue_with_fds(
	struct ttrpc_conn *conn, const uint8_t *data, size_t n, const int *fds, size_t n_fds)
{
	struct block *b;

	if (n > LIMIT_QUEUED_REPLIES - conn->queued)
		return -ENOBUFS;
	b = block_new(conn, n, true);
	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < n_fds; i++) {
		b->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (b->fds[i] < 0) {
			int r = -errno;

			block_free(b);
			return r;
		}
		b->n_fds = i + 1;
	}
	memcpy(b->data, data, n);
	b->end = n;
	conn->queued += n;
	return 0;
}

ssize_t ttrpc_send_once(int fd, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(LIMIT_FRAME_FDS * sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov };
	ssize_t n;

	if (n_fds > LIMIT_FRAME_FDS)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* What goes into the next sendmsg: plain blocks together, one with descriptors alone. */
static size_t queue_gather(
	struct ttrpc_conn *conn, struct iovec iov[static IOV_COUNT], struct block **ret_with_fds)
{
	struct list *pos;
	size_t n = 0;

	*ret_with_fds = NULL;
	list_for_each (pos, &conn->queue) {
		struct block *b = list_entry(pos, struct block, block_link);

		if (n == IOV_COUNT || (n > 0 && b->n_fds > 0))
			break;
		iov[n++] = (struct iovec){ b->data + b->start, b->end - b->start };
		if (b->n_fds > 0) {
			*ret_with_fds = b;
			break;
		}
	}
	return n;
}

static void queue_consume(struct ttrpc_conn *conn, size_t n)
{
	conn->queued -= n;
	conn->written += n;
	while (n > 0) {
		struct block *b = list_first(&conn->queue, struct block, block_link);
		size_t here = b->end - b->start;

		if (n < here) {
			b->start += n;
			return;
		}
		n -= here;
		block_free(b);
	}
}

static bool conn_is_armed(const struct ttrpc_conn *conn)
{
	return event_initialized(&conn->write_event) &&
	       event_pending(&conn->write_event, EV_WRITE, NULL);
}

/* Waits for room exactly while something is queued. 0 or -ENOMEM. */
static int conn_arm(struct ttrpc_conn *conn)
{
	bool armed = conn_is_armed(conn);

	if (!event_initialized(&conn->write_event))
		return 0; /* without a loop whoever owns it waits */
	if (list_is_empty(&conn->queue))
		return armed ? event_del(&conn->write_event) : 0;
	return armed || event_add(&conn->write_event, NULL) == 0 ? 0 : -ENOMEM;
}

/* Writes what is queued. 0 (perhaps not all of it), or -errno. */
static int conn_flush(struct ttrpc_conn *conn)
{
	for (size_t i = 0; i < WRITES_PER_ROUND && !list_is_empty(&conn->queue); i++) {
		struct iovec iov[IOV_COUNT];
		struct block *with_fds;
		size_t n_iov = queue_gather(conn, iov, &with_fds);
		ssize_t n = ttrpc_send_once(conn->fd, iov, n_iov, with_fds ? with_fds->fds : NULL,
			with_fds ? with_fds->n_fds : 0);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return (int)n;
		if (with_fds)
			block_drop_fds(with_fds);
		queue_consume(conn, (size_t)n);
	}
	return conn_arm(conn);
}

/* Sends without queueing what the socket takes at once. Bytes sent, or -errno. */
static ssize_t conn_send_directly(
	struct ttrpc_conn *conn, const uint8_t *frame, size_t n, const int *fds, size_t n_fds)
{
	struct iovec iov = { (void *)frame, n };
	ssize_t sent;

	/* what is held together in this round is written at its end */
	if ((conn->dispatching && conn->reader.more) || !list_is_empty(&conn->queue))
		return 0;
	sent = ttrpc_send_once(conn->fd, &iov, 1, fds, n_fds);
	return sent == -EAGAIN ? 0 : sent;
}

static int conn_send(
	struct ttrpc_conn *conn, const uint8_t *frame, size_t n, const int *fds, size_t n_fds)
{
	ssize_t sent = conn_send_directly(conn, frame, n, fds, n_fds);
	int r;

	if (sent < 0)
		return (int)sent;
	conn->accepted += n;
	conn->written += (uint64_t)sent;
	if ((size_t)sent == n)
		return 0;
	if (sent == 0 && n_fds > 0)
		r = queue_with_fds(conn, frame, n, fds, n_fds);
	else
		r = queue_bytes(conn, frame + sent, n - (size_t)sent);
	if (r < 0)
		return r;
	/* a round of the loop writes when it is over what was held together in it */
	if (conn->dispatching && conn->queued < HOLD_MAX)
		return 0;
	return conn_is_armed(conn) ? 0 : conn_flush(conn);
}

int ttrpc_conn_send(
	struct ttrpc_conn *conn, const uint8_t *frame, size_t n, const int *fds, size_t n_fds)
{
	if (conn->broken)
		return -EPIPE;
	if (conn_send(conn, frame, n, fds, n_fds) < 0) {
		ttrpc_conn_break(conn);
		return -EPIPE;
	}
	return 0;
}

void ttrpc_conn_break(struct ttrpc_conn *conn)
{
	if (conn->broken)
		return;
	conn->broken = true;
	if (!event_initialized(&conn->write_event))
		return;
	event_del(&conn->write_event);
	if (!conn->dispatching)
		event_active(&conn->read_event, EV_READ, 0);
}

int ttrpc_conn_flush(struct ttrpc_conn *conn)
{
	int r = conn->broken ? -EPIPE : conn_flush(conn);

	if (r < 0)
		ttrpc_conn_break(conn);
	return r;
}

static int conn_on_frame(const struct ttrpc_header *header, const uint8_t *data, void *userdata)
{
	struct ttrpc_conn *conn = userdata;

	conn->ops->on_frame(conn, header, data);
	return conn->broken;
}

static void conn_read(struct ttrpc_conn *conn)
{
	int r = ttrpc_reader_receive(&conn->reader, conn->fd, conn_on_frame, conn);

	if (r == 0 || r == TTRPC_READER_E_AGAIN || conn->broken)
		return;
	/* what was answered before the peer went wrong is still owed to it, if it takes it now */
	if (r == TTRPC_READER_E_BROKEN)
		conn_flush(conn);
	ttrpc_conn_break(conn);
}

/* before: what was written when the round began, in which a queue may have been written already. */
static void conn_write(struct ttrpc_conn *conn, uint64_t before)
{
	if (!list_is_empty(&conn->queue) && conn_flush(conn) < 0)
		ttrpc_conn_break(conn);
	else if (conn->written != before)
		conn->ops->on_written(conn);
}

static void conn_dispatch(struct ttrpc_conn *conn, short what)
{
	uint64_t before = conn->written;

	conn->dispatching = true;
	if (!conn->broken && what & EV_READ)
		conn_read(conn);
	if (!conn->broken &&
		(what & EV_WRITE || !event_pending(&conn->write_event, EV_WRITE, NULL)))
		conn_write(conn, before);
	/* what is written may have been answered by more */
	if (!conn->broken && conn_arm(conn) < 0)
		ttrpc_conn_break(conn);
	conn->dispatching = false;
	if (conn->broken)
		conn->ops->on_end(conn);
}

static void on_ready(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	conn_dispatch(userdata, what);
}

int ttrpc_conn_init(struct ttrpc_conn *conn, struct event_base *base, int fd_take,
	const struct ttrpc_conn_ops *ops)
{
	*conn = (struct ttrpc_conn){ .ops = ops, .fd = -1, .reader = TTRPC_READER_INIT };
	list_init(&conn->queue);
	if (base) {
		event_assign(
			&conn->read_event, base, fd_take, EV_READ | EV_PERSIST, on_ready, conn);
		event_assign(
			&conn->write_event, base, fd_take, EV_WRITE | EV_PERSIST, on_ready, conn);
		if (event_add(&conn->read_event, NULL) < 0)
			return -ENOMEM;
	}
	conn->fd = fd_take;
	return 0;
}

void ttrpc_conn_deinit(struct ttrpc_conn *conn)
{
	conn->broken = true;
	if (event_initialized(&conn->read_event)) {
		event_del(&conn->read_event);
		event_del(&conn->write_event);
	}
	fd_close(&conn->fd);
	while (!list_is_empty(&conn->queue))
		block_free(list_first(&conn->queue, struct block, block_link));
	conn->queued = 0;
	ttrpc_reader_deinit(&conn->reader);
}
