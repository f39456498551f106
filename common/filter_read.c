/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter's text, read. Never keeps the text. Subtle: room for words and paths is taken at once, by the
 * text's length; what is read is never longer than what it was written as.
 */
#include "common/filter_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/text.h"

#define SHOWN 40u /* bytes of a word that is wrong */

struct reader {
	const char *text, *at;
	char *word; /* where the next one goes */
	struct filter_text *to;
	struct filter_budget *left;
	struct error *err;
};

static size_t place_of(const struct reader *r, const char *at)
{
	return (size_t)(at - r->text) + 1;
}

/* n bytes at `at` are not what is expected there. */
static int unexpected(struct reader *r, const char *at, size_t n, const char *expected)
{
	_cleanup_free_ char *shown = text_clean(at, n, SHOWN);

	if (n == 0)
		return error_set(r->err, CODE_INVALID_ARGUMENT, "it ends at %zu, expected %s",
			place_of(r, at), expected);
	return error_set(r->err, CODE_INVALID_ARGUMENT, "unexpected \"%s\" at %zu, expected %s",
		shown ? shown : "", place_of(r, at), expected);
}

static int no_memory(struct reader *r)
{
	return error_set(r->err, CODE_RESOURCE_EXHAUSTED, "no memory for it");
}

/* --- characters --- */

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_of_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static bool is_of_operator(char c)
{
	return c == '=' || c == '!' || c == '~';
}

static bool is_of_value(char c)
{
	return c != ',' && c != ' ' && !is_control(c);
}

static size_t length_of(const char *at, bool (*is_of)(char c))
{
	size_t n = 0;

	while (at[n] && is_of(at[n]))
		n++;
	return n;
}

static void skip_blanks(struct reader *r)
{
	r->at += length_of(r->at, is_blank);
}

/* For a sentence: a whole word of something else, or one character and those that belong to it. */
static size_t length_of_word(const char *at)
{
	size_t n = length_of(at, is_of_operator);

	if (n == 0)
		n = length_of(at, is_of_value);
	return n == 0 && *at ? 1 : n;
}

/* --- words --- */

/* Ends the word that was put together, and begins the next. */
static const char *finish_word(struct reader *r, char *begin)
{
	*r->word++ = '\0';
	return begin;
}

static const char *take_plain(struct reader *r, size_t n)
{
	char *begin = r->word;

	memcpy(r->word, r->at, n);
	r->word += n;
	r->at += n;
	return finish_word(r, begin);
}

static void put_point(struct reader *r, uint32_t c)
{
	unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	*r->word++ = (char)(first[n] | c >> 6 * (n - 1));
	for (unsigned i = 1; i < n; i++)
		*r->word++ = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
		return (c | 0x20) - 'a' + 10;
	return 16;
}

/* n digits at `at`; false: they are not there. */
static bool read_digits(const char *at, unsigned base, size_t n, uint32_t *ret)
{
	uint32_t value = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned)digit_value(at[i]);

		if (digit >= base)
			return false;
		value = value * base + digit;
	}
	*ret = value;
	return true;
}

/* An escape by number, at the backslash. False: it is none, or of no character. */
static bool take_number(struct reader *r)
{
	const char *at = r->at + 1;
	bool is_byte = *at == 'x' || (*at >= '0' && *at <= '7');
	size_t n = *at == 'x' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 3;
	uint32_t value;

	if (!is_byte && *at != 'u' && *at != 'U')
		return false;
	if (*at == 'x' || !is_byte)
		at++;
	if (!read_digits(at, n == 3 ? 8 : 16, n, &value) || value == 0)
		return false;
	if (is_byte ? value > 0xff : value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return false;
	if (is_byte)
		*r->word++ = (char)value;
	else
		put_point(r, value);
	r->at = at + n;
	return true;
}

/* As in Go's strings, where the quote that is used can be escaped and no other. */
static int take_escape(struct reader *r, char quote)
{
	static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
	char c = r->at[1];
	const char *found = c ? strchr(from, c) : NULL;
	_cleanup_free_ char *shown = NULL;

	if (!found && c != quote) {
		if (take_number(r))
			return 0;
		shown = text_clean(r->at, strnlen(r->at, 4), 4);
		return error_set(r->err, CODE_INVALID_ARGUMENT, "\"%s\" at %zu is no escape",
			shown ? shown : "", place_of(r, r->at));
	}
	*r->word++ = found ? to[found - from] : quote;
	r->at += 2;
	return 0;
}

static int take_quoted(struct reader *r, const char **ret)
{
	const char *open = r->at++;
	char *begin = r->word;
	int code = 0;

	while (*r->at && *r->at != '\n' && *r->at != *open) {
		if (*r->at != '\\')
			*r->word++ = *r->at++;
		else if ((code = take_escape(r, *open)) != 0)
			return code;
	}
	if (*r->at != *open)
		return error_set(r->err, CODE_INVALID_ARGUMENT, "the quote %c at %zu has no end",
			*open, place_of(r, open));
	r->at++;
	*ret = finish_word(r, begin);
	return 0;
}

/* --- conditions --- */

static int read_name(struct reader *r, const char **ret)
{
	size_t n;

	skip_blanks(r);
	if (*r->at == '"')
		return take_quoted(r, ret);
	n = length_of(r->at, is_of_name);
	if (n == 0)
		return unexpected(r, r->at, length_of_word(r->at), "a field");
	*ret = take_plain(r, n);
	return 0;
}

static int read_path(struct reader *r, struct filter_condition *c)
{
	int code;

	c->first = r->to->n_paths;
	for (;;) {
		code = read_name(r, &r->to->paths[r->to->n_paths]);
		if (code != 0)
			return code;
		r->to->n_paths++;
		c->n++;
		skip_blanks(r);
		if (*r->at != '.')
			return 0;
		r->at++;
	}
}

static int read_operator(struct reader *r, enum filter_op *ret)
{
	static const char *const words[] = {
		[FILTER_EQUAL] = "==", [FILTER_DIFFERS] = "!=", [FILTER_MATCHES] = "~="
	};
	size_t n = length_of(r->at, is_of_operator);

	for (int op = FILTER_EQUAL; op <= FILTER_MATCHES; op++)
		if (n == 2 && memcmp(r->at, words[op], 2) == 0) {
			*ret = (enum filter_op)op;
			r->at += 2;
			return 0;
		}
	return unexpected(r, r->at, length_of_word(r->at), "\"==\", \"!=\" or \"~=\"");
}

static int read_value(struct reader *r, struct filter_condition *c)
{
	size_t n;

	skip_blanks(r);
	if (*r->at == '"' || (c->op == FILTER_MATCHES && (*r->at == '/' || *r->at == '|')))
		return take_quoted(r, &c->value);
	n = length_of(r->at, is_of_value);
	if (n == 0)
		return unexpected(r, r->at, *r->at != '\0', "a value");
	c->value = take_plain(r, n);
	return 0;
}

/* Its regular expression, which stands at `at`. */
static int read_pattern(struct reader *r, const char *at, struct filter_condition *c)
{
	_cleanup_free_ char *shown = NULL;
	int code = pattern_new(c->value, r->left->n_states, &c->pattern, r->err);

	if (code == 0) {
		r->left->n_states -= pattern_n_states(c->pattern);
		return 0;
	}
	shown = text_clean(c->value, strlen(c->value), SHOWN);
	return error_wrap(
		r->err, "regular expression \"%s\" at %zu", shown ? shown : "", place_of(r, at));
}

static int read_condition(struct reader *r)
{
	struct filter_condition *c = &r->to->conditions[r->to->n++];
	const char *at;
	int code = read_path(r, c);

	if (code != 0 || *r->at == ',' || !*r->at)
		return code;
	code = read_operator(r, &c->op);
	if (code != 0)
		return code;
	skip_blanks(r);
	at = r->at;
	code = read_value(r, c);
	return code == 0 && c->op == FILTER_MATCHES ? read_pattern(r, at, c) : code;
}

/* Room for one more, among those of all filters. */
static int reserve(struct reader *r)
{
	struct filter_text *t = r->to;
	struct filter_condition *v = t->conditions;

	if (r->left->n_conditions == 0)
		return error_set(r->err, CODE_RESOURCE_EXHAUSTED,
			"with it there are more than %u conditions", LIMIT_FILTER_CONDITIONS);
	r->left->n_conditions--;
	v = realloc(v, (t->n + 1) * sizeof(*v));
	if (!v)
		return no_memory(r);
	t->conditions = v;
	v[t->n] = (struct filter_condition){ 0 };
	return 0;
}

int filter_read(
	const char *text, struct filter_budget *left, struct filter_text *ret, struct error *err)
{
	size_t n = strlen(text);
	struct reader r = { .text = text, .at = text, .to = ret, .left = left, .err = err };
	int code;

	if (n == 0)
		return 0;
	ret->words = r.word = malloc(n + 1);
	/* a word is one byte at least, and there is one between two of them */
	ret->paths = calloc(n / 2 + 1, sizeof(*ret->paths));
	if (!ret->words || !ret->paths)
		return no_memory(&r);
	for (;;) {
		code = reserve(&r);
		if (code == 0)
			code = read_condition(&r);
		if (code != 0)
			return code;
		skip_blanks(&r);
		if (!*r.at)
			return 0;
		if (*r.at != ',')
			return unexpected(&r, r.at, length_of_word(r.at), "\",\" or the end");
		r.at++;
	}
}
