/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: what is read from it, what is refused with which sentence, and the copy. */
#include "common/bundle.h"

#include <signal.h>

#include "common/json.h"
#include "common/limits.h"
#include "test/unit/unit.h"

static int load_text(struct bed *bed, const char *text, struct bundle *ret, struct error *err)
{
	write_text(bed->dir, "config.json", text);
	return bundle_load(bed->path, ret, err);
}

static struct bundle load(struct bed *bed, const char *text)
{
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;

	assert_ok(load_text(bed, text, &b, &err), &err);
	return b;
}

/* sentence: what follows "PATH/config.json: " */
static void refuse(struct bed *bed, const char *text, const char *sentence)
{
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	char expected[256];

	snprintf(expected, sizeof(expected), "%s/config.json: %s", bed->path, sentence);
	assert_error(load_text(bed, text, &b, &err), &err, CODE_INVALID_ARGUMENT, expected);
	assert_null(b.path);
}

static void test_reads_what_we_lean_on(void **state)
{
	struct bundle b = load(*state,
		"{\"process\":{\"terminal\":true},\"linux\":{\"cgroupsPath\":\"/a/b\","
		"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"}]},"
		"\"annotations\":{\"org.opencontainers.image.stopSignal\":\"SIGQUIT\",\"k\":\"v\"}}");

	assert_true(b.path[0] == '/');
	assert_true(bundle_terminal(&b));
	assert_true(bundle_private_pids(&b));
	assert_string_equal(bundle_cgroups_path(&b), "/a/b");
	assert_int_equal(bundle_stop_signal(&b), SIGQUIT);
	assert_string_equal(bundle_annotation(&b, "k"), "v");
	assert_null(bundle_annotation(&b, "x"));
	bundle_deinit(&b);
	assert_null(b.config);
	bundle_deinit(&b);
}

/* An empty document and one full of nulls: the runtime will say what it misses. */
static void test_defaults(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{\"process\":null,\"root\":null,\"linux\":null,\"annotations\":null,"
		"\"mounts\":null}",
		"{\"process\":{\"args\":null,\"env\":null,\"terminal\":null,\"user\":null,"
		"\"capabilities\":null},\"root\":{\"path\":null},"
		"\"linux\":{\"cgroupsPath\":null,\"namespaces\":null}}",
	};

	for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		struct bundle b = load(*state, documents[i]);

		assert_false(bundle_terminal(&b));
		assert_false(bundle_private_pids(&b));
		assert_null(bundle_cgroups_path(&b));
		assert_int_equal(bundle_stop_signal(&b), SIGTERM);
		assert_null(bundle_annotation(&b, "k"));
		bundle_deinit(&b);
	}
}

static void test_pid_namespace_of_another(void **state)
{
	struct bundle b = load(*state,
		"{\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"}]}}");

	assert_false(bundle_private_pids(&b));
	bundle_deinit(&b);
	b = load(*state, "{\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"\"}]}}");
	assert_true(bundle_private_pids(&b));
	bundle_deinit(&b);
}

static int stop_signal_of(struct bed *bed, const char *text)
{
	char config[256];
	struct bundle b;
	int sig;

	snprintf(config, sizeof(config),
		"{\"annotations\":{\"org.opencontainers.image.stopSignal\":\"%s\"}}", text);
	b = load(bed, config);
	sig = bundle_stop_signal(&b);
	bundle_deinit(&b);
	return sig;
}

static void test_stop_signals(void **state)
{
	assert_int_equal(stop_signal_of(*state, "3"), SIGQUIT);
	assert_int_equal(stop_signal_of(*state, "HUP"), SIGHUP);
	assert_int_equal(stop_signal_of(*state, "SIGRTMIN+3"), 37);
	assert_int_equal(stop_signal_of(*state, "SIGWHAT"), SIGTERM);
	assert_int_equal(stop_signal_of(*state, "99"), SIGTERM);
	assert_int_equal(stop_signal_of(*state, ""), SIGTERM);
}

static void test_wrong_types_are_named(void **state)
{
	refuse(*state, "[]", "must be an object");
	refuse(*state, "{\"process\":[]}", "process must be an object");
	refuse(*state, "{\"process\":{\"args\":\"sh\"}}", "process.args must be an array");
	refuse(*state, "{\"process\":{\"args\":[\"a\",\"b\",3]}}",
		"process.args[2] must be a string");
	refuse(*state, "{\"process\":{\"args\":[18446744073709551615]}}",
		"process.args[0] must be a string");
	refuse(*state, "{\"process\":{\"cwd\":18446744073709551615}}",
		"process.cwd must be a string");
	refuse(*state, "{\"process\":{\"env\":[null]}}", "process.env[0] must be a string");
	refuse(*state, "{\"process\":{\"cwd\":1}}", "process.cwd must be a string");
	refuse(*state, "{\"process\":{\"terminal\":\"true\"}}",
		"process.terminal must be true or false");
	refuse(*state, "{\"process\":{\"user\":\"root\"}}", "process.user must be an object");
	refuse(*state, "{\"process\":{\"capabilities\":{\"bounding\":[1]}}}",
		"process.capabilities.bounding[0] must be a string");
	refuse(*state, "{\"root\":\"rootfs\"}", "root must be an object");
	refuse(*state, "{\"root\":{\"path\":7}}", "root.path must be a string");
	refuse(*state, "{\"linux\":1}", "linux must be an object");
	refuse(*state, "{\"linux\":{\"cgroupsPath\":[]}}", "linux.cgroupsPath must be a string");
	refuse(*state, "{\"linux\":{\"namespaces\":{}}}", "linux.namespaces must be an array");
	refuse(*state, "{\"linux\":{\"namespaces\":[{},\"pid\"]}}",
		"linux.namespaces[1] must be an object");
	refuse(*state, "{\"linux\":{\"namespaces\":[{\"type\":1}]}}",
		"linux.namespaces[0].type must be a string");
	refuse(*state, "{\"annotations\":[]}", "annotations must be an object");
	refuse(*state, "{\"annotations\":{\"a\\nb\":1}}", "annotations[\"a b\"] must be a string");
	refuse(*state, "{\"mounts\":[{},7]}", "mounts[1] must be an object");
	refuse(*state, "{\"mounts\":[{\"options\":[\"ro\",1]}]}",
		"mounts[0].options[1] must be a string");
	refuse(*state, "{\"mounts\":[{\"source\":1}]}", "mounts[0].source must be a string");
	refuse(*state, "{\"process\":\n{\"args\"}}", "line 2, column 8: ':' expected near '}'");
}

static void test_deep_nesting(void **state)
{
	struct bed *bed = *state;
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	char *text = malloc(200000);

	memset(text, '[', 199999);
	text[199999] = '\0';
	assert_error(load_text(bed, text, &b, &err), &err, CODE_INVALID_ARGUMENT, NULL);
	free(text);
}

static void test_missing(void **state)
{
	struct bed *bed = *state;
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	char sentence[256];

	snprintf(
		sentence, sizeof(sentence), "%s/config.json: No such file or directory", bed->path);
	assert_error(bundle_load(bed->path, &b, &err), &err, CODE_NOT_FOUND, sentence);
	assert_error(bundle_load("/no/such", &b, &err), &err, CODE_NOT_FOUND,
		"bundle /no/such: No such file or directory");
	assert_int_equal(mkdirat(bed->dir, "config.json", 0700), 0);
	snprintf(sentence, sizeof(sentence), "%s/config.json: not a regular file", bed->path);
	assert_error(bundle_load(bed->path, &b, &err), &err, CODE_INVALID_ARGUMENT, sentence);
}

/* A document of n bytes, padded with spaces. */
static void write_sized(struct bed *bed, size_t n)
{
	char *text = malloc(n);

	memset(text, ' ', n);
	memcpy(text, "{}", 2);
	write_file(bed->dir, "config.json", text, n, 0600);
	free(text);
}

static void test_size_limit(void **state)
{
	struct bed *bed = *state;
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	char sentence[256];
	int fd;

	snprintf(
		sentence, sizeof(sentence), "%s/config.json: larger than 4194304 bytes", bed->path);
	write_sized(bed, LIMIT_CONFIG_JSON);
	assert_ok(bundle_load(bed->path, &b, &err), &err);
	bundle_deinit(&b);
	write_sized(bed, LIMIT_CONFIG_JSON + 1);
	assert_error(bundle_load(bed->path, &b, &err), &err, CODE_RESOURCE_EXHAUSTED, sentence);
	/* 100 MiB on paper: refused by its size, not by reading it */
	fd = openat(bed->dir, "config.json", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 100 << 20), 0);
	close(fd);
	assert_error(bundle_load(bed->path, &b, &err), &err, CODE_RESOURCE_EXHAUSTED, sentence);
}

static void test_linked_config(void **state)
{
	struct bed *bed = *state;
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;

	write_text(bed->dir, "real.json", "{\"process\":{\"terminal\":true}}");
	assert_int_equal(symlinkat("real.json", bed->dir, "config.json"), 0);
	assert_ok(bundle_load(bed->path, &b, &err), &err);
	assert_true(bundle_terminal(&b));
	bundle_deinit(&b);
}

static json_t *read_copy(int dir)
{
	struct error err = ERROR_INIT;
	json_t *j = NULL;

	assert_ok(json_read_file(dir, "config.json", LIMIT_CONFIG_JSON, "copy", &j, &err), &err);
	return j;
}

static const char *source_of(const json_t *config, size_t i)
{
	return json_get_string(
		json_array_get(json_object_get(config, "mounts"), i), "source", NULL);
}

static void test_override(void **state)
{
	struct bed *bed = *state;
	struct bundle b = load(bed,
		"{\"process\":{\"terminal\":true,\"rlimits\":[{\"hard\":18446744073709551615}]},"
		"\"root\":{\"path\":\"rootfs\"},\"mounts\":["
		"{\"type\":\"bind\",\"source\":\"data\"},"
		"{\"type\":\"none\",\"source\":\"data2\",\"options\":[\"ro\",\"rbind\"]},"
		"{\"type\":\"bind\",\"source\":\"/abs\"},"
		"{\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
		"{\"options\":[\"bind\"]}]}");
	char *before = read_text(bed->dir, "config.json"), *after, *copy, path[128];
	struct error err = ERROR_INIT;
	json_t *j;
	int dir;

	assert_int_equal(mkdirat(bed->dir, "state", 0700), 0);
	dir = openat(bed->dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(bundle_write_override(
			  &b, &(struct bundle_override){ .terminal = false }, dir, &err),
		&err);
	j = read_copy(dir);
	assert_false(json_get_bool(json_object_get(j, "process"), "terminal", true));
	snprintf(path, sizeof(path), "%s/rootfs", b.path);
	assert_string_equal(json_get_string(json_object_get(j, "root"), "path", NULL), path);
	snprintf(path, sizeof(path), "%s/data", b.path);
	assert_string_equal(source_of(j, 0), path);
	snprintf(path, sizeof(path), "%s/data2", b.path);
	assert_string_equal(source_of(j, 1), path);
	assert_string_equal(source_of(j, 2), "/abs");
	assert_string_equal(source_of(j, 3), "tmpfs");
	assert_null(source_of(j, 4));
	json_decref(j);
	/* what we do not understand is passed on to the last digit */
	copy = read_text(dir, "config.json");
	assert_non_null(strstr(copy, "\"hard\":18446744073709551615"));
	/* neither the bundle on disk nor the one in memory has changed */
	after = read_text(bed->dir, "config.json");
	assert_string_equal(after, before);
	assert_true(bundle_terminal(&b));
	assert_ok(
		bundle_write_override(&b, &(struct bundle_override){ .terminal = true }, dir, &err),
		&err);
	j = read_copy(dir);
	assert_true(json_get_bool(json_object_get(j, "process"), "terminal", false));
	json_decref(j);
	free(before);
	free(after);
	free(copy);
	close(dir);
	bundle_deinit(&b);
}

static const char *text_at(const json_t *list, size_t i)
{
	return json_string_value(json_array_get(list, i));
}

static json_t *override_all(struct bed *bed, const char *config)
{
	static const char *const env[] = { "B=new", "D=", NULL };
	const struct bundle_override all = {
		.env = env,
		.folder = "/from",
		.folder_inside = "/inside",
		.cgroups_path = "/group",
	};
	struct bundle b = load(bed, config);
	struct error err = ERROR_INIT;
	json_t *j;
	int dir;

	mkdirat(bed->dir, "state", 0700);
	dir = openat(bed->dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(bundle_write_override(&b, &all, dir, &err), &err);
	j = read_copy(dir);
	close(dir);
	bundle_deinit(&b);
	return j;
}

/* A variable takes the place of all that have its name, and of none that only begins with it. */
static void test_override_all(void **state)
{
	json_t *j =
		override_all(*state, "{\"process\":{\"env\":[\"B=1\",\"BB=2\",\"B=3\",\"C=4\"]},"
				     "\"mounts\":[{\"type\":\"tmpfs\",\"source\":\"tmpfs\"}],"
				     "\"linux\":{\"cgroupsPath\":\"old\",\"x\":1}}");
	const json_t *env = json_object_get(json_object_get(j, "process"), "env");
	const json_t *mount = json_array_get(json_object_get(j, "mounts"), 1);

	assert_int_equal(json_array_size(env), 4);
	assert_string_equal(text_at(env, 0), "BB=2");
	assert_string_equal(text_at(env, 1), "C=4");
	assert_string_equal(text_at(env, 2), "B=new");
	assert_string_equal(text_at(env, 3), "D=");
	assert_string_equal(json_get_string(mount, "source", NULL), "/from");
	assert_string_equal(json_get_string(mount, "destination", NULL), "/inside");
	assert_string_equal(text_at(json_object_get(mount, "options"), 0), "bind");
	assert_string_equal(text_at(json_object_get(mount, "options"), 4), "ro");
	assert_string_equal(
		json_get_string(json_object_get(j, "linux"), "cgroupsPath", NULL), "/group");
	assert_int_equal(json_get_int(json_object_get(j, "linux"), "x", 0), 1);
	json_decref(j);
}

/* What is not there, or null, is made; but a container without a process gets none. */
static void test_override_of_nothing(void **state)
{
	json_t *j = override_all(*state, "{\"process\":{\"env\":null},\"mounts\":null}");

	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "process"), "env")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "mounts")), 1);
	assert_string_equal(
		json_get_string(json_object_get(j, "linux"), "cgroupsPath", NULL), "/group");
	json_decref(j);
	j = override_all(*state, "{}");
	assert_null(json_object_get(j, "process"));
	json_decref(j);
}

static void test_override_cannot_be_written(void **state)
{
	struct bed *bed = *state;
	struct bundle b = load(bed, "{}");
	struct error err = ERROR_INIT;
	int fd = openat(bed->dir, "config.json", O_RDONLY | O_CLOEXEC), r;

	r = bundle_write_override(&b, &(struct bundle_override){ .terminal = true }, fd, &err);
	assert_int_equal(r, CODE_INVALID_ARGUMENT); /* not a folder */
	error_clear(&err);
	close(fd);
	bundle_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_reads_what_we_lean_on),
		bed_test(test_defaults),
		bed_test(test_pid_namespace_of_another),
		bed_test(test_stop_signals),
		bed_test(test_wrong_types_are_named),
		bed_test(test_deep_nesting),
		bed_test(test_missing),
		bed_test(test_size_limit),
		bed_test(test_linked_config),
		bed_test(test_override),
		bed_test(test_override_all),
		bed_test(test_override_of_nothing),
		bed_test(test_override_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
