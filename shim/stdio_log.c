/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Whose is what: a log's file and what is read of its sources are the thread's, from
 * stdio_log_start() until is_done; its flags are under the lock; all else is the loop's. The thread
 * allocates nothing (its own arena would stay), writes nothing to the shim's log, and has all signals
 * blocked: the loop's signalfd is to get them.
 *
 * Subtle: a source that has ended must leave the epoll set by name before it is closed: a terminal's
 * master has other descriptors, with which it would stay in it. And a log is stopped only after all that
 * epoll has told was looked at: none of that may lead to a log that was freed meanwhile.
 */
#include "shim/stdio_log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/list.h"
#include "common/log.h"

#define READ_MAX       ((size_t)64 << 10) /* a pipe's whole */
#define SMALL	       ((size_t)4096)	  /* up to which the thread keeps the memory it reads to */
#define STACK	       ((size_t)256 << 10)
#define KEEP_MS	       100 /* and how long what is more */
#define N_EVENTS       16
#define END_PATIENCE_S 2

struct source {
	struct stdio_log *log;
	const char *name;
	int fd; /* -1: none, or at its end */
	_Atomic uint64_t n_in, n_out;
	size_t n_carry;
	uint8_t carry[LIMIT_LOG_PART]; /* the beginning of a line */
};

struct stdio_log {
	struct list logs_link;
	struct stdio_logs *all;
	struct log_file file;
	struct source sources[STDIO_LOG_N];
	bool is_started; /* the loop's */
	/* under the lock */
	bool to_stop, is_done, is_told, is_released;
	struct log_gap_news news;
	char *path; /* for the log */
	void (*on_done)(void *userdata);
	void *userdata;
};

/* What the thread works with: mapped while it runs. */
struct workspace {
	uint8_t text[LIMIT_LOG_PART + READ_MAX];
	struct log_batch batch;
};

struct stdio_logs {
	struct event_base *base;
	pthread_mutex_t lock; /* the list for the thread, and flags of logs */
	struct list logs;
	bool is_running; /* the loop's */
	bool to_quit;	 /* under the lock */
	pthread_t thread;
	int epoll_fd, wake_fd, news_fd;
	struct event *news_event;
	struct workspace *workspace;
};

static void poke(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void unpoke(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/* --- the thread --- */

/* Passes on what the file has to tell. */
static void pass_news(struct stdio_log *log)
{
	struct log_gap_news *from = &log->file.news;

	if (!from->began && !from->ended && !from->rotation)
		return;
	pthread_mutex_lock(&log->all->lock);
	if (from->began && !log->news.began)
		log->news.began = from->began;
	if (from->rotation)
		log->news.rotation = from->rotation;
	log->news.ended |= from->ended;
	log->news.bytes += from->bytes;
	log->news.records += from->records;
	pthread_mutex_unlock(&log->all->lock);
	*from = (struct log_gap_news){ 0 };
	poke(log->all->news_fd);
}

/* Returns the bytes that are no whole record yet. */
static size_t write_records(
	struct source *s, struct log_batch *b, const uint8_t *text, size_t n, bool at_end)
{
	struct log_file *f = &s->log->file;
	bool must = false;

	log_batch_begin(b, f->format, s->name, clock_now());
	for (;;) {
		size_t used = log_batch_add(b, text, n, at_end, log_file_room(f), must);

		if (b->n_records == 0 && !b->is_full)
			return n;
		if (b->n_records == 0) {
			/* if it is larger than a file may be it has one of its own */
			log_file_rotate(f);
			must = true;
		} else {
			atomic_fetch_add_explicit(
				&s->n_out, log_file_write(f, b), memory_order_relaxed);
			must = false;
		}
		text += used;
		n -= used;
		log_batch_clear(b);
	}
}

static void close_source(struct source *s)
{
	if (s->fd < 0)
		return;
	epoll_ctl(s->log->all->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	fd_close(&s->fd);
}

/* The last thing that is done to a log here. */
static void finish(struct stdio_log *log)
{
	struct stdio_logs *all = log->all;

	for (int i = 0; i < STDIO_LOG_N; i++)
		if (log->sources[i].fd >= 0)
			return;
	log_file_close(&log->file);
	pass_news(log);
	pthread_mutex_lock(&all->lock);
	log->is_done = true;
	pthread_mutex_unlock(&all->lock);
	poke(all->news_fd); /* log may be freed already */
}

static void end_source(struct source *s)
{
	struct workspace *w = s->log->all->workspace;

	write_records(s, &w->batch, s->carry, s->n_carry, true);
	s->n_carry = 0;
	pass_news(s->log);
	close_source(s);
}

/* Whether memory was used that is better given back when there is nothing to do. */
static bool read_source(struct source *s)
{
	struct workspace *w = s->log->all->workspace;
	ssize_t n;
	size_t left, all;

	n = read(s->fd, w->text + s->n_carry, READ_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* EIO of a terminal's master: its last slave was closed, and everything has been read */
	if (n <= 0) {
		end_source(s);
		finish(s->log);
		return false;
	}
	atomic_fetch_add_explicit(&s->n_in, (uint64_t)n, memory_order_relaxed);
	memcpy(w->text, s->carry, s->n_carry);
	all = s->n_carry + (size_t)n;
	left = write_records(s, &w->batch, w->text, all, false);
	memcpy(s->carry, w->text + all - left, left);
	s->n_carry = left;
	pass_news(s->log);
	return (size_t)n > SMALL;
}

/* Stops what is to be stopped; false: the thread is to end. */
static bool look_at_flags(struct stdio_logs *all)
{
	struct list *pos;
	bool to_quit;

	for (;;) {
		struct stdio_log *log = NULL;

		pthread_mutex_lock(&all->lock);
		to_quit = all->to_quit;
		list_for_each (pos, &all->logs) {
			struct stdio_log *one = list_entry(pos, struct stdio_log, logs_link);

			if (one->to_stop && !one->is_done) {
				log = one;
				break;
			}
		}
		pthread_mutex_unlock(&all->lock);
		if (!log)
			return !to_quit;
		for (int i = 0; i < STDIO_LOG_N; i++)
			if (log->sources[i].fd >= 0)
				end_source(&log->sources[i]);
		finish(log);
	}
}

static void *run(void *userdata)
{
	struct stdio_logs *all = userdata;
	struct epoll_event events[N_EVENTS];
	bool used = false, goes_on = true;

	while (goes_on) {
		int n = epoll_wait(all->epoll_fd, events, N_EVENTS, used ? KEEP_MS : -1);
		bool woken = false;

		if (n == 0 && used) {
			madvise(all->workspace, sizeof(*all->workspace), MADV_DONTNEED);
			used = false;
		}
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				used |= read_source(events[i].data.ptr);
			else
				woken = true;
		}
		if (woken) {
			unpoke(all->wake_fd);
			goes_on = look_at_flags(all);
		}
	}
	return NULL;
}

/* --- the thread, from outside --- */

static void close_thread(struct stdio_logs *all)
{
	if (all->news_event)
		event_free(all->news_event);
	all->news_event = NULL;
	if (all->workspace)
		munmap(all->workspace, sizeof(*all->workspace));
	all->workspace = NULL;
	fd_close(&all->epoll_fd);
	fd_close(&all->wake_fd);
	fd_close(&all->news_fd);
}

static void news_dispatch(evutil_socket_t fd, short what, void *userdata);

static int prepare_thread(struct stdio_logs *all)
{
	struct epoll_event wake = { .events = EPOLLIN };
	void *p;

	all->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	all->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	all->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->epoll_fd < 0 || all->wake_fd < 0 || all->news_fd < 0 ||
		epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, all->wake_fd, &wake) < 0)
		return -errno;
	p = mmap(NULL, sizeof(*all->workspace), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	if (p == MAP_FAILED)
		return -errno;
	all->workspace = p;
	all->news_event =
		event_new(all->base, all->news_fd, EV_READ | EV_PERSIST, news_dispatch, all);
	return all->news_event && event_add(all->news_event, NULL) == 0 ? 0 : -ENOMEM;
}

/* With all signals blocked, which the thread keeps. */
static int create_thread(struct stdio_logs *all)
{
	pthread_attr_t attr;
	sigset_t every, before;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&every);
	pthread_sigmask(SIG_BLOCK, &every, &before);
	r = pthread_create(&all->thread, &attr, run, all);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static int begin_thread(struct stdio_logs *all)
{
	int r;

	if (all->is_running)
		return 0;
	all->to_quit = false;
	r = prepare_thread(all);
	if (r == 0)
		r = create_thread(all);
	all->is_running = r == 0;
	if (r < 0)
		close_thread(all);
	return r;
}

static void ask_to_quit(struct stdio_logs *all)
{
	pthread_mutex_lock(&all->lock);
	all->to_quit = true;
	pthread_mutex_unlock(&all->lock);
	poke(all->wake_fd);
}

/* It has nothing to do: it is in epoll_wait(), or on the way there. */
static void end_idle_thread(struct stdio_logs *all)
{
	if (!all->is_running)
		return;
	ask_to_quit(all);
	pthread_join(all->thread, NULL);
	all->is_running = false;
	close_thread(all);
}

/* --- the loop's side of a log --- */

/* Mapped, so that what is never used of it is never there. */
static struct stdio_log *log_alloc(void)
{
	void *p = mmap(NULL, sizeof(struct stdio_log), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void log_unmap(struct stdio_log *log)
{
	log_file_close(&log->file);
	free(log->path);
	munmap(log, sizeof(*log));
}

static void log_free(struct stdio_log *log)
{
	pthread_mutex_lock(&log->all->lock);
	list_unlink(&log->logs_link);
	pthread_mutex_unlock(&log->all->lock);
	for (int i = 0; i < STDIO_LOG_N; i++)
		fd_close(&log->sources[i].fd);
	log_unmap(log);
}

static void tell(const char *path, const struct log_gap_news *news)
{
	if (news->rotation)
		log_warn("a container's log cannot be rotated, the file is written on",
			F_STR("path", path), F_STR("error", strerror(news->rotation)));
	if (news->began)
		log_warn("a container's log cannot be written, output is being lost",
			F_STR("path", path), F_STR("error", strerror(news->began)));
	if (news->ended)
		log_warn("output was lost", F_STR("path", path),
			F_INT("bytes", (long long)news->bytes),
			F_INT("records", (long long)news->records));
}

/* A log of which there is something to tell; *ret_done: it is done, and that was not told. */
static struct stdio_log *next_news(
	struct stdio_logs *all, struct log_gap_news *ret_news, bool *ret_done)
{
	struct stdio_log *found = NULL;
	struct list *pos;

	pthread_mutex_lock(&all->lock);
	list_for_each (pos, &all->logs) {
		struct stdio_log *log = list_entry(pos, struct stdio_log, logs_link);

		*ret_news = log->news;
		*ret_done = log->is_done && !log->is_told;
		if (!*ret_done && !ret_news->began && !ret_news->ended && !ret_news->rotation)
			continue;
		log->news = (struct log_gap_news){ 0 };
		log->is_told |= *ret_done;
		found = log;
		break;
	}
	pthread_mutex_unlock(&all->lock);
	return found;
}

static bool has_unfinished(struct stdio_logs *all)
{
	struct list *pos;

	/* is_told is set here, by us */
	list_for_each (pos, &all->logs)
		if (!list_entry(pos, struct stdio_log, logs_link)->is_told)
			return true;
	return false;
}

static void news_dispatch(evutil_socket_t fd, short what, void *userdata)
{
	struct stdio_logs *all = userdata;
	struct log_gap_news news;
	struct stdio_log *log;
	bool done;

	(void)what;
	unpoke(fd);
	while ((log = next_news(all, &news, &done))) {
		tell(log->path, &news);
		if (!done)
			continue;
		if (log->is_released)
			log_free(log);
		else
			log->on_done(log->userdata); /* may release it */
	}
	if (!has_unfinished(all))
		end_idle_thread(all);
}

int stdio_log_new(struct stdio_logs *all, const struct log_file_options *options,
	void (*on_done)(void *userdata), void *userdata, struct stdio_log **ret, struct error *err)
{
	static const char *const names[STDIO_LOG_N] = { "stdout", "stderr" };
	struct stdio_log *log = log_alloc();
	int r;

	if (!log)
		return error_errno(err, -ENOMEM, "log");
	log->file = LOG_FILE_INIT;
	log->path = strdup(options->path);
	r = log->path ? log_file_open(options, &log->file, err) : error_errno(err, -ENOMEM, "log");
	if (r == 0) {
		r = begin_thread(all);
		if (r < 0)
			r = error_errno(err, r, "a thread for logs");
	}
	if (r != 0) {
		log_unmap(log);
		return r;
	}
	log->all = all;
	log->on_done = on_done;
	log->userdata = userdata;
	for (int i = 0; i < STDIO_LOG_N; i++) {
		log->sources[i].log = log;
		log->sources[i].name = names[i];
		log->sources[i].fd = -1;
	}
	pthread_mutex_lock(&all->lock);
	list_append(&all->logs, &log->logs_link);
	pthread_mutex_unlock(&all->lock);
	*ret = log;
	return 0;
}

void stdio_log_add(struct stdio_log *log, int which, int fd_take)
{
	log->sources[which].fd = fd_take;
}

int stdio_log_start(struct stdio_log *log)
{
	log->is_started = true;
	for (int i = 0; i < STDIO_LOG_N; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &log->sources[i] };

		if (log->sources[i].fd >= 0 && epoll_ctl(log->all->epoll_fd, EPOLL_CTL_ADD,
						       log->sources[i].fd, &event) < 0)
			return -errno;
	}
	return 0;
}

bool stdio_log_is_done(const struct stdio_log *log)
{
	bool is_done;

	pthread_mutex_lock(&log->all->lock);
	is_done = log->is_done;
	pthread_mutex_unlock(&log->all->lock);
	return is_done;
}

void stdio_log_get_counters(
	const struct stdio_log *log, int which, uint64_t *ret_in, uint64_t *ret_out)
{
	*ret_in = atomic_load_explicit(&log->sources[which].n_in, memory_order_relaxed);
	*ret_out = atomic_load_explicit(&log->sources[which].n_out, memory_order_relaxed);
}

void stdio_log_stop(struct stdio_log *log)
{
	pthread_mutex_lock(&log->all->lock);
	log->to_stop = true;
	pthread_mutex_unlock(&log->all->lock);
	if (log->all->is_running)
		poke(log->all->wake_fd);
}

void stdio_log_release(struct stdio_log *log)
{
	if (!log)
		return;
	log->is_released = true;
	if (log->is_told)
		log_free(log);
	else
		stdio_log_stop(log);
}

/* --- all of them --- */

int stdio_logs_new(struct event_base *base, struct stdio_logs **ret)
{
	struct stdio_logs *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->base = base;
	all->epoll_fd = all->wake_fd = all->news_fd = -1;
	list_init(&all->logs);
	pthread_mutex_init(&all->lock, NULL);
	*ret = all;
	return 0;
}

/* Whether the thread has ended in time. */
static bool end_thread(struct stdio_logs *all)
{
	struct timespec until;

	if (!all->is_running)
		return true;
	ask_to_quit(all); /* it stops first what is to be stopped: all was released */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_PATIENCE_S;
	if (pthread_timedjoin_np(all->thread, NULL, &until) != 0)
		return false;
	all->is_running = false;
	return true;
}

void stdio_logs_free(struct stdio_logs *all)
{
	struct log_gap_news news;
	struct stdio_log *log;
	bool done;

	if (!all)
		return;
	if (!end_thread(all)) {
		log_warn("a container's log takes no more, and is left");
		return;
	}
	while ((log = next_news(all, &news, &done)))
		tell(log->path, &news);
	while (!list_is_empty(&all->logs))
		log_free(list_first(&all->logs, struct stdio_log, logs_link));
	close_thread(all);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
