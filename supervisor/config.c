/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. One table says of each key what it may be, where it is kept, and whether it can
 * change while cleatd runs. Looks for no file that a key names: that is told where it is needed.
 * Subtle: a document is checked whole before anything of it is taken, so that a reload either
 * happens or does not.
 */
#include "supervisor/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/json_source.h"

#define VERSION		1
#define DEADLINE_MS_MAX 86400000
#define ANSWER_MS_MAX	60000
#define CONNECTIONS_MAX 65536
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_ERROR] = "error",
};
_Static_assert(sizeof(level_names) / sizeof(*level_names) == _LOG_LEVEL_MAX, "a name for each");

void config_deinit(struct config *c)
{
	free(c->root);
	free(c->socket);
	free(c->shim);
	free(c->runtime);
	*c = CONFIG_INIT;
}

/* --- what is wrong with a value; NULL: nothing --- */

static const char *check_path(const json_t *value)
{
	if (!json_is_text(value))
		return "not a string";
	return *json_string_value(value) == '/' ? NULL : "not an absolute path";
}

static const char *check_socket(const json_t *value)
{
	const char *wrong = check_path(value);

	if (wrong || strlen(json_string_value(value)) <= SOCKET_PATH_MAX)
		return wrong;
	return "too long for a socket's path, which has 107 bytes at most";
}

static const char *check_runtime(const json_t *value)
{
	const char *text = json_string_value(value);

	if (!json_is_text(value))
		return "not a string";
	return *text == '/' || (*text && !strchr(text, '/'))
		       ? NULL
		       : "neither a name nor an absolute path";
}

/* _LOG_LEVEL_MAX: none. */
static enum log_level find_level(const json_t *value)
{
	const char *text = json_string_value(value);
	enum log_level level = LOG_LEVEL_DEBUG;

	while (level < _LOG_LEVEL_MAX && (!text || strcmp(text, level_names[level]) != 0))
		level++;
	return level;
}

static const char *check_level(const json_t *value)
{
	if (!json_is_text(value))
		return "not a string";
	return find_level(value) < _LOG_LEVEL_MAX ? NULL : "none of debug, info, warning, error";
}

static bool is_number_up_to(const json_t *value, json_int_t max)
{
	return json_is_integer(value) && json_integer_value(value) >= 1 &&
	       json_integer_value(value) <= max;
}

static const char *check_answer(const json_t *value)
{
	return is_number_up_to(value, ANSWER_MS_MAX) ? NULL
						     : "not a number of milliseconds up to 60000";
}

static const char *check_deadline(const json_t *value)
{
	return is_number_up_to(value, DEADLINE_MS_MAX)
		       ? NULL
		       : "not a number of milliseconds up to 86400000";
}

static const char *check_connections(const json_t *value)
{
	return is_number_up_to(value, CONNECTIONS_MAX) ? NULL : "not a number up to 65536";
}

/* --- the keys --- */

enum kind {
	KIND_TEXT,
	KIND_LEVEL,
	KIND_NUMBER,
};

static const struct key {
	const char *name;
	const char *(*check)(const json_t *value);
	size_t offset; /* in struct config: of a char *, an enum log_level, a uint32_t */
	enum kind kind;
	bool reloads;
} keys[] = {
	{ "root", check_path, offsetof(struct config, root), KIND_TEXT, false },
	{ "socket", check_socket, offsetof(struct config, socket), KIND_TEXT, false },
	{ "shim", check_path, offsetof(struct config, shim), KIND_TEXT, false },
	{ "runtime", check_runtime, offsetof(struct config, runtime), KIND_TEXT, true },
	{ "log_level", check_level, offsetof(struct config, log_level), KIND_LEVEL, true },
	{ "shim_answer_ms", check_answer, offsetof(struct config, shim_answer_ms), KIND_NUMBER,
		true },
	{ "deadline_ms", check_deadline, offsetof(struct config, deadline_ms), KIND_NUMBER, true },
	{ "max_connections", check_connections, offsetof(struct config, max_connections),
		KIND_NUMBER, false },
};
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static void *place_of(struct config *c, const struct key *k)
{
	return (char *)c + k->offset;
}

static const void *value_of(const struct config *c, const struct key *k)
{
	return (const char *)c + k->offset;
}

/* 0 or -ENOMEM. */
static int set_text(char **place, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return -ENOMEM;
	free(*place);
	*place = copy;
	return 0;
}

/* The value has been checked. 0 or -ENOMEM. */
static int take(const struct key *k, const json_t *value, struct config *ret)
{
	void *place = place_of(ret, k);

	switch (k->kind) {
	case KIND_TEXT:
		return set_text(place, json_string_value(value));
	case KIND_LEVEL:
		*(enum log_level *)place = find_level(value);
		return 0;
	case KIND_NUMBER:
	default:
		*(uint32_t *)place = (uint32_t)json_integer_value(value);
		return 0;
	}
}

/* --- the document --- */

static int check_document(const struct json_source *s, json_t *document)
{
	int r = json_source_version(s, document, VERSION);
	const char *name;
	json_t *value;

	if (r != 0)
		return r;
	json_object_foreach (document, name, value) {
		const char *const path[] = { name, NULL };
		const struct key *k = find_key(name);
		const char *wrong = k ? k->check(value) : "not a key that is known";

		if (wrong && strcmp(name, "v") != 0)
			return json_source_refuse(s, path, wrong);
	}
	return 0;
}

int config_read_in(
	const char *file, const void *data, size_t n, struct config *ret, struct error *err)
{
	const struct json_source s = { file, data, n, err };
	_cleanup_config_ struct config taken = CONFIG_INIT;
	_cleanup_json_ json_t *document = NULL;
	const char *name;
	json_t *value;
	int r = json_source_parse(&s, &document);

	if (r == 0)
		r = check_document(&s, document);
	if (r != 0)
		return r;
	json_object_foreach (document, name, value) {
		const struct key *k = find_key(name);

		if (k && take(k, value, &taken) < 0)
			return error_errno(err, -ENOMEM, "%s", file);
	}
	config_deinit(ret);
	*ret = taken;
	taken = CONFIG_INIT;
	return 0;
}

int config_read(const char *path, struct config *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct stat st;
	int r = json_source_read(path, LIMIT_CLEATD_JSON, &text, err);

	if (r == CODE_NOT_FOUND && lstat(path, &st) < 0 && errno == ENOENT) {
		error_clear(err);
		config_deinit(ret);
		return 0;
	}
	return r == 0 ? config_read_in(path, buf_head(&text), text.len, ret, err) : r;
}

/* --- reloading --- */

static bool is_same(const struct config *a, const struct config *b, const struct key *k)
{
	const void *va = value_of(a, k), *vb = value_of(b, k);
	const char *ta, *tb;

	if (k->kind == KIND_LEVEL)
		return *(const enum log_level *)va == *(const enum log_level *)vb;
	if (k->kind == KIND_NUMBER)
		return *(const uint32_t *)va == *(const uint32_t *)vb;
	ta = *(char *const *)va;
	tb = *(char *const *)vb;
	return ta && tb ? strcmp(ta, tb) == 0 : ta == tb;
}

static int copy(const struct key *k, const struct config *from, struct config *to)
{
	void *place = place_of(to, k);
	const void *value = value_of(from, k);

	if (k->kind == KIND_TEXT)
		return set_text(place, *(char *const *)value);
	if (k->kind == KIND_LEVEL)
		*(enum log_level *)place = *(const enum log_level *)value;
	else
		*(uint32_t *)place = *(const uint32_t *)value;
	return 0;
}

int config_reload(struct config *now, const struct config *wanted, struct argv *ret_kept)
{
	_cleanup_config_ struct config next = CONFIG_INIT;
	int r = 0;

	for (size_t i = 0; i < N_KEYS && r == 0; i++) {
		const struct key *k = &keys[i];

		r = copy(k, k->reloads ? wanted : now, &next);
		if (r == 0 && !k->reloads && !is_same(now, wanted, k))
			r = argv_add(ret_kept, k->name);
	}
	if (r < 0)
		return r;
	config_deinit(now);
	*now = next;
	next = CONFIG_INIT;
	return 0;
}
