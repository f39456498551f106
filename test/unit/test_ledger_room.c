/* SPDX-License-Identifier: Apache-2.0 */
/* Room for exits: what was promised is there on a full disk too, what is not used is given back. */
#include "common/ledger.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "test/unit/ledger_bed.h"

/* A small disk of our own at "disk". -1 where we may not mount. */
static int mount_disk(struct bed *bed, const char *size)
{
	char path[128], options[32];

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return -1;
	assert_int_equal(mount("none", "/", "none", MS_REC | MS_PRIVATE, ""), 0);
	snprintf(path, sizeof(path), "%s/disk", bed->path);
	snprintf(options, sizeof(options), "size=%s", size);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, options), 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void unmount_disk(struct bed *bed, int disk)
{
	char path[128];

	close(disk);
	snprintf(path, sizeof(path), "%s/disk", bed->path);
	assert_int_equal(umount(path), 0);
}

/* Not a byte is left for anybody. */
static void fill(int disk)
{
	int fd = openat(disk, "filler", O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
	char page[4096] = { 0 };

	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static void drain(int disk)
{
	assert_int_equal(unlinkat(disk, "filler", 0), 0);
}

static void test_full_disk(void **state)
{
	struct bed *bed = *state;
	int disk = mount_disk(bed, "128k"), r = 0;
	struct error err = ERROR_INIT;
	struct ledger *l;
	size_t n = 50;

	if (disk < 0)
		skip();
	l = open_ledger(disk);
	for (size_t i = 0; i < n; i++)
		reserve(l);
	fill(disk);
	/* room may be left in the last page, then no process is started any more */
	while (n < 1000 && (r = ledger_reserve(l, &err)) == 0)
		n++;
	assert_error(r, &err, CODE_RESOURCE_EXHAUSTED,
		"exit ledger exits.jsonl: no room for one more exit: No space left on device");
	assert_true(n < 50 + 4096 / LINE_ROOM);
	/* but of those that were started no exit is lost */
	for (size_t i = 0; i < n; i++) {
		char id[LIMIT_ID + 1];
		struct exit_entry e = entry(id, (pid_t)i + 1);

		memset(id, 'x', LIMIT_ID);
		id[LIMIT_ID] = '\0';
		assert_int_equal(ledger_append(l, &e), 0);
	}
	assert_int_equal(count_entries(disk), n);
	/* and once there is room again, life goes on */
	drain(disk);
	record(l, "later", 999);
	assert_true(has_entry(disk, "later", 999));
	ledger_free(l);
	unmount_disk(bed, disk);
}

/* Nothing was reserved and nothing is left: an error, and no half of a line. */
static void test_full_disk_without_a_promise(void **state)
{
	struct bed *bed = *state;
	int disk = mount_disk(bed, "64k"), written = 0, r = 0;
	struct ledger *l;

	if (disk < 0)
		skip();
	l = open_ledger(disk);
	fill(disk);
	while (r == 0 && written < 1000) {
		const struct exit_entry e = entry("a", 1);

		r = ledger_append(l, &e);
		written += r == 0;
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(count_entries(disk), written);
	drain(disk);
	record(l, "b", 2);
	assert_int_equal(count_entries(disk), written + 1);
	assert_true(has_entry(disk, "b", 2));
	ledger_free(l);
	unmount_disk(bed, disk);
}

/* An exit that could not be written has used its reservation up: the file does not grow by it. */
static void test_failed_write_gives_its_room_back(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	const struct exit_entry e = entry("a", 1);
	struct rlimit limit, none;
	struct stat before, after;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	reserve(l);
	ledger_unreserve(l);
	assert_int_equal(fstatat(bed->dir, "exits.jsonl", &before, 0), 0);
	for (int i = 0; i < 64; i++) {
		reserve(l);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
		assert_int_equal(ledger_append(l, &e), -EFBIG);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	}
	assert_int_equal(fstatat(bed->dir, "exits.jsonl", &after, 0), 0);
	assert_int_equal(after.st_blocks, before.st_blocks);
	record(l, "b", 2);
	assert_true(has_entry(bed->dir, "b", 2));
	ledger_free(l);
}

/* The promise of room is carried over to the new file. */
static void test_rewrite_keeps_the_promise(void **state)
{
	struct bed *bed = *state;
	int disk = mount_disk(bed, "1m");
	struct ledger *l;
	struct stat before, after;

	if (disk < 0)
		skip();
	l = open_ledger(disk);
	record(l, "", 77);
	for (int i = 0; i < 100; i++)
		reserve(l);
	assert_int_equal(fstatat(disk, "exits.jsonl", &before, 0), 0);
	do {
		probe(l, 1000);
		assert_int_equal(fstatat(disk, "exits.jsonl", &after, 0), 0);
	} while (after.st_ino == before.st_ino);
	fill(disk);
	for (int i = 0; i < 100; i++) {
		const struct exit_entry e = entry("promised", i + 1);

		assert_int_equal(ledger_append(l, &e), 0);
	}
	assert_true(has_entry(disk, "", 77));
	assert_true(has_entry(disk, "promised", 100));
	ledger_free(l);
	unmount_disk(bed, disk);
}

/* No room for a new file: the old one goes on, and shrinks when it can. */
static void test_rewrite_on_a_full_disk(void **state)
{
	struct bed *bed = *state;
	int disk = mount_disk(bed, "1m");
	struct ledger *l;
	size_t n;

	if (disk < 0)
		skip();
	l = open_ledger(disk);
	record(l, "", 77);
	while (size_of(disk) < LIMIT_LEDGER - 4096)
		probe(l, 1000);
	for (int i = 0; i < 50; i++)
		reserve(l);
	n = count_entries(disk);
	fill(disk);
	for (int i = 0; i < 50; i++) {
		const struct exit_entry e = entry("full", i + 1);

		assert_int_equal(ledger_append(l, &e), 0);
	}
	assert_true(size_of(disk) > LIMIT_LEDGER);
	assert_int_equal(count_entries(disk), n + 50);
	assert_int_equal(count_names(disk, "."), 2); /* ledger and filler: no half-made file */
	drain(disk);
	for (int i = 0; i < 1000; i++)
		probe(l, 1000);
	assert_true(size_of(disk) < LIMIT_LEDGER);
	assert_true(has_entry(disk, "", 77));
	assert_true(has_entry(disk, "full", 1));
	assert_true(has_entry(disk, "full", 50));
	ledger_free(l);
	unmount_disk(bed, disk);
}

static void test_reservations_given_back(void **state)
{
	struct bed *bed = *state;
	struct ledger *l = open_ledger(bed->dir);
	struct stat st;

	for (int i = 0; i < 10000; i++) {
		reserve(l);
		ledger_unreserve(l);
	}
	ledger_unreserve(l); /* one too many does no harm */
	assert_int_equal(fstatat(bed->dir, "exits.jsonl", &st, 0), 0);
	assert_true(st.st_blocks <= 16); /* of 512 bytes */
	record(l, "", 77);
	assert_int_equal(count_entries(bed->dir), 1);
	ledger_free(l);
	ledger_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_full_disk),
		bed_test(test_full_disk_without_a_promise),
		bed_test(test_failed_write_gives_its_room_back),
		bed_test(test_rewrite_keeps_the_promise),
		bed_test(test_rewrite_on_a_full_disk),
		bed_test(test_reservations_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
