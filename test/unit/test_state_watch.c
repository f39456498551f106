/* SPDX-License-Identifier: Apache-2.0 */
/* Containers' folders as they come and go. */
#include "common/state_watch.h"

#include <errno.h>
#include <poll.h>

#include "common/cleanup.h"
#include "common/state_dir.h"
#include "test/unit/unit.h"

#define LOG_MAX 4096

struct heard {
	char text[LOG_MAX]; /* "+ns/id " and "-ns/id ", "[" and "]" around a rescan */
};

static void say(struct heard *h, const char *sign, const char *ns, const char *id)
{
	size_t n = strlen(h->text);

	snprintf(h->text + n, LOG_MAX - n, "%s%s/%s ", sign, ns, id);
}

static void on_folder(const char *ns, const char *id, void *userdata)
{
	say(userdata, "+", ns, id);
}

static void on_gone(const char *ns, const char *id, void *userdata)
{
	say(userdata, "-", ns, id);
}

static void on_rescan_begin(void *userdata)
{
	strcat(((struct heard *)userdata)->text, "[ ");
}

static void on_rescan_end(void *userdata)
{
	strcat(((struct heard *)userdata)->text, "] ");
}

static struct state_watch_handlers make_handlers(struct heard *h)
{
	return (struct state_watch_handlers){ on_folder, on_gone, on_rescan_begin, on_rescan_end,
		h };
}

static void begin(struct bed *bed, const char *ns, const struct state_watch_handlers *handlers,
	struct state_watch **ret)
{
	struct error err = ERROR_INIT;

	assert_ok(state_watch_new(bed->path, ns, handlers, ret, &err), &err);
}

static void dispatch(struct state_watch *w)
{
	struct pollfd p = { .fd = state_watch_fd(w), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	state_watch_dispatch(w);
}

static struct state_dir make(struct bed *bed, const char *ns, const char *id)
{
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_ok(state_prepare(bed->path, ns, &err), &err);
	assert_ok(state_dir_create(bed->path, ns, id, &dir, &err), &err);
	return dir;
}

static void drop(struct state_dir *dir)
{
	struct error err = ERROR_INIT;

	assert_ok(state_dir_remove(dir, &err), &err);
	state_dir_close(dir);
}

static void assert_heard(struct heard *h, const char *text)
{
	assert_string_equal(h->text, text);
	*h->text = '\0';
}

static void test_comes_and_goes(void **state)
{
	struct heard h = { "" };
	const struct state_watch_handlers handlers = make_handlers(&h);
	struct bed *bed = *state;
	struct state_dir early = make(bed, "default", "early"), late;
	struct state_watch *w;

	begin(bed, NULL, &handlers, &w);
	assert_heard(&h, "+default/early ");
	late = make(bed, "default", "late");
	dispatch(w);
	assert_heard(&h, "+default/late ");
	drop(&early);
	dispatch(w);
	assert_heard(&h, "-default/early ");
	drop(&late);
	dispatch(w);
	assert_heard(&h, "-default/late ");
	state_watch_free(w);
}

/* One of the same name is another container, and is told after the end of the first. */
static void test_again(void **state)
{
	struct heard h = { "" };
	const struct state_watch_handlers handlers = make_handlers(&h);
	struct bed *bed = *state;
	struct state_dir dir = make(bed, "default", "c");
	struct state_watch *w;

	begin(bed, NULL, &handlers, &w);
	drop(&dir);
	dir = make(bed, "default", "c");
	dispatch(w);
	assert_heard(&h, "+default/c -default/c +default/c ");
	drop(&dir);
	state_watch_free(w);
}

static void test_new_namespace(void **state)
{
	struct heard h = { "" };
	const struct state_watch_handlers handlers = make_handlers(&h);
	struct bed *bed = *state;
	struct state_watch *w;
	struct state_dir dir;

	begin(bed, NULL, &handlers, &w);
	dir = make(bed, "other", "c");
	dispatch(w);
	assert_heard(&h, "+other/c ");
	drop(&dir);
	dispatch(w);
	assert_heard(&h, "-other/c ");
	state_watch_free(w);
}

static void test_one_namespace(void **state)
{
	struct heard h = { "" };
	const struct state_watch_handlers handlers = make_handlers(&h);
	struct bed *bed = *state;
	struct state_dir mine, others;
	struct state_watch *w;

	begin(bed, "mine", &handlers, &w);
	others = make(bed, "others", "c");
	mine = make(bed, "mine", "c");
	dispatch(w);
	assert_heard(&h, "+mine/c ");
	drop(&mine);
	drop(&others);
	state_watch_free(w);
}

static void test_awaited(void **state)
{
	struct heard h = { "" };
	const struct state_watch_handlers handlers = make_handlers(&h);
	const struct shim_record record = {
		.pid = 1, .socket = (char *)"/s", .version = (char *)"0", .epoch = 1
	};
	struct error err = ERROR_INIT;
	struct bed *bed = *state;
	struct state_dir dir = make(bed, "default", "c");
	struct state_watch *w;

	begin(bed, NULL, &handlers, &w);
	*h.text = '\0';
	assert_int_equal(state_watch_await(w, "default", "c"), 0);
	assert_int_equal(state_watch_await(w, "default", "c"), 0);
	assert_int_equal(state_watch_await(w, "default", "none"), -ENOENT);
	assert_ok(shim_record_write(&dir, &record, &err), &err);
	dispatch(w);
	assert_heard(&h, "+default/c ");
	/* its shim writes it once: nobody looks any more */
	assert_ok(shim_record_write(&dir, &record, &err), &err);
	drop(&dir);
	dispatch(w);
	assert_heard(&h, "-default/c ");
	state_watch_free(w);
}

/* More than the kernel keeps for us. */
static void test_overflow(void **state)
{
	struct heard h = { "" };
	const struct state_watch_handlers handlers = make_handlers(&h);
	struct bed *bed = *state;
	struct state_dir dir = make(bed, "default", "c");
	char path[128], text[32] = "";
	struct state_watch *w;
	int fd, limit;

	fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	limit = atoi(text);
	begin(bed, NULL, &handlers, &w);
	*h.text = '\0';
	snprintf(path, sizeof(path), "%s/c/default/x", bed->path);
	for (int i = 0; i <= limit; i++) {
		/* names that are no ids, each a notice of its own */
		snprintf(path, sizeof(path), "%s/c/default/.%d", bed->path, i % 2);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_int_equal(rmdir(path), 0);
	}
	dispatch(w);
	assert_heard(&h, "[ +default/c ] ");
	drop(&dir);
	state_watch_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_comes_and_goes),
		bed_test(test_again),
		bed_test(test_new_namespace),
		bed_test(test_one_namespace),
		bed_test(test_awaited),
		bed_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
