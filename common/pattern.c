/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns: the states that a tree is made into, and which of them a text can be in. Never goes back in
 * the text: it follows every way through the states at once (Thompson, 1968). Subtle: each piece of the
 * tree takes at least one state, an empty one too, so that the bound on states bounds the repeating.
 */
#include "common/pattern.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/pattern_private.h"

enum op {
	OP_SET,
	OP_SPLIT, /* go on at both, without a character */
	OP_JUMP,  /* at to */
	OP_PLACE, /* go on behind it, where the place is right */
	OP_FOUND,
};

struct state {
	enum op op;
	enum pattern_kind place;
	bool is_negated;
	uint32_t first, n;  /* SET: ranges */
	uint32_t to, other; /* SPLIT, JUMP */
};

/* States that a text is in, each once. */
struct set {
	uint32_t *v;
	size_t n;
};

struct pattern {
	struct state *states;
	struct pattern_range *ranges;
	size_t n, max;
	struct set now, next;
	uint32_t *todo;	    /* states that are still to be added */
	uint64_t *added_at; /* for each state, the last step that it was added in */
	uint64_t step;
};

/* --- making the states --- */

static uint32_t emit(struct pattern *p, struct state s)
{
	if (p->n < p->max)
		p->states[p->n] = s;
	return (uint32_t)p->n++;
}

static bool is_full(const struct pattern *p)
{
	return p->n > p->max;
}

static void emit_node(struct pattern *p, const struct pattern_tree *tree, uint32_t at);

/* The state at, which may be one too many, goes on here as well. */
static void lead_here(struct pattern *p, uint32_t at)
{
	if (at >= p->max)
		return;
	if (p->states[at].op == OP_SPLIT)
		p->states[at].other = (uint32_t)p->n;
	else
		p->states[at].to = (uint32_t)p->n;
}

static uint32_t emit_split(struct pattern *p)
{
	return emit(p, (struct state){ .op = OP_SPLIT, .to = (uint32_t)p->n + 1 });
}

static void emit_nothing(struct pattern *p)
{
	emit(p, (struct state){ .op = OP_JUMP, .to = (uint32_t)p->n + 1 });
}

/* Each of them may be left out, and with it those behind it. */
static void emit_optional(
	struct pattern *p, const struct pattern_tree *tree, uint32_t at, uint32_t times)
{
	uint32_t split;

	if (times == 0 || is_full(p))
		return;
	split = emit_split(p);
	emit_node(p, tree, at);
	emit_optional(p, tree, at, times - 1);
	lead_here(p, split);
}

static void emit_repeated(
	struct pattern *p, const struct pattern_tree *tree, const struct pattern_node *node)
{
	uint32_t first = (uint32_t)p->n;

	if (node->max == 0)
		emit_nothing(p);
	for (uint32_t i = 0; i < node->min && !is_full(p); i++) {
		first = (uint32_t)p->n;
		emit_node(p, tree, node->left);
	}
	if (node->max != PATTERN_FOR_EVER) {
		emit_optional(p, tree, node->left, node->max - node->min);
	} else if (node->min > 0) { /* the last of them again and again */
		emit(p, (struct state){ .op = OP_SPLIT, .to = first, .other = (uint32_t)p->n + 1 });
	} else {
		emit_split(p);
		emit_node(p, tree, node->left);
		emit(p, (struct state){ .op = OP_JUMP, .to = first });
		lead_here(p, first);
	}
}

static void emit_either(
	struct pattern *p, const struct pattern_tree *tree, const struct pattern_node *node)
{
	uint32_t split = emit_split(p), end;

	emit_node(p, tree, node->left);
	end = emit(p, (struct state){ .op = OP_JUMP });
	lead_here(p, split);
	emit_node(p, tree, node->right);
	lead_here(p, end);
}

static void emit_node(struct pattern *p, const struct pattern_tree *tree, uint32_t at)
{
	const struct pattern_node *node = &tree->nodes[at];

	for (; node->kind == PATTERN_BOTH && !is_full(p); node = &tree->nodes[node->right])
		emit_node(p, tree, node->left);
	if (is_full(p))
		return;
	switch (node->kind) {
	case PATTERN_NOTHING:
		emit_nothing(p);
		break;
	case PATTERN_SET:
		emit(p, (struct state){ .op = OP_SET,
				.is_negated = node->is_negated,
				.first = node->first,
				.n = node->n });
		break;
	case PATTERN_BEGIN:
	case PATTERN_END:
	case PATTERN_EDGE:
	case PATTERN_NO_EDGE:
		emit(p, (struct state){ .op = OP_PLACE, .place = node->kind });
		break;
	case PATTERN_BOTH: /* above */
		break;
	case PATTERN_EITHER:
		emit_either(p, tree, node);
		break;
	case PATTERN_REPEATED:
		emit_repeated(p, tree, node);
		break;
	}
}

/* --- a pattern's life --- */

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	free(p->states);
	free(p->ranges);
	free(p->now.v);
	free(p->next.v);
	free(p->todo);
	free(p->added_at);
	free(p);
}

size_t pattern_n_states(const struct pattern *p)
{
	return p->n;
}

static int no_memory(struct error *err)
{
	return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory for it");
}

/* What matching needs, once the number of states is known. */
static int prepare(struct pattern *p, struct error *err)
{
	struct state *states;

	assert(p->n > 0); /* the end is one */
	states = realloc(p->states, p->n * sizeof(*states));
	if (states)
		p->states = states;
	p->now.v = calloc(p->n, sizeof(*p->now.v));
	p->next.v = calloc(p->n, sizeof(*p->next.v));
	p->todo = calloc(p->n, sizeof(*p->todo));
	p->added_at = calloc(p->n, sizeof(*p->added_at));
	if (!states || !p->now.v || !p->next.v || !p->todo || !p->added_at)
		return no_memory(err);
	return 0;
}

static int build(struct pattern *p, const char *text, size_t max_states, struct error *err)
{
	struct pattern_tree tree;
	int code = pattern_parse(text, &tree, err);

	p->ranges = tree.ranges;
	p->max = max_states;
	p->states = code == 0 ? calloc(max_states + 1, sizeof(*p->states)) : NULL;
	if (code == 0 && !p->states)
		code = no_memory(err);
	if (code == 0) {
		emit_node(p, &tree, tree.root);
		emit(p, (struct state){ .op = OP_FOUND });
		if (is_full(p))
			code = error_set(err, CODE_RESOURCE_EXHAUSTED,
				"it needs more than the %zu states that are left", max_states);
	}
	free(tree.nodes);
	return code == 0 ? prepare(p, err) : code;
}

int pattern_new(const char *text, size_t max_states, struct pattern **ret, struct error *err)
{
	struct pattern *p = calloc(1, sizeof(*p));
	int code;

	if (!p)
		return no_memory(err);
	code = build(p, text, max_states, err);
	if (code != 0)
		pattern_free(p);
	else
		*ret = p;
	return code;
}

/* --- matching --- */

/* What lies on both sides of the place that was reached; PATTERN_NO_POINT: nothing does. */
#define PATTERN_NO_POINT UINT32_MAX

struct place {
	uint32_t before, behind;
};

static bool is_word(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (c >= 'a' && c <= 'z');
}

static bool is_right(enum pattern_kind kind, const struct place *at)
{
	bool is_edge = is_word(at->before) != is_word(at->behind);

	if (kind == PATTERN_BEGIN)
		return at->before == PATTERN_NO_POINT;
	if (kind == PATTERN_END)
		return at->behind == PATTERN_NO_POINT;
	return kind == PATTERN_EDGE ? is_edge : !is_edge;
}

static bool is_in(const struct pattern *p, const struct state *s, uint32_t point)
{
	for (uint32_t i = s->first; i < s->first + s->n; i++)
		if (point >= p->ranges[i].low && point <= p->ranges[i].high)
			return !s->is_negated;
	return s->is_negated;
}

static void push(struct pattern *p, size_t *n_todo, uint32_t at)
{
	if (p->added_at[at] == p->step)
		return;
	p->added_at[at] = p->step;
	p->todo[(*n_todo)++] = at;
}

/* Adds a state and all that it leads to without a character; true: the end is among them. */
static bool add(struct pattern *p, struct set *to, uint32_t first, const struct place *place)
{
	size_t n_todo = 0;

	push(p, &n_todo, first);
	while (n_todo > 0) {
		uint32_t at = p->todo[--n_todo];
		const struct state *s = &p->states[at];

		if (s->op == OP_FOUND)
			return true;
		if (s->op == OP_SET)
			to->v[to->n++] = at;
		if (s->op == OP_SPLIT || s->op == OP_JUMP)
			push(p, &n_todo, s->to);
		if (s->op == OP_SPLIT)
			push(p, &n_todo, s->other);
		if (s->op == OP_PLACE && is_right(s->place, place))
			push(p, &n_todo, at + 1);
	}
	return false;
}

/* From the states of now, by one character, to those of next. */
static bool advance(struct pattern *p, const struct place *reached)
{
	for (size_t i = 0; i < p->now.n; i++) {
		uint32_t at = p->now.v[i];

		if (is_in(p, &p->states[at], reached->before) && add(p, &p->next, at + 1, reached))
			return true;
	}
	return false;
}

static uint32_t point_at(const unsigned char **text)
{
	return **text ? pattern_next_point(text) : PATTERN_NO_POINT;
}

bool pattern_matches(struct pattern *p, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	struct place place = { PATTERN_NO_POINT, point_at(&at) };

	p->now.n = 0;
	p->step++;
	for (;;) {
		struct set used;

		if (add(p, &p->now, 0, &place)) /* it may begin here */
			return true;
		if (place.behind == PATTERN_NO_POINT)
			return false;
		place.before = place.behind;
		place.behind = point_at(&at);
		p->step++;
		p->next.n = 0;
		if (advance(p, &place))
			return true;
		used = p->now;
		p->now = p->next;
		p->next = used;
	}
}
