/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a create whose shim was killed: processes by their group and session, and those
 * in groups of this host, under a name that nobody else has. What is not of it goes on.
 *
 * no valgrind: 3.19 has no pidfd_open(2), by which these wait
 */
#include "common/unfinished.h"

#include "common/cleanup.h"
#include "common/pidref.h"
#include "test/unit/own_group.h"

static bool lives(pid_t pid)
{
	struct proc_stat stat;

	return proc_stat_read(pid, &stat) == 0 && stat.state != 'Z';
}

static void end_ours(pid_t pid)
{
	assert_true(lives(pid));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(reap(pid), SIGTERM);
}

/* --- the run --- */

/* Of a dead shim's session: the run, a hook that it began, and a child of the shim's. */
struct session {
	pid_t shim, run, hook, other;
};

/* A child in this group (0: its own). It ends with its parent. */
static pid_t member(pid_t group)
{
	pid_t pid = fork_child();

	if (pid == 0)
		wait_for_ever();
	assert_int_equal(setpgid(pid, group), 0);
	return pid;
}

static void begin_session(struct session *ret)
{
	int told[2];

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	ret->shim = fork_child();
	if (ret->shim == 0) {
		struct session s = { .shim = setsid() };

		s.run = member(0);
		s.hook = member(s.run);
		s.other = member(0);
		if (write(told[1], &s, sizeof(s)) != sizeof(s))
			_exit(1);
		wait_for_ever();
	}
	close(told[1]);
	assert_int_equal(read(told[0], ret, sizeof(*ret)), sizeof(*ret));
	close(told[0]);
}

static void end_session(const struct session *s)
{
	kill(s->shim, SIGKILL);
	assert_int_equal(reap(s->shim), SIGKILL);
}

static struct container_record record_of(pid_t run)
{
	struct container_record r = { .id = (char *)"web" };
	struct proc_stat stat;

	assert_int_equal(proc_stat_read(run, &stat), 0);
	r.making.is_so = true;
	r.making.pid = run;
	r.making.start_time = stat.start_time;
	return r;
}

static void test_run_and_its_hooks(void **state)
{
	struct container_record r;
	struct error err = ERROR_INIT;
	struct session s;

	(void)state;
	begin_session(&s);
	r = record_of(s.run);
	assert_ok(unfinished_end_run(&r, s.shim, &err), &err);
	assert_false(lives(s.run));
	assert_false(lives(s.hook));
	assert_true(lives(s.other));
	assert_true(lives(s.shim));
	/* nothing is left of it: a second time is no error */
	assert_ok(unfinished_end_run(&r, s.shim, &err), &err);
	end_session(&s);
}

/* Each of these tells of another run than the one that has the number. */
static void test_run_of_another(void **state)
{
	struct container_record r;
	struct error err = ERROR_INIT;
	struct session s;

	(void)state;
	begin_session(&s);
	r = record_of(s.run);
	assert_ok(unfinished_end_run(&r, getsid(0), &err), &err);
	assert_ok(unfinished_end_run(&r, 0, &err), &err);
	r.making.start_time--;
	assert_ok(unfinished_end_run(&r, s.shim, &err), &err);
	r.making.start_time += 2;
	assert_ok(unfinished_end_run(&r, s.shim, &err), &err);
	r.making.pid = 0;
	assert_ok(unfinished_end_run(&r, s.shim, &err), &err);
	assert_true(lives(s.run));
	assert_true(lives(s.hook));
	end_session(&s);
}

/* --- the cgroups --- */

struct groups {
	char *top, *mid, *low; /* each below the one before */
};

static int setup(void **state)
{
	_cleanup_free_ char *base = own_folder();
	struct groups *g = calloc(1, sizeof(*g));

	if (!base || !g || asprintf(&g->top, "%s/cleat-test-unfinished-%d", base, getpid()) < 0 ||
		asprintf(&g->mid, "%s/mid", g->top) < 0 || asprintf(&g->low, "%s/low", g->mid) < 0)
		return -1;
	*state = g;
	return mkdir(g->top, 0755) < 0 || mkdir(g->mid, 0755) < 0 || mkdir(g->low, 0755) < 0;
}

static int teardown(void **state)
{
	struct groups *g = *state;

	rmdir(g->low);
	rmdir(g->mid);
	rmdir(g->top);
	free(g->low);
	free(g->mid);
	free(g->top);
	free(g);
	return 0;
}

static bool folder_is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* What the container's first process made below its group is of it. */
static void test_nested_groups(void **state)
{
	struct groups *g = *state;
	char *cgroups[] = { g->top, NULL };
	const struct container_record r = { .id = (char *)"web",
		.making = { .is_so = true, .cgroups = cgroups } };
	struct error err = ERROR_INIT;
	pid_t top = sleeper(g->top), low[2] = { sleeper(g->low), sleeper(g->low) };

	assert_ok(unfinished_end_cgroups(&r, &err), &err);
	assert_int_equal(reap(top), SIGKILL);
	assert_int_equal(reap(low[0]), SIGKILL);
	assert_int_equal(reap(low[1]), SIGKILL);
	unfinished_remove_cgroups(&r);
	assert_false(folder_is_there(g->top));
	/* gone: no error */
	assert_ok(unfinished_end_cgroups(&r, &err), &err);
	unfinished_remove_cgroups(&r);
}

/* A folder that the create made on the way, and in which others have made theirs since. */
static void test_group_for_several(void **state)
{
	struct groups *g = *state;
	char *cgroups[] = { g->top, g->mid, NULL };
	const struct container_record r = { .id = (char *)"web",
		.making = { .is_so = true, .cgroups = cgroups } };
	_cleanup_free_ char *other = NULL;
	struct error err = ERROR_INIT;
	pid_t ours[2] = { sleeper(g->mid), sleeper(g->low) }, theirs;

	assert_true(asprintf(&other, "%s/other", g->top) > 0);
	assert_int_equal(mkdir(other, 0755), 0);
	theirs = sleeper(other);
	assert_ok(unfinished_end_cgroups(&r, &err), &err);
	assert_int_equal(reap(ours[0]), SIGKILL);
	assert_int_equal(reap(ours[1]), SIGKILL);
	unfinished_remove_cgroups(&r);
	assert_false(folder_is_there(g->mid));
	assert_true(folder_is_there(other));
	end_ours(theirs);
	assert_int_equal(rmdir(other), 0);
	unfinished_remove_cgroups(&r);
	assert_false(folder_is_there(g->top));
}

/* On a host without any. */
static void test_no_groups(void **state)
{
	const struct container_record r = { .id = (char *)"web", .making = { .is_so = true } };
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(unfinished_end_cgroups(&r, &err), &err);
	unfinished_remove_cgroups(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_run_and_its_hooks),
		bed_test(test_run_of_another),
		cmocka_unit_test_setup_teardown(test_nested_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group_for_several, setup, teardown),
		cmocka_unit_test(test_no_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
