/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime binding over the real runtimes, without a shim: stats, events, tables, update with
 * runc; wait, checkpoint and restore with runsc. What cannot run here is told by its words: CRIU
 * where the kernel has it not, and crun, whose containers need a mount namespace of their own.
 * Subtle: this is no subreaper, since runsc waits until somebody has reaped its sandbox.
 */
#include "common/clock.h"
#include "common/resources.h"
#include "common/run.h"
#include "common/runtime.h"
#include "common/runtime_look.h"
#include "common/spawn.h"
#include "test/unit/unit.h"

#define BUSYBOX "/bin/busybox"
#define COUNTER                                                                                    \
	"i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo $i >/count; busybox sleep 0.05; done; exit 7"

struct box {
	struct bed *bed;
	struct runtime rt;
	char id[64], bundle[128];
};

static void write_bundle(struct bed *bed)
{
	static const char config[] =
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,"
		"\"gid\":0},\"args\":[\"/bin/busybox\",\"sh\",\"-c\",\"" COUNTER "\"],"
		"\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"},\"root\":{\"path\":\"rootfs\"},"
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"
		"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
		"{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"network\"}]}}";
	struct buf program = BUF_INIT;

	assert_int_equal(mkdirat(bed->dir, "bundle", 0700), 0);
	assert_int_equal(mkdirat(bed->dir, "bundle/rootfs", 0755), 0);
	assert_int_equal(mkdirat(bed->dir, "bundle/rootfs/bin", 0755), 0);
	assert_int_equal(mkdirat(bed->dir, "bundle/rootfs/proc", 0755), 0);
	write_text(bed->dir, "bundle/config.json", config);
	assert_int_equal(fd_read_file(AT_FDCWD, BUSYBOX, &program, 16u << 20), 0);
	write_file(bed->dir, "bundle/rootfs/bin/busybox", buf_head(&program), program.len, 0755);
	buf_deinit(&program);
}

/* false: it is not here. */
static bool open_box(struct box *b, struct bed *bed, const char *name)
{
	struct error err = ERROR_INIT;
	char root[128], *path = NULL;

	if (geteuid() != 0 || access(BUSYBOX, X_OK) < 0 || spawn_find_program(name, &path) < 0)
		return false;
	free(path);
	b->bed = bed;
	snprintf(b->id, sizeof(b->id), "cleat-%s", bed->path + strlen("/tmp/cleat-unit-"));
	for (char *c = b->id; *c; c++)
		if (*c == '_')
			*c = '0';
	snprintf(b->bundle, sizeof(b->bundle), "%s/bundle", bed->path);
	snprintf(root, sizeof(root), "%s/root", bed->path);
	assert_ok(runtime_init(&b->rt, name, NULL, root, 30000, &err), &err);
	write_bundle(bed);
	if (b->rt.kind == RUNTIME_RUNSC) {
		assert_ok(runtime_add_option(&b->rt, "platform=ptrace", &err), &err);
		assert_ok(runtime_add_option(&b->rt, "network=none", &err), &err);
		assert_ok(runtime_add_option(&b->rt, "ignore-cgroups", &err), &err);
	}
	return true;
}

static struct runtime_outcome call(struct box *b, struct runtime_request q, int code)
{
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;

	q.id = b->id;
	assert_ok(runtime_run(&b->rt, &q, &o, &err), &err);
	assert_error(runtime_judge(&b->rt, q.verb, &o, NULL, &err), &err, code, NULL);
	return o;
}

#define CALL(b, code, ...)                                                                         \
	do {                                                                                       \
		struct runtime_outcome o_ =                                                        \
			call((b), (struct runtime_request){ __VA_ARGS__ }, (code));                \
		runtime_outcome_deinit(&o_);                                                       \
	} while (0)

static int count(struct box *b)
{
	char *text;
	int n;

	if (!is_there(b->bed->dir, "bundle/rootfs/count"))
		return 0;
	text = read_text(b->bed->dir, "bundle/rootfs/count");
	n = atoi(text);
	free(text);
	return n;
}

/* The counter passes n, within 20 s. */
static void await_count(struct box *b, int n)
{
	int64_t end = clock_monotonic_ms() + 20000;

	while (count(b) <= n) {
		assert_true(clock_monotonic_ms() < end);
		usleep(10000);
	}
}

static void begin(struct box *b)
{
	CALL(b, CODE_OK, .verb = RUNTIME_CREATE, .bundle = b->bundle);
	CALL(b, CODE_OK, .verb = RUNTIME_START);
	await_count(b, 3);
}

static void close_box(struct box *b)
{
	CALL(b, CODE_OK, .verb = RUNTIME_DELETE, .force = true);
	runtime_deinit(&b->rt);
}

static struct runtime_stats stats(struct box *b)
{
	struct runtime_outcome o =
		call(b, (struct runtime_request){ .verb = RUNTIME_STATS }, CODE_OK);
	struct error err = ERROR_INIT;
	struct runtime_stats s;

	assert_ok(runtime_read_stats(&b->rt, &o.out, &s, &err), &err);
	assert_string_equal(s.id, b->id);
	runtime_outcome_deinit(&o);
	return s;
}

static bool two_events(const struct runtime_event *e, void *userdata)
{
	int *n = userdata;

	assert_int_equal(e->kind, RUNTIME_EVENT_STATS);
	return ++*n < 2;
}

static void check_events(struct box *b)
{
	const struct runtime_request q = {
		.verb = RUNTIME_EVENTS, .id = b->id, .interval_ms = 200
	};
	struct runtime_outcome o = RUNTIME_OUTCOME_INIT;
	struct error err = ERROR_INIT;
	bool stopped = false;
	int n = 0;

	assert_ok(runtime_follow(&b->rt, &q, two_events, &n, &o, &stopped, &err), &err);
	assert_true(stopped);
	assert_int_equal(n, 2);
	runtime_outcome_deinit(&o);
}

static void check_top(struct box *b)
{
	struct runtime_outcome o =
		call(b, (struct runtime_request){ .verb = RUNTIME_TOP }, CODE_OK);
	struct error err = ERROR_INIT;
	struct runtime_top t;

	assert_ok(runtime_read_top(&b->rt, &o.out, &t, &err), &err);
	assert_true(t.n_rows >= 1);
	assert_non_null(strstr(t.rows[0].v[t.headers.n - 1], "busybox"));
	runtime_top_deinit(&t);
	runtime_outcome_deinit(&o);
}

static void test_runc(void **state)
{
	static const char document[] = "{\"memory\":{\"limit\":104857600},\"later\":1}";
	struct error err = ERROR_INIT;
	struct runtime_stats s;
	char *checked = NULL;
	struct box b;

	if (!open_box(&b, *state, "runc"))
		skip();
	begin(&b);
	s = stats(&b);
	assert_true(s.cpu_ns > 0 && s.pids >= 1 && s.pids < 10);
	runtime_stats_deinit(&s);
	check_events(&b);
	check_top(&b);
	assert_ok(resources_parse(document, strlen(document), &checked, &err), &err);
	CALL(&b, CODE_OK, .verb = RUNTIME_UPDATE, .resources = "-", .input = checked);
	free(checked);
	s = stats(&b);
	assert_true(s.memory_limit == 104857600);
	runtime_stats_deinit(&s);
	close_box(&b);
}

static void check_wait(struct box *b, unsigned expected)
{
	struct runtime_outcome o =
		call(b, (struct runtime_request){ .verb = RUNTIME_WAIT }, CODE_OK);
	struct error err = ERROR_INIT;
	unsigned status = 999;

	assert_ok(runtime_read_wait(&b->rt, &o.out, &status, &err), &err);
	assert_int_equal(status, expected);
	runtime_outcome_deinit(&o);
}

/* The counter goes on where it was, not from the beginning. */
static void test_runsc(void **state)
{
	struct runtime_criu criu = { 0 };
	struct runtime_stats s;
	char image[128];
	struct box b;
	int reached;

	if (!open_box(&b, *state, "runsc"))
		skip();
	snprintf(image, sizeof(image), "%s/image", b.bed->path);
	criu.image_path = image;
	begin(&b);
	s = stats(&b);
	assert_true(s.pids >= 1 && s.memory > 0);
	runtime_stats_deinit(&s);
	check_events(&b);
	check_top(&b);
	await_count(&b, 20);
	CALL(&b, CODE_OK, .verb = RUNTIME_CHECKPOINT, .criu = &criu);
	reached = count(&b);
	assert_true(reached > 20);
	CALL(&b, CODE_OK, .verb = RUNTIME_DELETE);
	assert_int_equal(unlinkat(b.bed->dir, "bundle/rootfs/count", 0), 0);
	CALL(&b, CODE_OK, .verb = RUNTIME_RESTORE, .bundle = b.bundle, .criu = &criu,
		.detach = true);
	await_count(&b, 0);
	assert_true(count(&b) >= reached);
	/* it ends by itself some seconds later: who waits for what has ended learns nothing */
	check_wait(&b, 7);
	close_box(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_runc),
		bed_test(test_runsc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
