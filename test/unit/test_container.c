/* SPDX-License-Identifier: Apache-2.0 */
/* The container's record: which process a pid means. */
#include "shim/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void make(struct container *c, const char *exec_id, enum process_status status, pid_t pid,
	struct process **ret)
{
	assert_int_equal(process_new(c, exec_id, ret), 0);
	(*ret)->status = status;
	(*ret)->pid = pid;
	if (!(*ret)->is_init)
		list_append(&c->processes, &(*ret)->processes_link);
}

/* A number is given away again once its process was reaped, and what has ended stays until Delete. */
static void a_pid_means_the_one_that_lives(void **state)
{
	struct container c = { 0 };
	struct process *init, *old, *live, *added;

	(void)state;
	list_init(&c.processes);
	make(&c, "", PROCESS_RUNNING, 10, &init);
	c.init = init;
	make(&c, "old", PROCESS_STOPPED, 20, &old);
	make(&c, "added", PROCESS_CREATED, 0, &added);
	assert_ptr_equal(container_find_pid(&c, 20), old);
	make(&c, "live", PROCESS_RUNNING, 20, &live);
	assert_ptr_equal(container_find_pid(&c, 20), live);
	assert_ptr_equal(container_find_pid(&c, 10), init);
	assert_null(container_find_pid(&c, 0));
	assert_null(container_find_pid(&c, 30));
	/* of those that have ended each is found in its turn, as they are deleted */
	live->status = PROCESS_STOPPED;
	assert_ptr_equal(container_find_pid(&c, 20), old);
	process_free(old);
	assert_ptr_equal(container_find_pid(&c, 20), live);
	/* the init's number too */
	init->status = PROCESS_STOPPED;
	live->pid = 10;
	assert_ptr_equal(container_find_pid(&c, 10), init);
	live->status = PROCESS_RUNNING;
	assert_ptr_equal(container_find_pid(&c, 10), live);
	process_free(live);
	process_free(added);
	process_free(init);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pid_means_the_one_that_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
