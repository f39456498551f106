/* SPDX-License-Identifier: Apache-2.0 */
/* cleatd.json: what it may say, every mistake with its line and key, and what a reload changes. */
#include "supervisor/config.h"

#include "common/limits.h"
#include "test/unit/unit.h"

static const char good[] = "{\n"
			   "  \"v\": 1,\n"
			   "  \"root\": \"/srv/cleat\", \"socket\": \"/srv/cleatd.sock\",\n"
			   "  \"shim\": \"/opt/cleat-shim\",\n"
			   "  \"runtime\": \"fast\",\n"
			   "  \"log_level\": \"warning\",\n"
			   "  \"shim_answer_ms\": 75, \"deadline_ms\": 1500,\n"
			   "  \"max_connections\": 300\n"
			   "}\n";

static int read_config(const char *text, struct config *ret, struct error *err)
{
	return config_read_in("cleatd.json", text, strlen(text), ret, err);
}

static void assert_defaults(const struct config *c)
{
	assert_true(!c->root && !c->socket && !c->shim && !c->runtime);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->shim_answer_ms, 50);
	assert_int_equal(c->deadline_ms, 60000);
	assert_int_equal(c->max_connections, 1024);
}

static void test_all_keys(void **state)
{
	struct config c = CONFIG_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(read_config(good, &c, &err), &err);
	assert_string_equal(c.root, "/srv/cleat");
	assert_string_equal(c.socket, "/srv/cleatd.sock");
	assert_string_equal(c.shim, "/opt/cleat-shim");
	assert_string_equal(c.runtime, "fast");
	assert_int_equal(c.log_level, LOG_LEVEL_WARNING);
	assert_int_equal(c.shim_answer_ms, 75);
	assert_int_equal(c.deadline_ms, 1500);
	assert_int_equal(c.max_connections, 300);
	/* what the next one does not say is not left over */
	assert_ok(read_config("{\"v\":1}", &c, &err), &err);
	assert_defaults(&c);
	config_deinit(&c);
	config_deinit(&c);
}

static void test_levels(void **state)
{
	static const char *const names[] = { "debug", "info", "warning", "error" };

	(void)state;
	for (int level = 0; level < _LOG_LEVEL_MAX; level++) {
		struct config c = CONFIG_INIT;
		struct error err = ERROR_INIT;
		char text[64];

		snprintf(text, sizeof(text), "{\"v\":1,\"log_level\":\"%s\"}", names[level]);
		assert_ok(read_config(text, &c, &err), &err);
		assert_int_equal(c.log_level, level);
	}
}

static void refused(const char *text, const char *sentence)
{
	struct config c = CONFIG_INIT;
	struct error err = ERROR_INIT;
	char whole[256];

	c.deadline_ms = 7;
	snprintf(whole, sizeof(whole), "cleatd.json:%s", sentence);
	assert_error(read_config(text, &c, &err), &err, CODE_INVALID_ARGUMENT, whole);
	/* what was there is not touched */
	assert_true(c.deadline_ms == 7 && !c.root && !c.runtime);
}

#define FILE_OF(text) "{\"v\":1,\n\"root\":\"/r\",\n" text "}"

static void test_mistakes(void **state)
{
	(void)state;
	refused("", "1: '[' or '{' expected near end of file");
	refused("{\"v\":1,\n\n oops}", "3: string or '}' expected near 'oops'");
	refused("[]", "1: not an object");
	refused("{}", "1: v: not a number");
	refused("{\n\"v\":\"1\"}", "2: v: not a number");
	refused("{\n\"v\":2}", "2: v: not a version that this cleat knows: it knows 1");
	refused("{\"v\":1,\"root\":\"/a\",\n\"root\":\"/b\"}",
		"2: duplicate object key near '\"root\"'");
	refused(FILE_OF("\n\"sockets\":1"), "4: sockets: not a key that is known");
	refused(FILE_OF("\"a\\nb\":1"), "3: a b: not a key that is known");
	refused(FILE_OF("\"deadline\":1"), "3: deadline: not a key that is known");
}

static void test_wrong_values(void **state)
{
	(void)state;
	refused("{\"v\":1,\n\"root\":\"run\"}", "2: root: not an absolute path");
	refused("{\"v\":1,\n\"root\":\"\"}", "2: root: not an absolute path");
	refused("{\"v\":1,\n\"root\":1}", "2: root: not a string");
	refused(FILE_OF("\"socket\":\"cleatd.sock\""), "3: socket: not an absolute path");
	refused(FILE_OF("\"socket\":null"), "3: socket: not a string");
	refused(FILE_OF("\"shim\":\"cleat-shim\""), "3: shim: not an absolute path");
	refused(FILE_OF("\"shim\":[]"), "3: shim: not a string");
	refused(FILE_OF("\"runtime\":\"bin/x\""),
		"3: runtime: neither a name nor an absolute path");
	refused(FILE_OF("\"runtime\":\"\""), "3: runtime: neither a name nor an absolute path");
	refused(FILE_OF("\"runtime\":{}"), "3: runtime: not a string");
	refused(FILE_OF("\"log_level\":\"warn\""),
		"3: log_level: none of debug, info, warning, error");
	refused(FILE_OF("\"log_level\":1"), "3: log_level: not a string");
	refused(FILE_OF("\"shim_answer_ms\":0"),
		"3: shim_answer_ms: not a number of milliseconds up to 60000");
	refused(FILE_OF("\"shim_answer_ms\":60001"),
		"3: shim_answer_ms: not a number of milliseconds up to 60000");
	refused(FILE_OF("\"deadline_ms\":\"60000\""),
		"3: deadline_ms: not a number of milliseconds up to 86400000");
	refused(FILE_OF("\"deadline_ms\":86400001"),
		"3: deadline_ms: not a number of milliseconds up to 86400000");
	refused(FILE_OF("\"deadline_ms\":1.5"),
		"3: deadline_ms: not a number of milliseconds up to 86400000");
	refused(FILE_OF("\"max_connections\":0"), "3: max_connections: not a number up to 65536");
	refused(FILE_OF("\"max_connections\":65537"),
		"3: max_connections: not a number up to 65536");
	refused(FILE_OF("\"max_connections\":-1"), "3: max_connections: not a number up to 65536");
}

/* The longest path that bind(2) takes, one byte more, and far more. */
static void test_socket_length(void **state)
{
	static const size_t lengths[] = { 107, 108, 4000 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct config c = CONFIG_INIT;
		struct error err = ERROR_INIT;
		char path[4096], text[4200];

		memset(path, 'a', lengths[i]);
		path[0] = '/';
		path[lengths[i]] = '\0';
		snprintf(text, sizeof(text), "{\"v\":1,\n\"socket\":\"%s\"}", path);
		assert_error(read_config(text, &c, &err), &err,
			i == 0 ? CODE_OK : CODE_INVALID_ARGUMENT,
			i == 0 ? NULL
			       : "cleatd.json:2: socket: too long for a socket's path, which has "
				 "107 bytes at most");
		config_deinit(&c);
	}
}

static void test_files(void **state)
{
	struct bed *bed = *state;
	struct config c = CONFIG_INIT;
	struct error err = ERROR_INIT;
	char path[128], sentence[256];

	snprintf(path, sizeof(path), "%s/c.json", bed->path);
	assert_ok(read_config(good, &c, &err), &err);
	assert_ok(config_read(path, &c, &err), &err);
	assert_defaults(&c);
	assert_int_equal(symlinkat("real.json", bed->dir, "c.json"), 0);
	assert_error(config_read(path, &c, &err), &err, CODE_NOT_FOUND, NULL);
	write_text(bed->dir, "real.json", good);
	assert_ok(config_read(path, &c, &err), &err);
	assert_string_equal(c.runtime, "fast");
	write_text(bed->dir, "real.json", "{\"v\":1,\n\"runtime\":0}");
	snprintf(sentence, sizeof(sentence), "%s:2: runtime: not a string", path);
	assert_error(config_read(path, &c, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	assert_string_equal(c.runtime, "fast");
	assert_int_equal(unlinkat(bed->dir, "c.json", 0), 0);
	assert_int_equal(mkfifoat(bed->dir, "c.json", 0600), 0);
	snprintf(sentence, sizeof(sentence), "%s: not a regular file", path);
	assert_error(config_read(path, &c, &err), &err, CODE_INVALID_ARGUMENT, sentence);
	config_deinit(&c);
}

/* At the limit, one above, far above. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { LIMIT_CLEATD_JSON, LIMIT_CLEATD_JSON + 1,
		10 * LIMIT_CLEATD_JSON };
	struct bed *bed = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/c.json", bed->path);
	for (size_t i = 0; i < 3; i++) {
		struct config c = CONFIG_INIT;
		struct error err = ERROR_INIT;
		char *text = malloc(sizes[i]);

		memset(text, ' ', sizes[i]);
		memcpy(text, good, strlen(good));
		write_file(bed->dir, "c.json", text, sizes[i], 0600);
		assert_error(config_read(path, &c, &err), &err,
			i == 0 ? CODE_OK : CODE_RESOURCE_EXHAUSTED, NULL);
		config_deinit(&c);
		free(text);
	}
}

/* --- reloading --- */

static void reload(struct config *now, const char *text, struct argv *kept)
{
	struct config wanted = CONFIG_INIT;
	struct error err = ERROR_INIT;

	argv_deinit(kept);
	assert_ok(read_config(text, &wanted, &err), &err);
	assert_int_equal(config_reload(now, &wanted, kept), 0);
	config_deinit(&wanted);
}

static void test_reload(void **state)
{
	struct config now = CONFIG_INIT;
	struct error err = ERROR_INIT;
	struct argv kept = ARGV_INIT;

	(void)state;
	assert_ok(read_config(good, &now, &err), &err);
	reload(&now, good, &kept);
	assert_int_equal(kept.n, 0);
	reload(&now,
		"{\"v\":1,\"root\":\"/srv/cleat\",\"socket\":\"/srv/cleatd.sock\","
		"\"shim\":\"/opt/cleat-shim\",\"max_connections\":300,\"runtime\":\"crun\","
		"\"log_level\":\"debug\",\"shim_answer_ms\":5,\"deadline_ms\":6}",
		&kept);
	assert_int_equal(kept.n, 0);
	assert_string_equal(now.runtime, "crun");
	assert_int_equal(now.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(now.shim_answer_ms, 5);
	assert_int_equal(now.deadline_ms, 6);
	assert_string_equal(now.root, "/srv/cleat");
	config_deinit(&now);
	argv_deinit(&kept);
}

static void test_reload_keeps(void **state)
{
	struct config now = CONFIG_INIT;
	struct error err = ERROR_INIT;
	struct argv kept = ARGV_INIT;

	(void)state;
	assert_ok(read_config(good, &now, &err), &err);
	/* all that is gone from the file is what it is without one */
	reload(&now, "{\"v\":1}", &kept);
	assert_int_equal(kept.n, 4);
	assert_string_equal(kept.v[0], "root");
	assert_string_equal(kept.v[1], "socket");
	assert_string_equal(kept.v[2], "shim");
	assert_string_equal(kept.v[3], "max_connections");
	assert_string_equal(now.root, "/srv/cleat");
	assert_string_equal(now.shim, "/opt/cleat-shim");
	assert_int_equal(now.max_connections, 300);
	assert_null(now.runtime);
	assert_int_equal(now.deadline_ms, 60000);
	config_deinit(&now);
	now = CONFIG_INIT;
	reload(&now, "{\"v\":1,\"shim\":\"/x\",\"runtime\":\"runc\"}", &kept);
	assert_int_equal(kept.n, 1);
	assert_string_equal(kept.v[0], "shim");
	assert_null(now.shim);
	assert_string_equal(now.runtime, "runc");
	config_deinit(&now);
	argv_deinit(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_socket_length),
		bed_test(test_files),
		bed_test(test_sizes),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_reload_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
