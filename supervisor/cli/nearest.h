/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The known word that somebody may have meant who typed another. Prints nothing, knows no word. */

#include <stddef.h>

#define NEAREST_CHANGES_MAX 2u	/* what is further away is another word */
#define NEAREST_LENGTH_MAX  32u /* longer words, in bytes, are nobody's */

/*
 * How many changes make a of b: a byte added, left out or replaced, or two neighbours exchanged (of which
 * none is changed again). More than limit, or a word that is too long: limit + 1.
 */
unsigned int nearest_distance(
	const char *a, size_t n_a, const char *b, size_t n_b, unsigned int limit);

struct nearest {
	const char *typed; /* n_typed bytes of it; not owned */
	size_t n_typed;
	const char *word; /* the nearest so far, of those offered; not owned; NULL: none is near */
	unsigned int changes;
};

/* n: of the bytes of typed. */
struct nearest nearest_to(const char *typed, size_t n);

/*
 * One more known word; NULL is none. It is near up to NEAREST_CHANGES_MAX changes, if they are less than
 * half of what was typed. Of several equally near the first one counts.
 */
void nearest_offer(struct nearest *nearest, const char *word);
