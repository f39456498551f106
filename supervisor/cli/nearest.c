/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. The usual table of distances between all beginnings of both words, of which three rows are
 * kept: an exchange of neighbours looks two rows back.
 */
#include "supervisor/cli/nearest.h"

#include <string.h>

typedef unsigned int row[NEAREST_LENGTH_MAX + 1];

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Fills the row of a's first i bytes from those before it. */
static void fill_row(
	const char *a, size_t i, const char *b, size_t n_b, const row older, const row old, row ret)
{
	ret[0] = (unsigned int)i;
	for (size_t j = 1; j <= n_b; j++) {
		ret[j] = least(old[j], ret[j - 1]) + 1;
		ret[j] = least(ret[j], old[j - 1] + (a[i - 1] != b[j - 1]));
		if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
			ret[j] = least(ret[j], older[j - 2] + 1);
	}
}

unsigned int nearest_distance(
	const char *a, size_t n_a, const char *b, size_t n_b, unsigned int limit)
{
	row rows[3];

	if (n_a > NEAREST_LENGTH_MAX || n_b > NEAREST_LENGTH_MAX)
		return limit + 1;
	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n_a; i++)
		fill_row(a, i, b, n_b, rows[(i + 1) % 3], rows[(i - 1) % 3], rows[i % 3]);
	return least(rows[n_a % 3][n_b], limit + 1);
}

struct nearest nearest_to(const char *typed, size_t n)
{
	return (struct nearest){ typed, n, NULL, NEAREST_CHANGES_MAX + 1 };
}

void nearest_offer(struct nearest *nearest, const char *word)
{
	unsigned int changes;

	if (!word)
		return;
	changes = nearest_distance(
		nearest->typed, nearest->n_typed, word, strlen(word), NEAREST_CHANGES_MAX);
	if (changes >= nearest->changes || 2 * changes >= nearest->n_typed)
		return;
	nearest->word = word;
	nearest->changes = changes;
}
