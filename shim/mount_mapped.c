/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapped ids. Never leaves a mount anywhere but on the target.
 *
 *   what            how
 *   a bind          a detached copy of its source is mapped, and moved to the target
 *   an overlay      in a mount namespace aside: a mapped copy of each layer is put on top of the layer,
 *                   then overlay is mounted with its options as they are; what came of it is taken along
 *                   as a detached copy, and moved to the target
 *   anything else   is mounted aside too, and a copy of it mapped
 *
 * Subtle: only what is detached can be mapped, and until 6.15 overlay takes no layer that is: hence the
 * namespace.
 */
#include "shim/mount_mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/text.h"
#include "shim/mount_aside.h"
#include "shim/mount_options.h"
#include "shim/mount_plain.h"
#include "shim/mount_spec.h"
#include "shim/mount_target.h"
#include "shim/overlay_data.h"
#include "shim/userns.h"

#define MAX_TEXT 200 /* bytes of a client's in a sentence */

/* path is relative to dir; "": dir itself. deep: with what is mounted below. */
static int tree_copy(int dir, const char *path, bool deep, int *ret)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT;

	*ret = open_tree(
		dir, path, flags | (deep ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH));
	return *ret < 0 ? -errno : 0;
}

static int tree_move(int tree, int dir, const char *path)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

	return move_mount(tree, "", dir, path, flags) < 0 ? -errno : 0;
}

static int tree_map(int tree, bool deep, int userns, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.propagation = MS_PRIVATE,
		.userns_fd = (uint64_t)userns,
	};

	if (mount_setattr(
		    tree, "", AT_EMPTY_PATH | (deep ? AT_RECURSIVE : 0), &attr, sizeof(attr)) == 0)
		return 0;
	if (errno == ENOSYS)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"this kernel does not map the ids of mounts: Linux 5.12 does");
	if (errno == EINVAL)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"its file system does not map ids on this kernel");
	return error_errno(err, -errno, "mapped ids");
}

static int copy_mapped(
	int dir, const char *path, bool deep, int userns, int *ret, struct error *err)
{
	_cleanup_close_ int tree = -1;
	int r = tree_copy(dir, path, deep, &tree);

	if (r < 0)
		return error_set(err, code_from_errno(r), "%s", strerror(-r));
	r = tree_map(tree, deep, userns, err);
	if (r == 0)
		*ret = TAKE_FD(tree);
	return r;
}

/* --- layers --- */

/* A mapped copy on top of what is there. */
static int layer_map(const char *path, int userns, struct error *err)
{
	_cleanup_close_ int tree = -1;
	int r = copy_mapped(AT_FDCWD, path, false, userns, &tree, err);

	if (r != 0)
		return r;
	r = tree_move(tree, AT_FDCWD, path);
	return r < 0 ? error_set(err, code_from_errno(r), "%s", strerror(-r)) : 0;
}

static int layers_map(const char *data, int userns, struct error *err)
{
	_cleanup_argv_ struct argv paths = ARGV_INIT;
	int r = overlay_layers(data, &paths);

	if (r < 0)
		return error_errno(err, r, "layers");
	for (size_t i = 0; i < paths.n; i++) {
		_cleanup_free_ char *text = NULL;

		if (layer_map(paths.v[i], userns, err) == 0)
			continue;
		text = text_clean(paths.v[i], strlen(paths.v[i]), MAX_TEXT);
		return error_wrap(err, "lowerdir %s", text ? text : "");
	}
	return 0;
}

/* --- aside --- */

static bool kernel_has_mapped_overlay(void)
{
	struct utsname u;
	int major, minor;

	return uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2 || major > 5 ||
	       (major == 5 && minor >= 19);
}

static int overlay_aside(const struct mount_spec *m, const struct mount_options *o, int target,
	int userns, struct error *err)
{
	_cleanup_free_ char *data = mount_options_data(o);
	int r;

	if (!data)
		return error_errno(err, -ENOMEM, "options");
	r = layers_map(data, userns, err);
	if (r == 0)
		r = mount_plain(m, o, target, err);
	if (r != 0 && !kernel_has_mapped_overlay())
		error_wrap(err, "overlay over mapped ids (Linux 5.19)");
	return r;
}

/* target is opened anew: the one that we have is of the namespace outside. */
static int mount_here(const char *rootfs, const struct mount_spec *m, const struct mount_options *o,
	int userns, int *ret, struct error *err)
{
	bool is_overlay = m->type && strcmp(m->type, "overlay") == 0;
	_cleanup_close_ int beneath = -1, top = -1;
	int r = mount_target_open(rootfs, m->target, &beneath);

	if (r < 0)
		return error_errno(err, r, "target");
	r = is_overlay ? overlay_aside(m, o, beneath, userns, err)
		       : mount_plain(m, o, beneath, err);
	if (r != 0)
		return r;
	r = mount_target_open(rootfs, m->target, &top);
	if (r < 0)
		return error_errno(err, r, "target");
	if (!is_overlay)
		return copy_mapped(top, "", false, userns, ret, err);
	r = tree_copy(top, "", false, ret);
	return r < 0 ? error_errno(err, r, "target") : 0;
}

static int make_aside(const char *rootfs, const struct mount_spec *m, const struct mount_options *o,
	int userns, int *ret, struct error *err)
{
	struct mount_aside aside;
	int r = mount_aside_enter(&aside, err);

	if (r != 0)
		return r;
	r = mount_here(rootfs, m, o, userns, ret, err);
	mount_aside_leave(&aside);
	return r;
}

int mount_mapped(const char *rootfs, const struct mount_spec *m, const struct mount_options *o,
	int target, struct error *err)
{
	_cleanup_close_ int userns = -1, tree = -1;
	int r = userns_open(o->uid_map, o->gid_map, &userns, err);

	if (r != 0)
		return r;
	if (o->flags & MS_BIND)
		r = copy_mapped(AT_FDCWD, m->source, o->flags & MS_REC, userns, &tree, err);
	else
		r = make_aside(rootfs, m, o, userns, &tree, err);
	if (r != 0)
		return r;
	r = tree_move(tree, target, "");
	return r < 0 ? error_errno(err, r, "target") : 0;
}
