/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tree between a pattern's text and its states; for pattern.c and pattern_parse.c alone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define PATTERN_DEPTH	   32u	 /* brackets within brackets */
#define PATTERN_REPEAT	   1000u /* as RE2 has it */
#define PATTERN_FOR_EVER   UINT32_MAX
#define PATTERN_LAST_POINT 0x10ffffu

enum pattern_kind {
	PATTERN_NOTHING, /* matches the empty text */
	PATTERN_SET,	 /* one character of the ranges [first, first + n), or none of them */
	PATTERN_BEGIN,	 /* of the text */
	PATTERN_END,
	PATTERN_EDGE, /* of a word */
	PATTERN_NO_EDGE,
	PATTERN_BOTH,	/* left, then right */
	PATTERN_EITHER, /* left or right */
	PATTERN_REPEATED,
};

struct pattern_range {
	uint32_t low, high;
};

struct pattern_node {
	enum pattern_kind kind;
	bool is_negated;      /* SET */
	uint32_t first, n;    /* SET */
	uint32_t min, max;    /* REPEATED */
	uint32_t left, right; /* BOTH, EITHER; REPEATED: left */
};

struct pattern_tree {
	struct pattern_node *nodes;
	struct pattern_range *ranges;
	uint32_t n_nodes, n_ranges, root;
};

/* A character of UTF-8 at *p, which moves on; U+FFFD for a byte that is none. Not at the end of the text. */
uint32_t pattern_next_point(const unsigned char **p);

/* The caller frees nodes and ranges, in any case. 0 or a code, as pattern_new(). */
int pattern_parse(const char *text, struct pattern_tree *ret, struct error *err);
