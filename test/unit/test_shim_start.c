/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a shim, with scripts in its place: found on the PATH, since none lies beside a test. */
#include "common/shim_start.h"

#include <signal.h>

#include "common/clock.h"
#include "common/run.h"
#include "test/unit/unit.h"

/* Puts a script on the PATH as cleat-shim; what was there before is restored by the caller. */
static void put(struct bed *bed, const char *text)
{
	write_script(bed->dir, "cleat-shim", text);
}

static int start(struct bed *bed, bool debug, char **ret, struct error *err)
{
	char *before = strdup(getenv("PATH")), path[4096];
	int r;

	snprintf(path, sizeof(path), "%s:%s", bed->path, before);
	setenv("PATH", path, 1);
	r = shim_start("/the root", "default", "web", debug, ret, err);
	setenv("PATH", before, 1);
	free(before);
	return r;
}

static void expect_address(struct bed *bed, const char *text, const char *address)
{
	struct error err = ERROR_INIT;
	char *got = NULL;

	put(bed, text);
	assert_ok(start(bed, false, &got, &err), &err);
	assert_string_equal(got, address);
	free(got);
}

static void expect_failure(struct bed *bed, const char *text, int code, const char *sentence)
{
	struct error err = ERROR_INIT;
	char *got = NULL;

	put(bed, text);
	assert_error(start(bed, false, &got, &err), &err, code, sentence);
	assert_null(got);
}

static void test_address(void **state)
{
	expect_address(*state, "#!/bin/sh\necho unix:///run/cleat/s/0123\n", "/run/cleat/s/0123");
	expect_address(*state, "#!/bin/sh\nprintf unix:///run/x\n", "/run/x");
	expect_address(*state, "#!/bin/sh\necho 'unix:///with space'; echo more\n", "/with space");
	expect_address(*state, "#!/bin/sh\necho warning >&2; echo unix:///x\n", "/x");
}

/* The words of the command, in this order; the environment; no stdin. */
static void test_command_line(void **state)
{
	static const char script[] =
		"#!/bin/sh\nfor w; do echo \"[$w]\"; done >\"$CLEAT_TEST_OUT\"\n"
		"readlink /proc/self/fd/0 >>\"$CLEAT_TEST_OUT\"\necho unix:///x\n";
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char out[128], *address, *text;

	snprintf(out, sizeof(out), "%s/out", bed->path);
	setenv("CLEAT_TEST_OUT", out, 1);
	put(bed, script);
	assert_ok(start(bed, true, &address, &err), &err);
	free(address);
	text = read_text(bed->dir, "out");
	assert_string_equal(text,
		"[-root]\n[/the root]\n[-namespace]\n[default]\n[-id]\n[web]\n[-ttrpc-address=]\n[-debug]\n[start]\n"
		"/dev/null\n");
	free(text);
	assert_ok(start(bed, false, &address, &err), &err);
	free(address);
	text = read_text(bed->dir, "out");
	assert_string_equal(text,
		"[-root]\n[/the root]\n[-namespace]\n[default]\n[-id]\n[web]\n[-ttrpc-address=]\n[start]\n/dev/null\n");
	free(text);
}

static void test_failures(void **state)
{
	expect_failure(*state,
		"#!/bin/sh\necho 'cleat-shim: container web: already exists' >&2; exit 17\n",
		CODE_ALREADY_EXISTS, "container web: already exists");
	/* the last line that is no log */
	expect_failure(*state,
		"#!/bin/sh\nexec >&2\necho 'time=\"x\" level=info msg=\"before\"'\n"
		"echo 'something'; echo 'the cause'\n"
		"echo 'time=\"x\" level=info msg=\"after\"'\necho; exit 1\n",
		CODE_UNKNOWN, "the cause");
	expect_failure(*state, "#!/bin/sh\nexit 17\n", CODE_ALREADY_EXISTS,
		"cleat-shim start: exited with 17 without a word");
	expect_failure(*state, "#!/bin/sh\necho unix:///x; kill -KILL $$\n", CODE_UNKNOWN,
		"cleat-shim start: killed by signal 9 without a word");
}

static void test_no_address(void **state)
{
	expect_failure(*state, "#!/bin/sh\n", CODE_INTERNAL,
		"cleat-shim start: printed \"\" instead of its address");
	expect_failure(*state, "#!/bin/sh\necho /run/x\n", CODE_INTERNAL,
		"cleat-shim start: printed \"/run/x\" instead of its address");
	expect_failure(*state, "#!/bin/sh\necho unix://relative\n", CODE_INTERNAL, NULL);
	expect_failure(*state, "#!/bin/sh\nhead -c 1000000 /dev/zero\n", CODE_INTERNAL, NULL);
	expect_failure(*state, "#!/bin/sh\nprintf 'noise \\033[1m\\377'\n", CODE_INTERNAL,
		"cleat-shim start: printed \"noise  [1m?\" instead of its address");
}

/* The shim itself lives on, with whatever descriptors it kept. */
static void test_shim_lives_on(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	int64_t begun = clock_monotonic_ms();
	char *address;
	int pid;

	put(bed, "#!/bin/sh\nsleep 100 & echo unix:///$!\n");
	assert_ok(start(bed, false, &address, &err), &err);
	assert_true(clock_monotonic_ms() - begun < 5000);
	pid = atoi(address + 1);
	free(address);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_deadline(void **state)
{
	int64_t begun = clock_monotonic_ms(), took;

	expect_failure(*state, "#!/bin/sh\necho unix:///x\nsleep 100\n", CODE_DEADLINE_EXCEEDED,
		"cleat-shim start: no answer in 10 s");
	took = clock_monotonic_ms() - begun;
	assert_true(took >= 10000 && took < 20000);
}

static void test_find(void **state)
{
	struct bed *bed = *state;
	struct error err = ERROR_INIT;
	char *before = strdup(getenv("PATH")), *found = NULL, expected[128];

	setenv("PATH", bed->path, 1);
	assert_int_equal(shim_find(&found, &err), CODE_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "cleat-shim is neither in /"));
	error_clear(&err);
	put(bed, "#!/bin/sh\n");
	assert_ok(shim_find(&found, &err), &err);
	snprintf(expected, sizeof(expected), "%s/cleat-shim", bed->path);
	assert_string_equal(found, expected);
	free(found);
	setenv("PATH", before, 1);
	free(before);
}

/* Runs a copy of this program that lies in "bin" and only finds; checks what it found. */
static void expect_found(struct bed *bed, const char *below)
{
	char program[128], expected[128];
	char *argv[] = { program, (char *)"find", NULL };
	const struct run_options options = { .argv = argv, .out_limit = 200, .deadline_ms = 20000 };
	struct run_result r;

	snprintf(program, sizeof(program), "%s/bin/program", bed->path);
	snprintf(expected, sizeof(expected), "%s/bin/%s", bed->path, below);
	assert_int_equal(run_program(&options, &r), 0);
	assert_int_equal(r.wait_status, 0);
	assert_int_equal(r.out.len, strlen(expected));
	assert_memory_equal(buf_head(&r.out), expected, r.out.len);
	run_result_deinit(&r);
}

static void test_find_beside_the_program(void **state)
{
	struct bed *bed = *state;
	struct buf self = BUF_INIT;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(mkdirat(bed->dir, "bin", 0700), 0);
	assert_int_equal(mkdirat(bed->dir, "libexec", 0700), 0);
	assert_int_equal(mkdirat(bed->dir, "libexec/cleat", 0700), 0);
	assert_int_equal(fd_read_all(fd, &self, 256u << 20), 0);
	close(fd);
	write_file(bed->dir, "bin/program", buf_head(&self), self.len, 0700);
	buf_deinit(&self);
	write_script(bed->dir, "libexec/cleat/cleat-shim", "#!/bin/sh\n");
	expect_found(bed, "../libexec/cleat/cleat-shim");
	write_script(bed->dir, "bin/cleat-shim", "#!/bin/sh\n");
	expect_found(bed, "cleat-shim");
}

/* The copy's whole job. */
static int find_and_print(void)
{
	char *found = NULL;

	if (shim_find(&found, NULL) != 0)
		return 1;
	fputs(found, stdout);
	free(found);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_address),
		bed_test(test_command_line),
		bed_test(test_failures),
		bed_test(test_no_address),
		bed_test(test_shim_lives_on),
		bed_test(test_deadline),
		bed_test(test_find),
		bed_test(test_find_beside_the_program),
	};

	if (argc == 2 && strcmp(argv[1], "find") == 0)
		return find_and_print();
	if (!has_pidfds())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
