/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime's words make of the exit status, and pid files. */
#include "supervisor/cli/creation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int status_of(const char *sentence)
{
	struct error err = ERROR_INIT;
	int status;

	error_set(&err, CODE_UNKNOWN, "%s", sentence);
	status = failure_status(&err);
	error_clear(&err);
	return status;
}

/* As runc 1.1.5, crun 1.8.1 and runsc say it. */
static void test_not_found(void **state)
{
	(void)state;
	assert_int_equal(
		status_of("OCI runtime create failed: runc create failed: unable to start "
			  "container process: exec: \"nope\": executable file not found in "
			  "$PATH"),
		127);
	assert_int_equal(
		status_of("OCI runtime create failed: runc create failed: unable to start "
			  "container process: exec: \"/bin/nope\": stat /bin/nope: no such "
			  "file or directory"),
		127);
	assert_int_equal(
		status_of("crun: executable file `nope` not found in $PATH: No such file or "
			  "directory"),
		127);
	assert_int_equal(status_of("starting sandbox: creating process: failed to load /bin/nope: "
				   "no such file or directory"),
		127);
	assert_int_equal(
		status_of("starting sandbox: error finding executable \"nope\" in PATH [/bin "
			  "/usr/bin]: no such file or directory"),
		127);
	assert_int_equal(status_of("exec /script: no such file or directory"), 127);
}

static void test_cannot_execute(void **state)
{
	(void)state;
	assert_int_equal(status_of("runc create failed: unable to start container process: exec: "
				   "\"/etc/passwd\": permission denied"),
		126);
	assert_int_equal(status_of("runc create failed: unable to start container process: exec: "
				   "\"/bin\": is a directory"),
		126);
	assert_int_equal(status_of("exec /bin/garbage: exec format error"), 126);
	assert_int_equal(status_of("open executable: Operation not permitted"), 126);
	assert_int_equal(status_of("open executable: Permission denied"), 126);
}

/* A file that is missing need not be the program. */
static void test_own_failures(void **state)
{
	(void)state;
	assert_int_equal(status_of("bundle /nope: No such file or directory"), 125);
	assert_int_equal(status_of("runc create failed: unable to start container process: error "
				   "during container init: error mounting \"/nope\" to rootfs at "
				   "\"/mnt\": mount /nope:/mnt: no such file or directory"),
		125);
	/* nor is a container's name what has failed */
	assert_int_equal(
		status_of("container exec: OCI runtime create failed: runc create failed: "
			  "unable to start container process: error during container init: "
			  "error mounting \"/srv/exec /x\" to rootfs at \"/mnt\": mount "
			  "/srv/exec /x:/mnt: no such file or directory"),
		125);
	assert_int_equal(
		status_of("container executable: bundle /nope: No such file or directory"), 125);
	assert_int_equal(status_of("container web: already exists"), 125);
	assert_int_equal(status_of("runtime \"nope\": No such file or directory"), 125);
	assert_int_equal(status_of("unlinkat /x: permission denied"), 125);
}

static void test_pid_file(void **state)
{
	char dir[] = "/tmp/test-cli-XXXXXX", path[64], text[16] = "";
	struct error err = ERROR_INIT;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
	assert_int_equal(pid_file_write(NULL, 1, &err), 0);
	assert_int_equal(pid_file_write(path, 4711, &err), 0);
	assert_int_equal(pid_file_write(path, 42, &err), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "42");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* and nothing else was left in it */
	assert_int_equal(pid_file_write(path, 1, &err), CODE_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), path));
	error_clear(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_cannot_execute),
		cmocka_unit_test(test_own_failures),
		cmocka_unit_test(test_pid_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
