/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What there is to try, a cell at a time: every call in every state of init and exec, then what
 * takes more than one call. A cell's name is the beginning of its line in the table.
 */

#include <stddef.h>
#include <stdio.h>

#include "test/conformance/box.h"

#define CELL_NAME_MAX 64

/* Writes the name of cell i. False past the last. */
bool matrix_name(size_t i, char ret[static CELL_NAME_MAX]);
/* Tries it; what came of it, in one line without its end, is written to f. */
void matrix_run(struct conform *conform, size_t i, FILE *f);

/* What takes more than one call. run() writes what came of it, without the events. */
struct scenario {
	const char *name;
	enum who who;
	bool terminal;
	bool any_order;	     /* of the events */
	const char *command; /* of the process that it is about; NULL: the usual one */
	void (*run)(struct box *box, enum who who, FILE *f);
};

/* Each ends with an entry without a name. */
extern const struct scenario scenarios_life[], scenarios_streams[], scenarios_logger[];

bool scenario_name(size_t i, char ret[static CELL_NAME_MAX]);
void scenario_run(struct conform *conform, size_t i, FILE *f);
