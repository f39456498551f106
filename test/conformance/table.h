/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The table of expected answers, as it lies in the tree. One cell a line:
 *
 *     CALL STATE WHO | the reference's answer | KEY: our answer
 *
 * The last part only where we differ on purpose: KEY is that of a line in the README. Of what the
 * reference says, "words" are its own and ="words" are what clients look for: ours must say the
 * latter, and has a sentence of its own for the former, which is not compared.
 */

#include <stdbool.h>
#include <stddef.h>

struct table;

enum verdict { VERDICT_EQUAL, VERDICT_BETTER, VERDICT_DIFFERS };

/* Reads it; a line that it cannot read, or a key that the README lacks, ends the program. */
struct table *table_read(const char *path, const char *readme);
void table_free(struct table *table);

/* Judges an answer; why is filled with a sentence to free where it differs. */
enum verdict table_judge(
	struct table *table, bool reference, const char *name, const char *answer, char **why);
/* The name of a line that no answer was judged by, or NULL. */
const char *table_unused(const struct table *table);
