/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle as a container's folder: whose lock it is, what stays in it, and what a new shim refuses. */
#include "common/state_bundle.h"

#include <sys/file.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

static struct state_dir create(const char *bundle)
{
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_ok(state_bundle_create(bundle, "ns", "c1", &dir, &err), &err);
	return dir;
}

static void assert_refused(const char *bundle, enum code code, const char *sentence)
{
	struct state_dir dir = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_error(state_bundle_create(bundle, "ns", "c1", &dir, &err), &err, code, sentence);
	assert_int_equal(dir.fd, -1);
}

static void test_names(void **state)
{
	struct bed *bed = *state;
	struct state_dir dir = create(bed->path);

	assert_null(dir.root);
	assert_string_equal(dir.ns, "ns");
	assert_string_equal(dir.id, "c1");
	assert_string_equal(dir.path, bed->path);
	state_dir_close(&dir);
}

static void test_bad_bundles(void **state)
{
	struct bed *bed = *state;
	char path[128];

	assert_refused(
		"relative", CODE_INVALID_ARGUMENT, "bundle \"relative\" is not an absolute path");
	snprintf(path, sizeof(path), "%s/none", bed->path);
	assert_refused(path, CODE_NOT_FOUND, NULL);
	assert_int_equal(symlinkat(bed->path, bed->dir, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", bed->path);
	assert_refused(path, CODE_INVALID_ARGUMENT, NULL);
}

/* One shim to a bundle, whoever asks; a reader is told apart. */
static void test_lock(void **state)
{
	struct bed *bed = *state;
	struct state_dir dir = create(bed->path), reader = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	assert_refused(bed->path, CODE_ALREADY_EXISTS, "container c1: its shim is alive");
	assert_ok(state_bundle_open(bed->path, "ns", "c1", &reader, &err), &err);
	assert_true(state_dir_is_locked(&reader));
	assert_error(state_dir_lock(&reader, &err), &err, CODE_FAILED_PRECONDITION, NULL);
	state_dir_close(&dir);
	assert_false(state_dir_is_locked(&reader));
	assert_ok(state_dir_lock(&reader, &err), &err);
	assert_refused(bed->path, CODE_ALREADY_EXISTS, NULL);
	state_dir_close(&reader);
}

static void test_adopt(void **state)
{
	struct bed *bed = *state;
	struct state_dir dir = create(bed->path), shim = STATE_DIR_INIT;
	struct error err = ERROR_INIT;
	int lock_fd = dup(dir.lock_fd), other;

	assert_ok(state_bundle_adopt(bed->path, "ns", "c1", lock_fd, &shim, &err), &err);
	assert_int_equal(shim.lock_fd, lock_fd);
	assert_true(fcntl(lock_fd, F_GETFD) & FD_CLOEXEC);
	state_dir_close(&dir);
	assert_refused(bed->path, CODE_ALREADY_EXISTS, NULL);
	state_dir_close(&shim);
	/* not its own lock, and one that is not locked */
	write_text(bed->dir, "other", "");
	other = openat(bed->dir, "other", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_EX), 0);
	assert_error(state_bundle_adopt(bed->path, "ns", "c1", other, &shim, &err), &err,
		CODE_INTERNAL, NULL);
	other = openat(bed->dir, "lock", O_RDWR | O_CLOEXEC);
	assert_error(state_bundle_adopt(bed->path, "ns", "c1", other, &shim, &err), &err,
		CODE_INTERNAL, NULL);
}

/* What is not ours stays, and the ledger, for who asks later how it ended. */
static void test_clear(void **state)
{
	static const char *const ours[] = { "init.pid", "shim.json", "state.json" };
	static const char *const others[] = { "config.json", "exits.jsonl", "address", "lock" };
	struct bed *bed = *state;
	struct state_dir dir = create(bed->path);
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < 3; i++)
		write_text(bed->dir, ours[i], "x");
	for (size_t i = 0; i < 3; i++)
		write_text(bed->dir, others[i], "x");
	assert_ok(state_dir_remove(&dir, &err), &err);
	assert_int_equal(dir.fd, -1);
	for (size_t i = 0; i < 3; i++)
		assert_false(is_there(bed->dir, ours[i]));
	for (size_t i = 0; i < 4; i++)
		assert_true(is_there(bed->dir, others[i]));
	state_dir_close(&dir);
	/* and what is not there is not missed */
	dir = create(bed->path);
	assert_false(is_there(bed->dir, "exits.jsonl")); /* of the container before */
	assert_ok(state_dir_remove(&dir, &err), &err);
	state_dir_close(&dir);
}

static void test_not_the_holder(void **state)
{
	struct bed *bed = *state;
	struct state_dir reader = STATE_DIR_INIT;
	struct error err = ERROR_INIT;

	write_text(bed->dir, "state.json", "x");
	assert_ok(state_bundle_open(bed->path, "ns", "c1", &reader, &err), &err);
	assert_error(state_dir_remove(&reader, &err), &err, CODE_FAILED_PRECONDITION,
		"container c1: not locked by us");
	assert_true(is_there(bed->dir, "state.json"));
	state_dir_close(&reader);
}

static void test_orphan_in_it(void **state)
{
	struct bed *bed = *state;

	write_text(bed->dir, "state.json", "{}");
	write_text(bed->dir, "exits.jsonl", "x");
	assert_refused(bed->path, CODE_FAILED_PRECONDITION,
		"container c1: its shim is dead and it has not been deleted yet");
	assert_true(is_there(bed->dir, "exits.jsonl"));
}

/* The client may remove the bundle while a shim is in it, and make another one of that name. */
static void test_gone_under_us(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	struct state_dir dir;
	char path[128], moved[128];

	snprintf(path, sizeof(path), "%s/bundle", bed->path);
	snprintf(moved, sizeof(moved), "%s/moved", bed->path);
	assert_int_equal(mkdir(path, 0700), 0);
	dir = create(path);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	write_text(bed->dir, "bundle/state.json", "another's");
	write_text(bed->dir, "moved/state.json", "ours");
	assert_ok(state_dir_remove(&dir, &err), &err);
	assert_false(is_there(bed->dir, "moved/state.json"));
	assert_true(is_there(bed->dir, "bundle/state.json"));
	state_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_names),
		bed_test(test_bad_bundles),
		bed_test(test_lock),
		bed_test(test_adopt),
		bed_test(test_clear),
		bed_test(test_not_the_holder),
		bed_test(test_orphan_in_it),
		bed_test(test_gone_under_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
