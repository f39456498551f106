/* SPDX-License-Identifier: Apache-2.0 */
/* Looks, made into JSON. Asks nobody itself. */
#include "supervisor/cli/look.h"

#include <string.h>

#include "common/client_look.h"
#include "common/json.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/look_json.h"

struct looking {
	json_t *into; /* an array: all; NULL: one, which full is told of */
	json_t *one;
};

/* What cleatd tells besides: that the shim is dead, or what its files do not say. */
static json_t *from_hub(const struct client_seen *seen, bool full)
{
	json_t *obj = seen->info && *seen->info->status ? look_from_info(seen->info, full) : NULL;

	if (!obj)
		return seen->container ? look_from_container(seen->container) : NULL;
	if (seen->container && *seen->container->status)
		json_object_set_new(obj, "status", json_string(seen->container->status));
	return obj;
}

static void *make(const struct client_seen *seen, void *userdata, struct error *err)
{
	bool full = !((struct looking *)userdata)->into;

	if (seen->container)
		return from_hub(seen, full);
	if (seen->info)
		return look_from_info(seen->info, full);
	return look_from_files(seen->dir, seen->is_orphan, full, err);
}

static void take(void *made, void *userdata)
{
	struct looking *l = userdata;

	if (l->into)
		json_array_append_new(l->into, made);
	else
		l->one = made;
}

static void drop(void *made)
{
	json_decref(made);
}

int look_all(struct cli *cli, json_t **ret, struct error *err)
{
	_cleanup_json_ json_t *all = json_array();
	struct looking l = { .into = all };
	const struct client_look look = { make, take, drop, &l };
	int r = client_look_all(&cli->place, &look, err);

	if (r == 0)
		*ret = json_incref(all);
	return r;
}

int look_one(struct cli *cli, const char *id, json_t **ret, struct error *err)
{
	struct looking l = { 0 };
	const struct client_look look = { make, take, drop, &l };
	int r = client_look_one(&cli->place, id, &look, err);

	if (r == 0)
		*ret = l.one;
	return r;
}

json_t *look_pick(const json_t *obj, const char *const *keys)
{
	json_t *picked = json_object();

	for (; *keys; keys++)
		json_object_set(picked, *keys, json_object_get(obj, *keys));
	return picked;
}
