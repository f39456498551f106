/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern's text, read into a tree. Never keeps the text. Subtle: room for the whole tree is taken at
 * once, by the text's length, and no text can need more: see ROOM_PER_BYTE.
 */
#include "common/pattern_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

/* a byte can be an atom that is repeated and joined to others; two can be a class of four ranges */
#define ROOM_PER_BYTE 3u
#define SHOWN	      8u /* bytes of what is wrong */

struct reader {
	const unsigned char *begin, *at;
	struct pattern_tree *tree;
	unsigned depth;
	struct error *err;
};

/* what: "has no end" and the like. */
static int wrong(struct reader *r, const unsigned char *where, const char *what)
{
	size_t n = strnlen((const char *)where, SHOWN + 1);
	_cleanup_free_ char *shown = text_clean(where, n, SHOWN);

	return error_set(r->err, CODE_INVALID_ARGUMENT, "\"%s\" at %zu %s", shown ? shown : "",
		(size_t)(where - r->begin) + 1, what);
}

static uint32_t add_node(struct reader *r, struct pattern_node node)
{
	r->tree->nodes[r->tree->n_nodes] = node;
	return r->tree->n_nodes++;
}

static void add_range(struct reader *r, uint32_t low, uint32_t high)
{
	r->tree->ranges[r->tree->n_ranges++] = (struct pattern_range){ low, high };
}

uint32_t pattern_next_point(const unsigned char **p)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = *p;
	unsigned n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
	uint32_t point;

	(*p)++;
	if (n <= 1)
		return n ? *s : 0xfffd;
	point = *s & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0xfffd;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < least[n] || point > PATTERN_LAST_POINT || (point >= 0xd800 && point < 0xe000))
		return 0xfffd;
	*p = s + n;
	return point;
}

/* --- classes --- */

struct class
{
	const char *name;
	uint8_t n;
	struct pattern_range ranges[4]; /* in order */
};

static const struct class letters[] = {
	{ "d", 1, { { '0', '9' } } },
	{ "s", 3, { { '\t', '\n' }, { '\f', '\r' }, { ' ', ' ' } } },
	{ "w", 4, { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
};

static const struct class words[] = {
	{ "alnum", 3, { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } } },
	{ "alpha", 2, { { 'A', 'Z' }, { 'a', 'z' } } },
	{ "ascii", 1, { { 0, 0x7f } } },
	{ "blank", 2, { { '\t', '\t' }, { ' ', ' ' } } },
	{ "cntrl", 2, { { 0, 0x1f }, { 0x7f, 0x7f } } },
	{ "digit", 1, { { '0', '9' } } },
	{ "graph", 1, { { '!', '~' } } },
	{ "lower", 1, { { 'a', 'z' } } },
	{ "print", 1, { { ' ', '~' } } },
	{ "punct", 4, { { '!', '/' }, { ':', '@' }, { '[', '`' }, { '{', '~' } } },
	{ "space", 2, { { '\t', '\r' }, { ' ', ' ' } } },
	{ "upper", 1, { { 'A', 'Z' } } },
	{ "word", 4, { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
	{ "xdigit", 3, { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } } },
};

static void add_class(struct reader *r, const struct class *c, bool is_negated)
{
	uint32_t low = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (!is_negated)
			add_range(r, c->ranges[i].low, c->ranges[i].high);
		else if (c->ranges[i].low > low)
			add_range(r, low, c->ranges[i].low - 1);
		low = c->ranges[i].high + 1;
	}
	if (is_negated)
		add_range(r, low, PATTERN_LAST_POINT);
}

/* \d and its kin at r->at, on the backslash; false: it is none. */
static bool read_letter_class(struct reader *r)
{
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
		unsigned char lower = (unsigned char)letters[i].name[0];

		if (r->at[1] != lower && r->at[1] != lower - 'a' + 'A')
			continue;
		add_class(r, &letters[i], r->at[1] != lower);
		r->at += 2;
		return true;
	}
	return false;
}

/* [:alpha:] at r->at, or [:^alpha:]. 0 or a code. */
static int read_word_class(struct reader *r)
{
	const char *name = (const char *)r->at + 2;
	bool is_negated = *name == '^';

	name += is_negated;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		size_t n = strlen(words[i].name);

		if (strncmp(name, words[i].name, n) != 0 || strncmp(name + n, ":]", 2) != 0)
			continue;
		add_class(r, &words[i], is_negated);
		r->at = (const unsigned char *)name + n + 2;
		return 0;
	}
	return wrong(r, r->at, "is no class that is known");
}

/* --- single characters --- */

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \x41 or \x{1f600}, at the backslash. */
static int read_hex(struct reader *r, uint32_t *ret)
{
	const unsigned char *from = r->at, *p = from + 2;
	bool is_braced = *p == '{';
	size_t max = is_braced ? 8 : 2, n = 0;
	uint32_t point = 0;

	p += is_braced;
	for (; n < max && hex_value(p[n]) >= 0; n++)
		point = point << 4 | (uint32_t)hex_value(p[n]);
	if (n == 0 || (!is_braced && n != 2) || (is_braced && p[n] != '}') ||
		point > PATTERN_LAST_POINT)
		return wrong(r, from, "is no number of a character");
	r->at = p + n + is_braced;
	*ret = point;
	return 0;
}

/* An escape that is one character, at the backslash. */
static int read_escape(struct reader *r, uint32_t *ret)
{
	static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
	const unsigned char *backslash = r->at;
	unsigned char c = backslash[1];
	const char *found = c ? strchr(from, c) : NULL;

	if (c == 'x')
		return read_hex(r, ret);
	if (!c)
		return wrong(r, backslash, "escapes nothing");
	if (!found && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			      c >= 0x80))
		return wrong(r, backslash, "is no escape that is known");
	*ret = found ? (uint32_t)to[found - from] : c;
	r->at += 2;
	return 0;
}

static int read_point(struct reader *r, uint32_t *ret)
{
	if (*r->at == '\\')
		return read_escape(r, ret);
	*ret = pattern_next_point(&r->at);
	return 0;
}

/* --- atoms --- */

/* One character, or a range of them, in brackets. */
static int read_range(struct reader *r)
{
	const unsigned char *from = r->at;
	uint32_t low, high;
	int code = read_point(r, &low);

	if (code != 0)
		return code;
	high = low;
	if (r->at[0] == '-' && r->at[1] && r->at[1] != ']') {
		r->at++;
		code = read_point(r, &high);
	}
	if (code == 0 && high < low)
		code = wrong(r, from, "is a range that ends before it begins");
	if (code == 0)
		add_range(r, low, high);
	return code;
}

static int read_brackets(struct reader *r, uint32_t *ret)
{
	const unsigned char *open = r->at++;
	struct pattern_node node = { .kind = PATTERN_SET, .first = r->tree->n_ranges };
	const unsigned char *first;
	int code = 0;

	if (*r->at == '^') {
		node.is_negated = true;
		r->at++;
	}
	first = r->at;
	while (*r->at && (*r->at != ']' || r->at == first)) {
		if (r->at[0] == '[' && r->at[1] == ':')
			code = read_word_class(r);
		else if (*r->at != '\\' || !read_letter_class(r))
			code = read_range(r);
		if (code != 0)
			return code;
	}
	if (!*r->at)
		return wrong(r, open, "has no \"]\"");
	r->at++;
	node.n = r->tree->n_ranges - node.first;
	*ret = add_node(r, node);
	return 0;
}

static int read_either(struct reader *r, uint32_t *ret);

static int read_group(struct reader *r, uint32_t *ret)
{
	const unsigned char *open = r->at++;
	int code;

	if (r->depth >= PATTERN_DEPTH)
		return wrong(r, open, "lies too deep in others");
	if (r->at[0] == '?') {
		if (r->at[1] != ':')
			return wrong(r, open, "is a kind of group that is not known");
		r->at += 2;
	}
	r->depth++;
	code = read_either(r, ret);
	r->depth--;
	if (code != 0)
		return code;
	if (*r->at != ')')
		return wrong(r, open, "has no \")\"");
	r->at++;
	return 0;
}

/* A place rather than a character; false: it is none. */
static bool read_place(struct reader *r, uint32_t *ret)
{
	static const struct {
		const char *text;
		enum pattern_kind kind;
	} places[] = { { "^", PATTERN_BEGIN }, { "$", PATTERN_END }, { "\\A", PATTERN_BEGIN },
		{ "\\z", PATTERN_END }, { "\\b", PATTERN_EDGE }, { "\\B", PATTERN_NO_EDGE } };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t n = strlen(places[i].text);

		if (strncmp((const char *)r->at, places[i].text, n) != 0)
			continue;
		r->at += n;
		*ret = add_node(r, (struct pattern_node){ .kind = places[i].kind });
		return true;
	}
	return false;
}

static int read_atom(struct reader *r, uint32_t *ret)
{
	struct pattern_node node = { .kind = PATTERN_SET, .first = r->tree->n_ranges };
	uint32_t point;
	int code;

	if (*r->at == '(')
		return read_group(r, ret);
	if (*r->at == '[')
		return read_brackets(r, ret);
	if (*r->at == '*' || *r->at == '+' || *r->at == '?')
		return wrong(r, r->at, "has nothing to repeat");
	if (read_place(r, ret))
		return 0;
	if (*r->at == '.') {
		node.is_negated = true;
		add_range(r, '\n', '\n');
		r->at++;
	} else if (*r->at != '\\' || !read_letter_class(r)) {
		code = read_point(r, &point);
		if (code != 0)
			return code;
		add_range(r, point, point);
	}
	node.n = r->tree->n_ranges - node.first;
	*ret = add_node(r, node);
	return 0;
}

/* --- repetition, sequence, choice --- */

static const unsigned char *read_number(const unsigned char *p, uint32_t *ret)
{
	uint32_t value = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		value = value > PATTERN_REPEAT ? value : value * 10 + (uint32_t)(*p - '0');
	*ret = value;
	return p;
}

/* {2}, {2,} or {2,3} behind an atom: the end of it; NULL: it is none, and "{" only itself. */
static const unsigned char *read_braces(const unsigned char *p, uint32_t *min, uint32_t *max)
{
	const unsigned char *digits = ++p;

	p = read_number(p, min);
	if (p == digits)
		return NULL;
	*max = *min;
	if (*p == ',') {
		digits = ++p;
		p = read_number(p, max);
		if (p == digits)
			*max = PATTERN_FOR_EVER;
	}
	return *p == '}' ? p + 1 : NULL;
}

/* Whether a repetition stands here, how often that is, and where it ends. */
static const unsigned char *read_times(const unsigned char *p, uint32_t *min, uint32_t *max)
{
	*min = *p == '+';
	*max = *p == '?' ? 1 : PATTERN_FOR_EVER;
	if (*p == '*' || *p == '+' || *p == '?')
		return p + 1;
	return *p == '{' ? read_braces(p, min, max) : NULL;
}

static int read_repeated(struct reader *r, uint32_t *ret)
{
	struct pattern_node node = { .kind = PATTERN_REPEATED };
	const unsigned char *from, *end;
	uint32_t min, max;
	int code = read_atom(r, &node.left);

	if (code != 0)
		return code;
	*ret = node.left;
	from = r->at;
	end = read_times(from, &node.min, &node.max);
	if (!end)
		return 0;
	if (node.min > PATTERN_REPEAT ||
		(node.max != PATTERN_FOR_EVER &&
			(node.max > PATTERN_REPEAT || node.max < node.min)))
		return wrong(r, from, "is no number of times");
	r->at = end + (*end == '?'); /* which of several matches it prefers is all one here */
	if (read_times(r->at, &min, &max))
		return wrong(r, r->at, "repeats a repetition");
	*ret = add_node(r, node);
	return 0;
}

static int read_sequence(struct reader *r, uint32_t *ret)
{
	struct pattern_node node = { .kind = PATTERN_BOTH };
	uint32_t *last = NULL;
	int code;

	while (*r->at && *r->at != '|' && *r->at != ')') {
		code = read_repeated(r, &node.right);
		if (code != 0)
			return code;
		if (!last) {
			*ret = node.right;
			last = ret;
			continue;
		}
		/* the last becomes it and this one: long to the right, which costs no depth */
		node.left = *last;
		*last = add_node(r, node);
		last = &r->tree->nodes[*last].right;
	}
	if (!last)
		*ret = add_node(r, (struct pattern_node){ .kind = PATTERN_NOTHING });
	return 0;
}

static int read_either(struct reader *r, uint32_t *ret)
{
	struct pattern_node node = { .kind = PATTERN_EITHER };
	int code = read_sequence(r, &node.left);

	while (code == 0 && *r->at == '|') {
		r->at++;
		code = read_sequence(r, &node.right);
		if (code == 0)
			node.left = add_node(r, node);
	}
	*ret = node.left;
	return code;
}

int pattern_parse(const char *text, struct pattern_tree *ret, struct error *err)
{
	size_t room = ROOM_PER_BYTE * (strlen(text) + 1);
	const unsigned char *begin = (const unsigned char *)text;
	struct reader r = { .begin = begin, .at = begin, .tree = ret, .err = err };
	int code;

	*ret = (struct pattern_tree){ 0 };
	ret->nodes = calloc(room, sizeof(*ret->nodes));
	ret->ranges = calloc(room, sizeof(*ret->ranges));
	if (!ret->nodes || !ret->ranges)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory for it");
	code = read_either(&r, &ret->root);
	if (code == 0 && *r.at)
		code = wrong(&r, r.at, "has no \"(\"");
	return code;
}
