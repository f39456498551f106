/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runtimes tell about a running container and about themselves: as runc 1.1.5, crun 1.8.1 and
 * runsc 20221219 told it, and as none should.
 */
#include "common/runtime_look.h"

#include "common/limits.h"
#include "test/unit/unit.h"

static const struct runtime runc = { .kind = RUNTIME_RUNC };
static const struct runtime runsc = { .kind = RUNTIME_RUNSC };

/* A buf over a literal; never freed. */
static struct buf over(const char *text)
{
	return (struct buf){ (uint8_t *)text, 0, strlen(text), 0 };
}

/* --- events --- */

/* All that a stream told, a line each. */
struct told {
	char text[4096];
	size_t n, stop_after;
};

static bool tell(const struct runtime_event *e, void *userdata)
{
	static const char *const kinds[] = { "stats", "oom", "other", "broken" };
	struct told *t = userdata;
	size_t n = strlen(t->text);

	snprintf(t->text + n, sizeof(t->text) - n, "%s %s\n", kinds[e->kind],
		e->kind == RUNTIME_EVENT_BROKEN ? error_message(&e->error) : e->type);
	return ++t->n != t->stop_after;
}

/* The same whatever the pieces are in which a stream comes. */
static void check_stream(const char *text, size_t n, const char *expected)
{
	for (size_t piece = n; piece > 0; piece = piece > 7 ? 7 : piece - 1) {
		struct told t = { .stop_after = 0 };
		struct runtime_event_reader r = { .rt = &runc, .on_event = tell, .userdata = &t };

		for (size_t at = 0; at < n; at += piece)
			assert_true(runtime_event_reader_feed(
				&r, text + at, n - at < piece ? n - at : piece));
		runtime_event_reader_end(&r);
		runtime_event_reader_deinit(&r);
		assert_string_equal(t.text, expected);
	}
}

#define NOT "runc events: not the JSON that was expected: "

static void test_events(void **state)
{
	static const char good[] = "{\"type\":\"stats\",\"id\":\"web\",\"data\":{}}\n"
				   "{\"type\":\"oom\",\"id\":\"web\"}\n\n  \r\n"
				   "{\"type\":\"new\",\"id\":\"web\",\"data\":null}";
	static const char broken[] =
		"{\"type\":\"stats\",\"id\":\n"
		"{\"type\":\"oom\",\"id\":\"web\"}\n"
		"\001\377noise\n[1]\n{\"type\":5,\"id\":\"web\"}\n{\"type\":\"oom\"}\n"
		"{\"type\":\"stats\",\"id\":\"web\",\"data\":[]}\n"
		"{\"type\":\"oom\",\"id\":\"web\"}\n{\"type\":\"oo";

	(void)state;
	check_stream(good, strlen(good), "stats stats\noom oom\nother new\n");
	check_stream(broken, strlen(broken),
		"broken " NOT "{\"type\":\"stats\",\"id\":\noom oom\n"
		"broken " NOT "?noise\nbroken " NOT "[1]\n"
		"broken " NOT "{\"type\":5,\"id\":\"web\"}\nbroken " NOT "{\"type\":\"oom\"}\n"
		"broken " NOT "{\"type\":\"stats\",\"id\":\"web\",\"data\":[]}\n"
		"oom oom\nbroken " NOT "{\"type\":\"oo\n");
}

static void test_stream_that_is_ended(void **state)
{
	static const char text[] =
		"{\"type\":\"oom\",\"id\":\"a\"}\n{\"type\":\"oom\",\"id\":\"b\"}\n";
	struct told t = { .stop_after = 1 };
	struct runtime_event_reader r = { .rt = &runc, .on_event = tell, .userdata = &t };

	(void)state;
	assert_false(runtime_event_reader_feed(&r, text, strlen(text)));
	assert_false(runtime_event_reader_feed(&r, text, strlen(text)));
	runtime_event_reader_end(&r);
	runtime_event_reader_deinit(&r);
	assert_int_equal(t.n, 1);
}

/* At the limit of a line, one above, and far above: one broken event, and the stream goes on. */
static void check_long_line(size_t n, const char *expected)
{
	static const char start[] = "{\"type\":\"oom\",\"id\":\"", end[] = "\"}";
	static const char next[] = "\n{\"type\":\"oom\",\"id\":\"b\"}\n";
	struct told t = { .stop_after = 0 };
	struct runtime_event_reader r = { .rt = &runc, .on_event = tell, .userdata = &t };
	char *line = malloc(n);

	memset(line, 'x', n);
	memcpy(line, start, strlen(start));
	memcpy(line + n - strlen(end), end, strlen(end));
	for (size_t at = 0; at < n; at += 16384)
		runtime_event_reader_feed(&r, line + at, n - at < 16384 ? n - at : 16384);
	assert_true(r.line.len <= LIMIT_RUNTIME_EVENT);
	runtime_event_reader_feed(&r, next, strlen(next));
	runtime_event_reader_end(&r);
	runtime_event_reader_deinit(&r);
	free(line);
	assert_int_equal(t.n, 2);
	assert_int_equal(strncmp(t.text, expected, strlen(expected)), 0);
	assert_non_null(strstr(t.text, "\noom oom\n"));
}

static void test_long_lines(void **state)
{
	(void)state;
	check_long_line(LIMIT_RUNTIME_EVENT, "oom oom\n");
	check_long_line(LIMIT_RUNTIME_EVENT + 1, "broken " NOT "{\"type\":\"oom\",\"id\":\"xxx");
	check_long_line(20 * LIMIT_RUNTIME_EVENT, "broken " NOT "{\"type\":\"oom\",\"id\":\"xxx");
}

/* --- stats --- */

static void test_stats(void **state)
{
	static const char from_runsc[] =
		"{\"type\":\"stats\",\"id\":\"bxsc\",\"data\":{\"cpu\":{\"usage\":{\"total\":"
		"15013016767302}},\"memory\":{\"usage\":{\"limit\":0,\"usage\":2547712,\"failcnt\":"
		"0}},\"pids\":{\"current\":2}}}\n";
	static const char unlimited[] =
		"{\"type\":\"stats\",\"id\":\"a\",\"data\":{\"memory\":{\"usage\":{\"limit\":"
		"18446744073709551615,\"usage\":18446744073709551614}},\"pids\":null}}";
	struct error err = ERROR_INIT;
	struct runtime_stats s;
	struct buf out = over(from_runsc);

	(void)state;
	assert_ok(runtime_read_stats(&runsc, &out, &s, &err), &err);
	assert_string_equal(s.id, "bxsc");
	assert_true(s.cpu_ns == 15013016767302 && s.memory == 2547712 && s.pids == 2);
	assert_int_equal(s.memory_limit, 0);
	assert_true(json_is_object(s.data));
	runtime_stats_deinit(&s);
	out = over(unlimited);
	assert_ok(runtime_read_stats(&runc, &out, &s, &err), &err);
	assert_true(s.memory == UINT64_MAX - 1);
	assert_true(s.memory_limit == RUNTIME_STAT_UNKNOWN && s.cpu_ns == RUNTIME_STAT_UNKNOWN);
	assert_true(s.pids == RUNTIME_STAT_UNKNOWN);
	runtime_stats_deinit(&s);
}

static void refused_stats(const char *text, const char *sentence)
{
	struct error err = ERROR_INIT;
	struct runtime_stats s = RUNTIME_STATS_INIT;
	struct buf out = over(text);

	assert_error(runtime_read_stats(&runc, &out, &s, &err), &err, CODE_INTERNAL, sentence);
	assert_null(s.data);
}

static void test_stats_refused(void **state)
{
	(void)state;
	refused_stats("", "runc stats: not the JSON that was expected: it printed nothing");
	refused_stats("\n\n", "runc stats: not the JSON that was expected: it printed nothing");
	refused_stats("oops\nmore", NOT "oops");
	refused_stats("{\"type\":\"stats\",\"id\":\"a\",\"da",
		NOT "{\"type\":\"stats\",\"id\":\"a\",\"da");
	refused_stats("{\"type\":\"oom\",\"id\":\"a\"}",
		"runc stats: not the JSON that was expected: oom");
	refused_stats("{\"type\":\"oom\",\"id\":\"a\",\"data\":{\"pids\":null}}",
		"runc stats: not the JSON that was expected: {\"pids\":null}");
	refused_stats("{\"type\":\"stats\",\"id\":\"a\"}",
		"runc stats: not the JSON that was expected: stats");
	refused_stats("{\"type\":\"stats\",\"id\":\"a\",\"data\":{\"pids\":{\"current\":\"2\"}}}",
		"runc stats: not the JSON that was expected: {\"pids\":{\"current\":\"2\"}}");
	refused_stats("{\"type\":\"stats\",\"id\":\"a\",\"data\":{\"cpu\":[]}}",
		"runc stats: not the JSON that was expected: {\"cpu\":[]}");
	refused_stats("{\"type\":\"stats\",\"id\":\"a\",\"data\":{\"pids\":{\"current\":-1}}}",
		"runc stats: not the JSON that was expected: {\"pids\":{\"current\":-1}}");
}

/* --- tables --- */

static void test_tables(void **state)
{
	static const char from_runc[] =
		"UID        PID  PPID  C STIME TTY          TIME CMD\n"
		"root     22661     1  0 05:48 ?        00:00:00 /bin/sh -c  i=0; x\n"
		"root     22668 22661  0 05:48 ?        00:00:00 /bin/sleep 0.1\n";
	struct error err = ERROR_INIT;
	struct runtime_top t;
	struct buf out = over(from_runc);

	(void)state;
	assert_ok(runtime_read_top(&runc, &out, &t, &err), &err);
	assert_int_equal(t.headers.n, 8);
	assert_int_equal(t.n_rows, 2);
	assert_int_equal(t.pid_column, 1);
	assert_string_equal(t.rows[0].v[1], "22661");
	assert_string_equal(t.rows[0].v[7], "/bin/sh -c  i=0; x");
	assert_string_equal(t.rows[1].v[2], "22661");
	runtime_top_deinit(&t);
	out = over("PID\n29868\n29876\n"); /* crun */
	assert_ok(runtime_read_top(&runc, &out, &t, &err), &err);
	assert_int_equal(t.n_rows, 2);
	assert_string_equal(t.rows[1].v[0], "29876");
	runtime_top_deinit(&t);
	out = over("PID\n\n29868\n  \n29876\n\n");
	assert_ok(runtime_read_top(&runc, &out, &t, &err), &err);
	assert_int_equal(t.n_rows, 2);
	runtime_top_deinit(&t);
	out = over("UID PID CMD\n");
	assert_ok(runtime_read_top(&runc, &out, &t, &err), &err);
	assert_int_equal(t.n_rows, 0);
	runtime_top_deinit(&t);
}

static void refused_table(const struct buf *out, const char *quoted)
{
	struct runtime_top t = RUNTIME_TOP_INIT;
	struct error err = ERROR_INIT;
	char sentence[400];

	snprintf(sentence, sizeof(sentence), "runc top: not the table that was expected: %s",
		quoted);
	assert_error(runtime_read_top(&runc, out, &t, &err), &err, CODE_INTERNAL, sentence);
	assert_null(t.rows);
}

static void test_tables_refused(void **state)
{
	static const struct {
		const char *text, *quoted;
	} cases[] = {
		{ "", "it printed nothing" },
		{ "[1,2]", "[1,2]" },
		{ "UID CMD\nroot x\n", "UID CMD" },
		{ "UID PID CMD\nroot 5\n", "UID PID CMD" },
		{ "UID PID CMD\nroot five x\n", "UID PID CMD" },
		{ "UID PID CMD\nroot 0 x\n", "UID PID CMD" },
		{ "UID PID CMD\nroot 123456789012 x\n", "UID PID CMD" },
	};
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		out = over(cases[i].text);
		refused_table(&out, cases[i].quoted);
	}
}

/* At the limit of rows, one above, and far above. */
static void test_long_tables(void **state)
{
	static const size_t counts[] = { LIMIT_RUNTIME_ROWS, LIMIT_RUNTIME_ROWS + 1,
		40 * LIMIT_RUNTIME_ROWS };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct error err = ERROR_INIT;
		struct runtime_top t = RUNTIME_TOP_INIT;
		struct buf out = BUF_INIT;

		assert_int_equal(buf_append(&out, "PID\n", 4), 0);
		for (size_t row = 0; row < counts[i]; row++)
			assert_int_equal(buf_append(&out, "7\n", 2), 0);
		assert_error(runtime_read_top(&runc, &out, &t, &err), &err,
			i == 0 ? CODE_OK : CODE_INTERNAL, NULL);
		assert_int_equal(t.n_rows, i == 0 ? LIMIT_RUNTIME_ROWS : 0);
		runtime_top_deinit(&t);
		buf_deinit(&out);
	}
}

/* --- the rest --- */

static void check_wait(const char *text, int code, unsigned expected)
{
	struct error err = ERROR_INIT;
	struct buf out = over(text);
	unsigned status = 999;

	assert_error(runtime_read_wait(&runsc, &out, &status, &err), &err, code, NULL);
	assert_int_equal(status, expected);
}

static void test_wait(void **state)
{
	(void)state;
	check_wait("{\"id\":\"bxsc\",\"exitStatus\":137}\n", CODE_OK, 137);
	check_wait("{\"id\":\"bxsc\",\"exitStatus\":0}", CODE_OK, 0);
	check_wait("{\"id\":\"bxsc\",\"exitStatus\":256}", CODE_INTERNAL, 999);
	check_wait("{\"id\":\"bxsc\",\"exitStatus\":-1}", CODE_INTERNAL, 999);
	check_wait("{\"id\":\"bxsc\",\"exitStatus\":\"0\"}", CODE_INTERNAL, 999);
	check_wait("{\"id\":\"bxsc\"}", CODE_INTERNAL, 999);
	check_wait("{\"id\":\"bxsc\",\"exitSta", CODE_INTERNAL, 999);
	check_wait("", CODE_INTERNAL, 999);
}

static void test_features(void **state)
{
	struct error err = ERROR_INIT;
	struct runtime_features f;
	struct buf out = over("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.0.2-dev\"}");

	(void)state;
	assert_ok(runtime_read_features(&runc, &out, &f, &err), &err);
	assert_string_equal(f.oci_min, "1.0.0");
	assert_string_equal(f.oci_max, "1.0.2-dev");
	assert_int_equal(json_object_size(f.document), 2);
	runtime_features_deinit(&f);
	out = over("{\"ociVersionMin\":1,\"ociVersionMax\":\"1.0.2-dev\"}");
	assert_error(runtime_read_features(&runc, &out, &f, &err), &err, CODE_INTERNAL,
		"runc features: not the JSON that was expected: "
		"{\"ociVersionMin\":1,\"ociVersionMax\":\"1.0.2-dev\"}");
	out = over("{\"ociVersionMin\":\"1.0.0\"}");
	assert_error(runtime_read_features(&runc, &out, &f, &err), &err, CODE_INTERNAL, NULL);
	out = over("unknown command features");
	assert_error(runtime_read_features(&runc, &out, &f, &err), &err, CODE_INTERNAL,
		"runc features: not the JSON that was expected: unknown command features");
}

static void check_version(
	const char *text, const char *version, const char *commit, const char *spec)
{
	struct error err = ERROR_INIT;
	struct runtime_version v;
	struct buf out = over(text);

	assert_ok(runtime_read_version(&runc, &out, &v, &err), &err);
	assert_string_equal(v.version, version);
	assert_string_equal(v.commit, commit);
	assert_string_equal(v.spec, spec);
	runtime_version_deinit(&v);
}

static void test_versions(void **state)
{
	struct error err = ERROR_INIT;
	struct runtime_version v;
	struct buf out = over("hello\nrunc version 1\n");

	(void)state;
	check_version("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n"
		      "go: go1.19.8\nlibseccomp: 2.5.4\n",
		"1.1.5+ds1", "1.1.5+ds1-1+deb12u1", "1.0.2-dev");
	check_version(
		"crun version 1.8.1\ncommit: f8a096be\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD",
		"1.8.1", "f8a096be", "1.0.0");
	check_version("runsc version 0.0~20221219.0\nspec: 1.0.2-dev\n", "0.0~20221219.0", "",
		"1.0.2-dev");
	check_version("youki version 0.3", "0.3", "", "");
	assert_error(runtime_read_version(&runc, &out, &v, &err), &err, CODE_INTERNAL,
		"runc version: not the answer that was expected: hello");
	out = over("runc version \n");
	assert_error(runtime_read_version(&runc, &out, &v, &err), &err, CODE_INTERNAL,
		"runc version: not the answer that was expected: runc version");
	out = over("");
	assert_error(runtime_read_version(&runc, &out, &v, &err), &err, CODE_INTERNAL,
		"runc version: not the answer that was expected: it printed nothing");
}

/* Megabytes of noise for every reader. */
static void test_noise(void **state)
{
	struct error err = ERROR_INIT;
	struct buf out = BUF_INIT;
	struct runtime_stats s;
	struct runtime_top t;
	struct runtime_features f;
	struct runtime_version v;
	size_t n = LIMIT_RUNTIME_JSON;
	uint8_t *p = buf_reserve(&out, n);
	unsigned status, x = 1;

	(void)state;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	buf_commit(&out, n);
	assert_error(runtime_read_stats(&runc, &out, &s, &err), &err, CODE_INTERNAL, NULL);
	assert_error(runtime_read_top(&runc, &out, &t, &err), &err, CODE_INTERNAL, NULL);
	assert_error(runtime_read_wait(&runsc, &out, &status, &err), &err, CODE_INTERNAL, NULL);
	assert_error(runtime_read_features(&runc, &out, &f, &err), &err, CODE_INTERNAL, NULL);
	assert_error(runtime_read_version(&runc, &out, &v, &err), &err, CODE_INTERNAL, NULL);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_stream_that_is_ended),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_stats_refused),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_tables_refused),
		cmocka_unit_test(test_long_tables),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
