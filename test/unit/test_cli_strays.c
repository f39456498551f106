/* SPDX-License-Identifier: Apache-2.0 */
/* What has no owner: what counts as such, and that it is looked at once more before it goes. */
#include "supervisor/cli/strays.h"

#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/socket_file.h"
#include "common/state_dir.h"
#include "test/unit/unit.h"

#define DEAD "0123456789abcdef"
#define LIVE "fedcba9876543210"

struct root {
	char path[300];
	int fd;
};

/* A path that no socket's address would take. */
static void make_root(const struct bed *bed, struct root *ret)
{
	struct error err = ERROR_INIT;
	char name[201];

	memset(name, 'r', 200);
	name[200] = '\0';
	snprintf(ret->path, sizeof(ret->path), "%s/%s", bed->path, name);
	assert_ok(state_prepare(ret->path, "default", &err), &err);
	ret->fd = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(ret->fd >= 0);
}

/* A socket in ROOT/s; closed, nobody serves it. */
static int serve(const struct root *root, const char *name)
{
	char folder[400];
	int fd;

	snprintf(folder, sizeof(folder), "%s/s", root->path);
	assert_int_equal(socket_file_bind(folder, name, &fd), 0);
	return fd;
}

static void create(const struct root *root, const char *id, struct state_dir *ret)
{
	struct error err = ERROR_INIT;

	assert_ok(state_dir_create(root->path, "default", id, ret, &err), &err);
}

static void name_socket(const struct root *root, const struct state_dir *dir, const char *name)
{
	struct error err = ERROR_INIT;
	char path[400];
	struct shim_record shim = { .pid = 1, .socket = path, .version = (char *)"0", .epoch = 1 };

	snprintf(path, sizeof(path), "%s/s/%s", root->path, name);
	assert_ok(shim_record_write(dir, &shim, &err), &err);
}

/* A container as its shim wrote it, of a process that is long gone. */
static void write_container(const struct state_dir *dir)
{
	struct error err = ERROR_INIT;
	struct container_record record = {
		.id = dir->id,
		.ns = dir->ns,
		.bundle = (char *)"/b",
		.runtime = (char *)"/bin/false",
		.runtime_kind = (char *)"runc",
		.runtime_root = (char *)"/nowhere",
		.status = (char *)"running",
		.pid = 1,
		.start_time = 1,
		.created = 1,
	};

	assert_ok(container_record_write(dir, &record, &err), &err);
}

static void find(const struct root *root, const char *ns, struct strays *ret)
{
	struct error err = ERROR_INIT;

	assert_ok(strays_find(root->path, ns, false, ret, &err), &err);
}

static void check(const struct strays *all, size_t i, enum stray_kind kind, enum stray_fate fate)
{
	assert_true(i < all->n);
	assert_string_equal(stray_kind_name(all->v[i].kind), stray_kind_name(kind));
	assert_int_equal(all->v[i].fate, fate);
}

static void test_no_root(void **state)
{
	struct root root = { "/nowhere/at/all", -1 };
	struct strays all;

	(void)state;
	find(&root, NULL, &all);
	assert_int_equal(all.n, 0);
	strays_deinit(&all);
}

static void test_sockets(void **state)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_strays_ struct strays all = STRAYS_INIT;
	struct error err = ERROR_INIT;
	struct root root;
	int live;

	make_root(*state, &root);
	close(serve(&root, DEAD));
	close(serve(&root, "aaaaaaaaaaaaaaaa"));
	close(serve(&root, "not-of-a-shim"));
	live = serve(&root, LIVE);
	create(&root, "web", &dir);
	name_socket(&root, &dir, "aaaaaaaaaaaaaaaa");
	find(&root, "default", &all);
	assert_int_equal(all.n, 0);
	find(&root, NULL, &all);
	assert_int_equal(all.n, 1);
	check(&all, 0, STRAY_SOCKET, STRAY_GOES);
	assert_string_equal(all.v[0].name, DEAD);
	assert_ok(stray_remove(root.path, &all.v[0], &err), &err);
	assert_ok(stray_remove(root.path, &all.v[0], &err), &err); /* gone is gone */
	close(live);
	close(root.fd);
}

/* Between its socket's bind and its shim.json nothing tells whose it is but that there is a start. */
static void test_start_under_way(void **state)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	_cleanup_strays_ struct strays during = STRAYS_INIT, after = STRAYS_INIT;
	struct error err = ERROR_INIT;
	struct root root;

	make_root(*state, &root);
	create(&root, "web", &dir);
	close(serve(&root, DEAD));
	find(&root, NULL, &during);
	assert_int_equal(during.n, 1);
	check(&during, 0, STRAY_SOCKET, STRAY_LEFT);
	assert_error(
		stray_remove(root.path, &during.v[0], &err), &err, CODE_FAILED_PRECONDITION, NULL);
	name_socket(&root, &dir, DEAD);
	find(&root, NULL, &after);
	assert_int_equal(after.n, 0);
	close(root.fd);
}

static void test_socket_served_meanwhile(void **state)
{
	_cleanup_strays_ struct strays all = STRAYS_INIT;
	struct error err = ERROR_INIT;
	struct root root;
	int fd;

	make_root(*state, &root);
	close(serve(&root, DEAD));
	find(&root, NULL, &all);
	check(&all, 0, STRAY_SOCKET, STRAY_GOES);
	assert_int_equal(unlinkat(root.fd, "s/" DEAD, 0), 0);
	fd = serve(&root, DEAD);
	assert_error(
		stray_remove(root.path, &all.v[0], &err), &err, CODE_FAILED_PRECONDITION, NULL);
	assert_true(is_there(root.fd, "s/" DEAD));
	close(fd);
	close(root.fd);
}

static void test_unfinished(void **state)
{
	struct state_dir dir = STATE_DIR_INIT, again = STATE_DIR_INIT;
	_cleanup_strays_ struct strays none = STRAYS_INIT, all = STRAYS_INIT;
	struct error err = ERROR_INIT;
	struct root root;

	make_root(*state, &root);
	create(&root, "web", &dir);
	find(&root, NULL, &none);
	assert_int_equal(none.n, 0); /* somebody has its lock */
	state_dir_close(&dir);
	find(&root, NULL, &all);
	assert_int_equal(all.n, 1);
	check(&all, 0, STRAY_UNFINISHED, STRAY_GOES);
	/* removed by another, and the name is a new container's */
	assert_ok(stray_remove(root.path, &all.v[0], &err), &err);
	assert_false(is_there(root.fd, "c/default/web"));
	create(&root, "web", &again);
	assert_error(stray_remove(root.path, &all.v[0], &err), &err, CODE_FAILED_PRECONDITION,
		"container web: its shim is alive");
	write_container(&again);
	state_dir_close(&again);
	assert_error(stray_remove(root.path, &all.v[0], &err), &err, CODE_FAILED_PRECONDITION,
		"container web: there is a container in it now");
	assert_true(is_there(root.fd, "c/default/web/state.json"));
	close(root.fd);
}

static void test_folder_without_a_lock(void **state)
{
	_cleanup_strays_ struct strays all = STRAYS_INIT;
	struct root root;

	make_root(*state, &root);
	assert_int_equal(mkdirat(root.fd, "c/default/mine", 0700), 0);
	find(&root, NULL, &all);
	assert_int_equal(all.n, 0);
	close(root.fd);
}

static void test_ended(void **state)
{
	struct state_dir dir = STATE_DIR_INIT;
	_cleanup_strays_ struct strays all = STRAYS_INIT, other = STRAYS_INIT;
	struct error err = ERROR_INIT;
	struct root root;

	make_root(*state, &root);
	create(&root, "web", &dir);
	write_container(&dir);
	write_text(dir.fd, ".tmp-0123456789abcdef", "{");
	state_dir_close(&dir);
	find(&root, "other", &other);
	assert_int_equal(other.n, 0);
	find(&root, "default", &all);
	assert_int_equal(all.n, 2);
	check(&all, 0, STRAY_CONTAINER, STRAY_KEPT);
	assert_string_equal(all.v[0].what, "default/web");
	assert_string_equal(
		all.v[0].why, "has ended without its shim, and how is not known: cleat delete web");
	check(&all, 1, STRAY_TEMPORARY, STRAY_GOES);
	assert_ok(state_dir_open(root.path, "default", "web", &dir, &err), &err);
	assert_ok(state_dir_lock(&dir, &err), &err);
	for (size_t i = 0; i < 2; i++)
		assert_error(stray_remove(root.path, &all.v[i], &err), &err,
			CODE_FAILED_PRECONDITION, "container web: its shim is alive");
	assert_true(is_there(dir.fd, ".tmp-0123456789abcdef"));
	state_dir_close(&dir);
	assert_ok(stray_remove(root.path, &all.v[1], &err), &err);
	assert_false(is_there(root.fd, "c/default/web/.tmp-0123456789abcdef"));
	assert_true(is_there(root.fd, "c/default/web/state.json"));
	close(root.fd);
}

/* Its name is a container's by now: neither is touched. */
static void test_runtime_state(void **state)
{
	struct state_dir dir = STATE_DIR_INIT;
	_cleanup_strays_ struct strays all = STRAYS_INIT, none = STRAYS_INIT;
	struct error err = ERROR_INIT;
	struct root root;

	make_root(*state, &root);
	assert_int_equal(mkdirat(root.fd, "r/default/web", 0700), 0);
	find(&root, NULL, &all);
	assert_int_equal(all.n, 1);
	check(&all, 0, STRAY_RUNTIME, STRAY_LEFT); /* nobody was asked */
	all.v[0].fate = STRAY_GOES;
	create(&root, "web", &dir);
	find(&root, NULL, &none);
	assert_int_equal(none.n, 0);
	assert_error(stray_remove(root.path, &all.v[0], &err), &err, CODE_ALREADY_EXISTS, NULL);
	assert_true(is_there(root.fd, "r/default/web"));
	assert_true(is_there(root.fd, "c/default/web/lock"));
	state_dir_close(&dir);
	close(root.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_no_root),
		bed_test(test_sockets),
		bed_test(test_start_under_way),
		bed_test(test_socket_served_meanwhile),
		bed_test(test_unfinished),
		bed_test(test_folder_without_a_lock),
		bed_test(test_ended),
		bed_test(test_runtime_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
