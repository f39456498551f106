/* SPDX-License-Identifier: Apache-2.0 */
/* The message of `checkpoint` and `restore`. Never looks whether there is an image. */
#include "supervisor/cli/criu_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define DEFAULT_IMAGE "checkpoint"

void criu_paths_deinit(struct criu_paths *paths)
{
	free(paths->image);
	free(paths->work);
	*paths = (struct criu_paths){ 0 };
}

/* By name alone: the folder need not be there yet. 0 or -errno. */
static int make_absolute(const char *path, char **ret)
{
	_cleanup_free_ char *here = *path == '/' ? NULL : getcwd(NULL, 0);
	int n;

	if (*path != '/' && !here)
		return -errno;
	n = here ? asprintf(ret, "%s/%s", here, path) : asprintf(ret, "%s", path);
	if (n >= 0)
		return 0;
	*ret = NULL;
	return -ENOMEM;
}

static void set_text(char **to, const char *value)
{
	if (value)
		*to = (char *)value;
}

int criu_options_fill(const struct criu_options *o, Cleat__Shim__V1__CriuOptions *m,
	struct criu_paths *paths, struct error *err)
{
	int r = make_absolute(o->image_path ? o->image_path : DEFAULT_IMAGE, &paths->image);

	if (r == 0 && o->work_path)
		r = make_absolute(o->work_path, &paths->work);
	if (r < 0)
		return error_errno(err, r, "the image's folder");
	cleat__shim__v1__criu_options__init(m);
	set_text(&m->work_path, paths->work);
	set_text(&m->parent_path, o->parent_path);
	set_text(&m->cgroups_mode, o->cgroups_mode);
	set_text(&m->page_server, o->page_server);
	set_text(&m->lsm_profile, o->lsm_profile);
	set_text(&m->lsm_mount_context, o->lsm_mount_context);
	m->exit = !o->leave_running && !o->pre_dump;
	m->pre_dump = o->pre_dump;
	m->open_tcp = o->open_tcp;
	m->external_unix_sockets = o->external_unix_sockets;
	m->terminal = o->shell_job;
	m->file_locks = o->file_locks;
	m->lazy_pages = o->lazy_pages;
	m->auto_dedup = o->auto_dedup;
	m->empty_namespaces = o->empty_namespaces.v;
	m->n_empty_namespaces = o->empty_namespaces.n;
	return 0;
}
