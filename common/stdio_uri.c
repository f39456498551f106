/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. A plain path is taken as it is; what stands behind file:// and binary:// is decoded,
 * as containerd's clients encode it. Subtle: in a query a + is a space; in a path it is itself.
 */
#include "common/stdio_uri.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"

#define LOG_FILES_DEFAULT 5 /* as the kubelet has it */

void stdio_uri_deinit(struct stdio_uri *u)
{
	free(u->path);
	argv_deinit(&u->args);
	*u = STDIO_URI_INIT;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes %XX in place; false for what is no such thing, or would be a NUL. */
static bool percent_decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		int high, low;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = hex_digit(from[1]);
		low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || high * 16 + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

static int check_path(const char *path, struct error *err)
{
	if (path[0] != '/')
		return error_set(err, CODE_INVALID_ARGUMENT, "not an absolute path");
	if (strlen(path) >= PATH_MAX)
		return error_set(err, CODE_INVALID_ARGUMENT, "longer than a path may be");
	return 0;
}

static int parse_fd(const char *number, struct stdio_uri *u, struct error *err)
{
	unsigned long n;
	char *end;

	if (number[0] < '0' || number[0] > '9')
		return error_set(err, CODE_INVALID_ARGUMENT, "fd: wants a number");
	errno = 0;
	n = strtoul(number, &end, 10);
	if (*end || errno || n > UINT_MAX)
		return error_set(err, CODE_INVALID_ARGUMENT, "fd: wants a number");
	u->scheme = STDIO_FD;
	u->fd = (unsigned)n;
	return 0;
}

static int parse_query(const char *query, struct stdio_uri *u, struct error *err)
{
	while (*query) {
		size_t n = strcspn(query, "&");

		if (n == strlen("direct=1") && strncmp(query, "direct=1", n) == 0)
			u->direct = true;
		else if (n == strlen("direct=0") && strncmp(query, "direct=0", n) == 0)
			u->direct = false;
		else if (n > 0)
			return error_set(err, CODE_INVALID_ARGUMENT,
				"file:// has no option \"%.*s\"", (int)n, query);
		query += n;
		query += *query == '&';
	}
	return 0;
}

/* The decoded path before the query, which must be absolute. Where it stops is *ret_query, or NULL. */
static int parse_path(
	const char *scheme, const char *rest, char **ret, const char **ret_query, struct error *err)
{
	const char *query = strchr(rest, '?');
	_cleanup_free_ char *path = query ? strndup(rest, (size_t)(query - rest)) : strdup(rest);
	int r;

	if (!path)
		return error_errno(err, -ENOMEM, "%s://", scheme);
	if (path[0] != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"%s:// wants an absolute path and no host, as in %s:///path", scheme,
			scheme);
	if (!percent_decode(path))
		return error_set(err, CODE_INVALID_ARGUMENT, "bad %%-escape");
	r = check_path(path, err);
	if (r)
		return r;
	if (path[strlen(path) - 1] == '/')
		return error_set(err, CODE_INVALID_ARGUMENT, "a folder, not a file");
	*ret = TAKE_PTR(path);
	*ret_query = query ? query + 1 : NULL;
	return 0;
}

static int parse_file(const char *rest, struct stdio_uri *u, struct error *err)
{
	const char *query;
	int r = parse_path("file", rest, &u->path, &query, err);

	if (!r && query)
		r = parse_query(query, u, err);
	u->scheme = STDIO_FILE;
	return r;
}

/* --- cri:// and json:// --- */

/* Bytes, or with k, m or g behind them; the whole of text[0..n). False: no such thing. */
static bool parse_size(const char *text, size_t n, uint64_t *ret)
{
	uint64_t value = 0;
	unsigned shift = 0;

	if (n > 1 && strchr("kKmMgG", text[n - 1])) {
		char unit = (char)(text[--n] | 0x20);

		shift = unit == 'k' ? 10 : unit == 'm' ? 20 : 30;
	}
	if (n == 0 || n > 15)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (value > (uint64_t)INT64_MAX >> shift)
		return false;
	*ret = value << shift;
	return true;
}

static int parse_log_option(const char *option, size_t n, struct stdio_uri *u, struct error *err)
{
	static const char size[] = "max-size=", files[] = "max-files=";
	uint64_t value;

	if (n >= strlen(size) && strncmp(option, size, strlen(size)) == 0) {
		if (!parse_size(option + strlen(size), n - strlen(size), &value) ||
			(value != 0 && value < LIMIT_LOG_SIZE_MIN))
			return error_set(err, CODE_INVALID_ARGUMENT,
				"\"%.*s\": max-size wants a number of bytes, or of k, m or g, of %u or "
				"more; 0 for no rotation",
				n > 80 ? 80 : (int)n, option, LIMIT_LOG_SIZE_MIN);
		u->max_size = value;
		return 0;
	}
	if (n >= strlen(files) && strncmp(option, files, strlen(files)) == 0) {
		if (!parse_size(option + strlen(files), n - strlen(files), &value) || value < 2 ||
			value > LIMIT_LOG_FILES)
			return error_set(err, CODE_INVALID_ARGUMENT,
				"\"%.*s\": max-files wants a number from 2 to %u",
				n > 80 ? 80 : (int)n, option, LIMIT_LOG_FILES);
		u->max_files = (unsigned)value;
		return 0;
	}
	return error_set(err, CODE_INVALID_ARGUMENT, "logs have no option \"%.*s\"",
		n > 80 ? 80 : (int)n, option);
}

static int parse_log(const char *scheme, enum log_format format, const char *rest,
	struct stdio_uri *u, struct error *err)
{
	const char *query;
	int r = parse_path(scheme, rest, &u->path, &query, err);

	u->scheme = STDIO_LOG;
	u->format = format;
	u->max_files = LOG_FILES_DEFAULT;
	while (!r && query && *query) {
		size_t n = strcspn(query, "&");

		if (n > 0)
			r = parse_log_option(query, n, u, err);
		query += n;
		query += *query == '&';
	}
	return r;
}

/* --- binary:// --- */

static int decode(const char *from, size_t n, char **ret, struct error *err)
{
	_cleanup_free_ char *text = strndup(from, n);

	if (!text)
		return error_errno(err, -ENOMEM, "argument");
	for (char *plus = text; (plus = strchr(plus, '+'));)
		*plus = ' ';
	if (!percent_decode(text))
		return error_set(err, CODE_INVALID_ARGUMENT, "bad %%-escape in \"%.*s\"",
			n > 80 ? 80 : (int)n, from);
	*ret = TAKE_PTR(text);
	return 0;
}

static bool has_key(const struct argv *args, const char *key)
{
	for (size_t i = 0; i < args->n; i += 2)
		if (strcmp(args->v[i], key) == 0)
			return true;
	return false;
}

static int add_pair(struct argv *args, const char *pair, size_t n, struct error *err)
{
	const char *equals = memchr(pair, '=', n);
	size_t n_key = equals ? (size_t)(equals - pair) : n;
	_cleanup_free_ char *key = NULL, *value = NULL;
	int r = decode(pair, n_key, &key, err);

	if (!r)
		r = decode(equals ? equals + 1 : "", equals ? n - n_key - 1 : 0, &value, err);
	if (r || has_key(args, key))
		return r;
	if (args->n == 2 * (size_t)LIMIT_LOGGER_PAIRS)
		return error_set(err, CODE_INVALID_ARGUMENT, "more than %u pairs in its query",
			LIMIT_LOGGER_PAIRS);
	if (argv_add(args, key) < 0 || argv_add(args, value) < 0)
		return error_errno(err, -ENOMEM, "argument");
	return 0;
}

static int parse_arguments(const char *query, struct argv *args, struct error *err)
{
	int r = 0;

	while (!r && *query) {
		size_t n = strcspn(query, "&");

		if (n > 0)
			r = add_pair(args, query, n, err);
		query += n;
		query += *query == '&';
	}
	return r;
}

/* As net/url has it: a fragment is no part of it. */
static int parse_logger(
	const char *scheme, const char *rest, struct stdio_uri *u, struct error *err)
{
	_cleanup_free_ char *text = strndup(rest, strcspn(rest, "#"));
	const char *query;
	int r;

	if (!text)
		return error_errno(err, -ENOMEM, "%s://", scheme);
	r = parse_path(scheme, text, &u->path, &query, err);
	if (!r && query)
		r = parse_arguments(query, &u->args, err);
	u->scheme = STDIO_LOGGER;
	return r;
}

/* The length of a leading "scheme" where "scheme:" stands there (RFC 3986), else 0. */
static size_t scheme_length(const char *uri)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char all[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
	size_t n = strspn(uri, all);

	return strspn(uri, letters) > 0 && uri[n] == ':' ? n : 0;
}

static int parse(const char *uri, struct stdio_uri *u, struct error *err)
{
	size_t n = scheme_length(uri);
	int r;

	if (strncmp(uri, "fd:", 3) == 0)
		return parse_fd(uri + 3, u, err);
	if (strncmp(uri, "file://", 7) == 0)
		return parse_file(uri + 7, u, err);
	if (strncmp(uri, "binary://", 9) == 0)
		return parse_logger("binary", uri + 9, u, err);
	if (strncmp(uri, "cri://", 6) == 0)
		return parse_log("cri", LOG_CRI, uri + 6, u, err);
	if (strncmp(uri, "json://", 7) == 0)
		return parse_log("json", LOG_JSON, uri + 7, u, err);
	u->wants_byte = strncmp(uri, "binary-v2://", 12) == 0;
	if (u->wants_byte)
		return parse_logger("binary-v2", uri + 12, u, err);
	if (n > 0)
		return error_set(err, CODE_UNIMPLEMENTED, "scheme \"%.*s\" is not implemented",
			n > 32 ? 32 : (int)n, uri);
	r = check_path(uri, err);
	if (r)
		return r;
	u->path = strdup(uri);
	if (!u->path)
		return error_errno(err, -ENOMEM, "path");
	u->scheme = STDIO_FIFO;
	return 0;
}

int stdio_uri_parse(const char *uri, struct stdio_uri *ret, struct error *err)
{
	_cleanup_stdio_uri_ struct stdio_uri u = STDIO_URI_INIT;

	if (uri && *uri) {
		int r = parse(uri, &u, err);

		if (r)
			return r;
	}
	*ret = u;
	u = STDIO_URI_INIT;
	return 0;
}
