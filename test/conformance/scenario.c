/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios as cells: finding one by its number, a box for it, its end. */
#include "test/conformance/cells.h"

#include <stdlib.h>

#include "common/cleanup.h"

static const struct scenario *find(size_t i)
{
	static const struct scenario *const tables[] = { scenarios_life, scenarios_streams,
		scenarios_logger };

	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct scenario *s = tables[t]; s->name; s++)
			if (i-- == 0)
				return s;
	return NULL;
}

bool scenario_name(size_t i, char ret[static CELL_NAME_MAX])
{
	const struct scenario *s = find(i);

	if (s)
		snprintf(ret, CELL_NAME_MAX, "%s %s", s->name, s->who == INIT ? "init" : "exec");
	return s != NULL;
}

void scenario_run(struct conform *conform, size_t i, FILE *f)
{
	const struct scenario *s = find(i);
	struct box *box = box_new(conform, s->terminal, s->command);
	_cleanup_free_ char *left = NULL;

	box->any_order = s->any_order;
	s->run(box, s->who, f);
	left = box_end(box, f);
	if (left)
		fprintf(f, " !%s", left);
}
