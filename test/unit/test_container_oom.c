/* SPDX-License-Identifier: Apache-2.0 */
/* To whom a kill for want of memory is put down, of those who ended by SIGKILL. */
#include "shim/container_life.h"
#include "shim/oom.h"
#include "shim/shim.h"
#include "test/unit/unit.h"

#define EVENTS "low 0\nhigh 0\nmax 9\noom 9\noom_kill "

struct fixture {
	struct shim shim;
	struct container c;
	struct process *init, *exec;
};

static void begin(struct fixture *f, const struct bed *bed)
{
	const struct cgroup_folders folders = { { -1, -1, -1, -1, -1, -1, -1 }, bed->dir };
	_cleanup_error_ struct error err = ERROR_INIT;

	*f = (struct fixture){ .c = { .shim = &f->shim, .id = (char *)"c", .is_told = true } };
	write_text(bed->dir, "memory.events", EVENTS "0\n");
	f->shim.base = event_base_new();
	assert_int_equal(events_new(&f->shim.events), 0);
	list_init(&f->c.processes);
	list_init(&f->c.operations);
	assert_int_equal(process_new(&f->c, "", &f->init), 0);
	assert_int_equal(process_new(&f->c, "e", &f->exec), 0);
	f->c.init = f->init;
	assert_int_equal(
		oom_watch_new(f->shim.base, &folders, false, NULL, NULL, &f->c.oom, &err), 0);
}

static void end(struct fixture *f)
{
	container_oom_unwatch(&f->c);
	process_free(f->exec);
	process_free(f->init);
	events_free(f->shim.events);
	event_base_free(f->shim.base);
}

static bool look(struct fixture *f, const struct process *p)
{
	const struct reaped r = { .code = SIGKILL, .signaled = true, .at = clock_now() };

	return container_oom_look(&f->c, p, &r);
}

/* Somebody else was killed a moment ago, and the init's end, or the kernel, took the exec along. */
static void test_of_the_container(void **state)
{
	struct fixture f;

	begin(&f, *state);
	assert_false(look(&f, f.exec));
	write_text(((struct bed *)*state)->dir, "memory.events", EVENTS "1\n");
	assert_true(look(&f, f.init));
	assert_true(look(&f, f.exec));
	end(&f);
}

static void test_not_of_us(void **state)
{
	struct fixture f;

	begin(&f, *state);
	write_text(((struct bed *)*state)->dir, "memory.events", EVENTS "1\n");
	assert_true(oom_watch_look(f.c.oom));
	f.exec->kill_sent = true;
	assert_false(look(&f, f.exec));
	assert_true(look(&f, f.init));
	/* the init that we kill takes all with it */
	f.exec->kill_sent = false;
	f.init->kill_sent = true;
	assert_false(look(&f, f.init));
	assert_false(look(&f, f.exec));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_of_the_container),
		bed_test(test_not_of_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
