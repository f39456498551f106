/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's cgroup: found in the hierarchies of every kind of host (from their text), and
 * read, killed and removed in real groups of this host, under a name that nobody else has.
 *
 * no valgrind: 3.19 has no pidfd_open(2), by which these wait
 */
#include "shim/cgroup.h"
#include "shim/cgroup_places.h"

#include <errno.h>

#include "test/unit/own_group.h"

/* --- hosts by their text --- */

#define V1_MOUNTS                                                                                  \
	"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"                      \
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"     \
	"33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"                        \
	"34 31 0:31 / /sys/fs/cgroup/pids rw shared:1 master:2 - cgroup cgroup rw,pids\n"          \
	"35 31 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
#define V2_IN_HYBRID "36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define V2_MOUNT     "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

/* The folder that is found for theirs seen from own, or "none"; freed by the caller. */
static char *found(const char *own_text, const char *theirs_text, const char *mountinfo)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_cgroup_places_ struct cgroup_places theirs = CGROUP_PLACES_INIT;
	const struct cgroup_place *place;

	assert_int_equal(cgroup_places_parse(own_text, mountinfo, &own), 0);
	assert_int_equal(cgroup_places_parse(theirs_text, mountinfo, &theirs), 0);
	place = cgroup_places_choose(&theirs, &own);
	return place ? cgroup_place_folder(place, place->path) : strdup("none");
}

static void check_found(const char *own, const char *theirs, const char *mounts, const char *want)
{
	_cleanup_free_ char *folder = found(own, theirs, mounts);

	assert_string_equal(folder, want);
}

static void test_v2_host(void **state)
{
	(void)state;
	check_found("0::/a\n", "0::/web\n", V2_MOUNT, "/sys/fs/cgroup/web");
	check_found("0::/a\n", "0::/a/web:1\n", V2_MOUNT, "/sys/fs/cgroup/a/web:1");
	check_found("0::/a\n", "0::/a\n", V2_MOUNT, "none");
	check_found("0::/ab\n", "0::/a\n", V2_MOUNT, "/sys/fs/cgroup/a");
	check_found("0::/\n", "0::/../other\n", V2_MOUNT, "none");
}

static void test_v1_host(void **state)
{
	const char *own = "4:name=systemd:/s\n3:pids:/s\n2:memory:/s\n1:cpu,cpuacct:/s\n";

	(void)state;
	check_found(own, "4:name=systemd:/w\n3:pids:/w\n2:memory:/w\n1:cpu,cpuacct:/w\n", V1_MOUNTS,
		"/sys/fs/cgroup/pids/w");
	/* pids is shared with us: the next best hierarchy in which it is alone */
	check_found(own, "4:name=systemd:/w\n3:pids:/s\n2:memory:/w\n1:cpu,cpuacct:/w\n", V1_MOUNTS,
		"/sys/fs/cgroup/memory/w");
	check_found(own, "4:name=systemd:/w\n3:pids:/s\n2:memory:/s\n1:cpu,cpuacct:/w\n", V1_MOUNTS,
		"/sys/fs/cgroup/systemd/w");
	check_found(own, "4:name=systemd:/s\n3:pids:/s\n2:memory:/s\n1:cpu,cpuacct:/w\n", V1_MOUNTS,
		"/sys/fs/cgroup/cpu,cpuacct/w");
	check_found(own, own, V1_MOUNTS, "none");
}

/* Killing such a group would kill us, and more. */
static void test_group_that_holds_us(void **state)
{
	(void)state;
	check_found("0::/a/b\n", "0::/a\n", V2_MOUNT, "none");
	check_found("0::/a/b\n", "0::/\n", V2_MOUNT, "none");
	check_found("1:pids:/a/b\n", "1:pids:/\n", V1_MOUNTS, "none");
}

static void test_hybrid_host(void **state)
{
	const char *mounts = V1_MOUNTS V2_IN_HYBRID;

	(void)state;
	check_found("3:pids:/s\n0::/s\n", "3:pids:/w\n0::/w\n", mounts, "/sys/fs/cgroup/pids/w");
	check_found("3:pids:/s\n0::/s\n", "3:pids:/s\n0::/w\n", mounts, "/sys/fs/cgroup/unified/w");
}

static void test_mounted_in_part(void **state)
{
	const char *mounts = "30 23 0:26 /docker/x /cg\\040roup rw - cgroup2 cgroup2 rw\n";

	(void)state;
	check_found("0::/docker/x\n", "0::/docker/x/web\n", mounts, "/cg roup/web");
	check_found("0::/docker/x/y\n", "0::/docker/z\n", mounts, "none");
	check_found("0::/a\n", "0::/web\n", "30 23 0:26 / /x rw - tmpfs tmpfs rw\n", "none");
}

static void test_broken_text(void **state)
{
	static const char *const mounts[] = { "", "\n", "30\n", "30 23 0:26 / /x rw\n",
		"30 23 0:26 / /x rw -\n", "30 23 0:26 / /x rw - cgroup2\n",
		"30 23 0:26 / /x rw - cgroup2 cgroup2\n",
		"30 23 0:26 / /x rw shared:1 shared:2\n" };
	struct cgroup_places places = CGROUP_PLACES_INIT;

	(void)state;
	assert_true(cgroup_places_parse("0", V2_MOUNT, &places) < 0);
	assert_true(cgroup_places_parse("0:pids\n", V2_MOUNT, &places) < 0);
	assert_int_equal(places.n, 0);
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		check_found("0::/a\n", "0::/web\n", mounts[i], "none");
}

static void check_wanted(
	const char *own_text, const char *mounts, const char *path, const char *const *want)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;
	_cleanup_argv_ struct argv got = ARGV_INIT;

	assert_int_equal(cgroup_places_parse(own_text, mounts, &own), 0);
	assert_int_equal(cgroup_places_wanted(&own, path, "web", &got), 0);
	for (size_t i = 0; want[i] || i < got.n; i++) {
		assert_true(want[i] && i < got.n);
		assert_string_equal(got.v[i], want[i]);
	}
}

static void test_wanted(void **state)
{
	const char *own = "3:pids:/s\n2:memory:/\n";

	(void)state;
	check_wanted(own, V1_MOUNTS, NULL,
		(const char *const[]){ "/sys/fs/cgroup/pids/s/web", "/sys/fs/cgroup/pids/web",
			"/sys/fs/cgroup/memory/web", NULL });
	check_wanted(own, V1_MOUNTS, "/a/./b/",
		(const char *const[]){ "/sys/fs/cgroup/pids/a", "/sys/fs/cgroup/pids/a/b",
			"/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory/a/b", NULL });
	check_wanted(own, V1_MOUNTS, "b",
		(const char *const[]){
			"/sys/fs/cgroup/pids/s/b", "/sys/fs/cgroup/memory/b", NULL });
	check_wanted(
		"0::/u/s\n", V2_MOUNT, "b", (const char *const[]){ "/sys/fs/cgroup/u/b", NULL });
	check_wanted("0::/\n", V2_MOUNT, "b", (const char *const[]){ "/sys/fs/cgroup/b", NULL });
	check_wanted(own, V1_MOUNTS, "system.slice:runc:web", (const char *const[]){ NULL });
	check_wanted(own, V1_MOUNTS, "/a/../../etc", (const char *const[]){ NULL });
	check_wanted(own, V1_MOUNTS, "..", (const char *const[]){ NULL });
	check_wanted(own, V1_MOUNTS, "/..a/b..",
		(const char *const[]){ "/sys/fs/cgroup/pids/..a", "/sys/fs/cgroup/pids/..a/b..",
			"/sys/fs/cgroup/memory/..a", "/sys/fs/cgroup/memory/..a/b..", NULL });
}

/* --- real groups --- */

struct real {
	char *folder; /* of a group of our own making; below our own group */
	char *nested;
	char name[64];
};

static int setup(void **state)
{
	_cleanup_free_ char *base = own_folder();
	struct real *real = calloc(1, sizeof(*real));

	if (!base || !real)
		return -1;
	snprintf(real->name, sizeof(real->name), "cleat-test-cgroup-%d", getpid());
	if (asprintf(&real->folder, "%s/%s", base, real->name) < 0 ||
		asprintf(&real->nested, "%s/a/b", real->folder) < 0)
		return -1;
	*state = real;
	if (mkdir(real->folder, 0755) < 0)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	struct real *real = *state;
	char path[4096];

	rmdir(real->nested);
	snprintf(path, sizeof(path), "%s/a", real->folder);
	rmdir(path);
	rmdir(real->folder);
	free(real->nested);
	free(real->folder);
	free(real);
	return 0;
}

static void make_nested(struct real *real)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/a", real->folder);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(mkdir(real->nested, 0755), 0);
}

static void test_own_group_is_none(void **state)
{
	pid_t child = sleeper(NULL);
	struct cgroup g = CGROUP_INIT;

	(void)state;
	assert_int_equal(cgroup_open(child, &g), 0);
	assert_int_equal(g.fd, -1);
	assert_int_equal(cgroup_kill(&g), 0);
	assert_false(cgroup_has_pid(&g, child));
	kill(child, SIGTERM);
	assert_int_equal(reap(child), SIGTERM);
	assert_int_equal(cgroup_open(child, &g), -ESRCH);
	cgroup_close(&g);
}

static void test_pids_and_kill(void **state)
{
	struct real *real = *state;
	_cleanup_free_ pid_t *pids = NULL, *none = NULL;
	struct cgroup g = CGROUP_INIT;
	pid_t top, nested;
	size_t n;

	make_nested(real);
	top = sleeper(real->folder);
	nested = sleeper(real->nested);
	assert_int_equal(cgroup_open(top, &g), 0);
	assert_true(g.fd >= 0);
	assert_string_equal(g.path, real->folder);
	assert_int_equal(cgroup_pids(&g, &pids, &n), 0);
	assert_int_equal(n, 2);
	assert_true((pids[0] == top && pids[1] == nested) || (pids[0] == nested && pids[1] == top));
	assert_true(cgroup_has_pid(&g, nested));
	assert_false(cgroup_has_pid(&g, getpid()));
	assert_int_equal(cgroup_kill(&g), 2);
	assert_int_equal(reap(top), SIGKILL);
	assert_int_equal(reap(nested), SIGKILL);
	assert_int_equal(cgroup_kill(&g), 0);
	assert_int_equal(cgroup_pids(&g, &none, &n), 0);
	assert_int_equal(n, 0);
	cgroup_close(&g);
	cgroup_close(&g);
}

static void test_many(void **state)
{
	struct real *real = *state;
	struct cgroup g = CGROUP_INIT;
	pid_t children[300];
	const size_t n = sizeof(children) / sizeof(*children);

	for (size_t i = 0; i < n; i++)
		children[i] = sleeper(real->folder);
	assert_int_equal(cgroup_open(children[0], &g), 0);
	assert_int_equal(cgroup_kill(&g), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(reap(children[i]), SIGKILL);
	cgroup_close(&g);
}

static void test_gone(void **state)
{
	struct real *real = *state;
	struct cgroup g = CGROUP_INIT;
	pid_t child = sleeper(real->folder), *pids = NULL;
	size_t n = 1;

	assert_int_equal(cgroup_open(child, &g), 0);
	kill(child, SIGKILL);
	reap(child);
	assert_int_equal(rmdir(real->folder), 0);
	assert_int_equal(cgroup_pids(&g, &pids, &n), 0);
	assert_int_equal(n, 0);
	free(pids);
	/* another group of that name is not ours */
	assert_int_equal(mkdir(real->folder, 0755), 0);
	child = sleeper(real->folder);
	assert_int_equal(cgroup_kill(&g), 0);
	kill(child, SIGTERM);
	assert_int_equal(reap(child), SIGTERM);
	cgroup_close(&g);
}

static bool lists(const struct argv *a, const char *s)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], s) == 0)
			return true;
	return false;
}

/* What was not there is removed once it is empty; what was there stays, and so does what is used. */
static void test_missing_and_removed(void **state)
{
	struct real *real = *state;
	_cleanup_argv_ struct argv missing = ARGV_INIT, again = ARGV_INIT;
	char path[4096], inner[4096], own[4200];

	snprintf(path, sizeof(path), "%s/a", real->name);
	snprintf(inner, sizeof(inner), "%s/a", real->folder);
	assert_int_equal(cgroup_missing(path, "web", &missing), 0);
	assert_int_equal(strncmp(real->folder, "/sys", 4), 0);
	if (lists(&missing, inner)) { /* v1: below our own group */
		assert_false(lists(&missing, real->folder));
		assert_int_equal(mkdir(inner, 0755), 0);
		snprintf(own, sizeof(own), "%s/busy", inner);
		assert_int_equal(mkdir(own, 0755), 0);
		cgroup_remove_empty(&missing);
		assert_int_equal(access(inner, F_OK), 0);
		assert_int_equal(rmdir(own), 0);
		cgroup_remove_empty(&missing);
		assert_int_equal(access(inner, F_OK), -1);
	}
	assert_int_equal(access(real->folder, F_OK), 0);
	assert_int_equal(cgroup_missing(NULL, real->name, &again), 0);
	assert_false(lists(&again, real->folder));
}

/* A folder with the file that a group of v2 has, and one without it, as in v1. */
static void test_thaw(void **state)
{
	char folder[] = "/tmp/test-thaw-XXXXXX", path[64], text[8] = "";
	struct cgroup g = CGROUP_INIT;
	int fd;

	(void)state;
	assert_int_equal(cgroup_thaw(&g), 0);
	assert_non_null(mkdtemp(folder));
	g.fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(g.fd >= 0);
	assert_int_equal(cgroup_thaw(&g), 0);
	snprintf(path, sizeof(path), "%s/cgroup.freeze", folder);
	assert_int_equal(access(path, F_OK), -1);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "1\n", 2), 2);
	assert_int_equal(cgroup_thaw(&g), 0);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 2);
	assert_string_equal(text, "0\n");
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(cgroup_thaw(&g), 0);
	close(g.fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v2_host),
		cmocka_unit_test(test_v1_host),
		cmocka_unit_test(test_group_that_holds_us),
		cmocka_unit_test(test_hybrid_host),
		cmocka_unit_test(test_mounted_in_part),
		cmocka_unit_test(test_broken_text),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_own_group_is_none),
		cmocka_unit_test(test_thaw),
		cmocka_unit_test_setup_teardown(test_pids_and_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_and_removed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
