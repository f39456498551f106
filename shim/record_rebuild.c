/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Asks no runtime. */
#include "shim/record_rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/options_file.h"

/* Whether something is mounted on the bundle's rootfs: it is of another file system, or another folder of one. */
static bool has_rootfs(const struct state_dir *dir)
{
	struct statx rootfs;

	return statx(dir->fd, "rootfs", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &rootfs) == 0 &&
	       (rootfs.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int open_runtime(const struct state_dir *dir, const char *default_root,
	struct runtime_set *set, struct runtime *ret, struct error *err)
{
	int r = options_file_read(dir->fd, dir->ns, set, err);

	if (r == 0)
		r = runtime_init(ret, set->kind, set->command ? set->command : "runc",
			set->root ? set->root : default_root, 0, err);
	if (r == 0 && runtime_own_root(ret, dir->id) < 0)
		r = error_errno(err, -ENOMEM, "container %s", dir->id);
	return r;
}

static int write_record(const struct state_dir *dir, const char *default_root, struct error *err)
{
	_cleanup_runtime_set_ struct runtime_set set = RUNTIME_SET_INIT;
	_cleanup_(runtime_deinit) struct runtime rt = RUNTIME_INIT;
	char rootfs[PATH_MAX] = "";
	struct container_record record = {
		.id = dir->id,
		.ns = dir->ns,
		.bundle = dir->path,
		.status = (char *)"running",
		.rootfs = rootfs,
		.created = clock_now(),
	};
	int r = open_runtime(dir, default_root, &set, &rt, err);

	if (r != 0)
		return r;
	if (has_rootfs(dir) && snprintf(rootfs, sizeof(rootfs), "%s/rootfs", dir->path) >= PATH_MAX)
		return error_errno(err, -ENAMETOOLONG, "container %s", dir->id);
	record.runtime = rt.command;
	record.runtime_kind = (char *)runtime_kind_name(rt.kind);
	record.runtime_root = rt.root;
	record.runtime_options = set.options.v;
	record.systemd_cgroup = set.systemd_cgroup;
	return container_record_write(dir, &record, err);
}

int record_rebuild(struct state_dir *dir, const char *default_root, struct error *err)
{
	int r = state_dir_lock(dir, err);

	if (r != 0)
		return r;
	r = write_record(dir, default_root, err);
	fd_close(&dir->lock_fd); /* for whoever removes it, who takes it again */
	return r;
}
