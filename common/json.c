/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in and out. Never trusts a type. Subtle: jansson's integers have 64 bits with a sign, but
 * an OCI document may hold 18446744073709551615 (an unlimited rlimit). Such a number is kept as
 * a string, U+0000 and its digits, and json_text() writes it as a number again. No other string has
 * that character: a document with it is refused, and no string of C can.
 */
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fd.h"

/* What the parser was not happy with may hold bytes that are not fit for a sentence. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
}

/* How the string that stands for a big integer begins, when it is written. */
static const char big_mark[] = "\"\\u0000";

/* Bytes of a number at p as far as its characters go; the parser judges it. */
static size_t number_length(const char *p, const char *end)
{
	const char *q = p;

	while (q < end && ((*q >= '0' && *q <= '9') || (q > p && (*q == '.' || *q == '+')) ||
				  *q == '-' || (q > p && (*q == 'e' || *q == 'E'))))
		q++;
	return (size_t)(q - p);
}

static bool is_big_integer(const char *number, size_t n)
{
	size_t digits = *number == '-';
	char text[24];

	if (n < strlen("9223372036854775807") || number[digits] == '0')
		return false;
	for (size_t i = digits; i < n; i++)
		if (number[i] < '0' || number[i] > '9')
			return false;
	if (n >= sizeof(text))
		return true;
	memcpy(text, number, n);
	text[n] = '\0';
	errno = 0;
	strtoll(text, NULL, 10);
	return errno == ERANGE;
}

static size_t string_length(const char *p, const char *end)
{
	const char *q = p + 1;

	while (q < end && *q != '"')
		q += *q == '\\' && q + 1 < end ? 2 : 1;
	return (size_t)(q - p) + (q < end);
}

static bool has_nul(const char *string, size_t n)
{
	for (size_t i = 0; i + strlen("\\u0000") <= n; i++) {
		if (memcmp(string + i, "\\u0000", strlen("\\u0000")) == 0)
			return true;
		i += string[i] == '\\';
	}
	return false;
}

/* The same document with its big integers as strings. 0, -EINVAL for one with U+0000, or -ENOMEM. */
static int quote_big_integers(const char *p, size_t n, struct buf *ret)
{
	const char *end = p + n;
	int r = 0;

	while (p < end && r == 0) {
		size_t length = number_length(p, end);
		bool big = is_big_integer(p, length);

		if (length == 0)
			length = *p == '"' ? string_length(p, end) : 1;
		if (*p == '"' && has_nul(p, length))
			return -EINVAL;
		if (big)
			r = buf_append(ret, big_mark, strlen(big_mark));
		if (r == 0)
			r = buf_append(ret, p, length);
		if (r == 0 && big)
			r = buf_append(ret, "\"", 1);
		p += length;
	}
	return r;
}

/* Undoes it in place: the text only gets shorter. */
static void unquote_big_integers(char *text)
{
	const size_t mark = strlen(big_mark);
	char *from = strstr(text, big_mark), *to = from;

	while (from && *from) {
		size_t n = 0;

		if (strncmp(from, big_mark, mark) == 0)
			n = strspn(from + mark, "-0123456789");
		if (n > 0 && from[mark + n] == '"' && is_big_integer(from + mark, n)) {
			memmove(to, from + mark, n);
			to += n;
			from += mark + n + 1;
		} else {
			*to++ = *from++;
		}
	}
	if (to)
		*to = '\0';
}

static json_t *load(const char *data, size_t n, json_error_t *ret_at)
{
	_cleanup_buf_ struct buf quoted = BUF_INIT;
	json_t *j = json_loadb(data, n, 0, ret_at);

	if (j || json_error_code(ret_at) != json_error_numeric_overflow)
		return j;
	if (quote_big_integers(data, n, &quoted) < 0)
		return NULL;
	return json_loadb((const char *)buf_head(&quoted), quoted.len, JSON_ALLOW_NUL, ret_at);
}

int json_parse(const void *data, size_t n, const char *what, json_t **ret, struct error *err)
{
	json_error_t at;
	json_t *j = load(n ? data : "", n, &at);

	if (j) {
		*ret = j;
		return 0;
	}
	if (json_error_code(&at) == json_error_out_of_memory)
		return error_errno(err, -ENOMEM, "%s", what);
	make_printable(at.text);
	return error_set(err, CODE_INVALID_ARGUMENT, "%s: line %d, column %d: %s", what, at.line,
		at.column, at.text);
}

int json_read_file(
	int dir, const char *path, size_t limit, const char *what, json_t **ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = fd_read_file(dir, path, &text, limit);

	if (r == -EFBIG)
		return error_set(
			err, CODE_RESOURCE_EXHAUSTED, "%s: larger than %zu bytes", what, limit);
	if (r == -EINVAL)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: not a regular file", what);
	if (r < 0)
		return error_errno(err, r, "%s", what);
	return json_parse(buf_head(&text), text.len, what, ret, err);
}

char *json_text(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text)
		unquote_big_integers(text);
	return text;
}

int json_need_string(
	const json_t *obj, const char *key, const char *what, const char **ret, struct error *err)
{
	const json_t *j = json_object_get(obj, key);

	if (!j)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s is missing", what, key);
	if (!json_is_text(j))
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s must be a string", what, key);
	*ret = json_string_value(j);
	return 0;
}

int json_need_int(
	const json_t *obj, const char *key, const char *what, int64_t *ret, struct error *err)
{
	const json_t *j = json_object_get(obj, key);

	if (!j)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s: %s is missing", what, key);
	if (!json_is_integer(j))
		return error_set(
			err, CODE_INVALID_ARGUMENT, "%s: %s must be an integer", what, key);
	*ret = json_integer_value(j);
	return 0;
}

const char *json_get_string(const json_t *obj, const char *key, const char *otherwise)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_text(j) ? json_string_value(j) : otherwise;
}

int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_integer(j) ? json_integer_value(j) : otherwise;
}

bool json_get_bool(const json_t *obj, const char *key, bool otherwise)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}

bool json_is_text(const json_t *j)
{
	return json_is_string(j) && strlen(json_string_value(j)) == json_string_length(j);
}

bool json_uint64(const json_t *j, uint64_t *ret)
{
	const char *text = json_string_length(j) > 1 ? json_string_value(j) : NULL;
	unsigned long long value;
	char *end;

	if (json_is_integer(j) && json_integer_value(j) >= 0) {
		*ret = (uint64_t)json_integer_value(j);
		return true;
	}
	if (!text || text[0] != '\0' || text[1] < '0' || text[1] > '9')
		return false;
	errno = 0;
	value = strtoull(text + 1, &end, 10);
	if (errno || *end)
		return false;
	*ret = value;
	return true;
}

bool json_int64(const json_t *j, int64_t *ret)
{
	if (!json_is_integer(j))
		return false;
	*ret = json_integer_value(j);
	return true;
}
