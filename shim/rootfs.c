/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting a list. Never leaves half of it. Subtle: the flags of a bind and any propagation need
 * calls of their own, each on what the call before has put there, so the target is opened anew.
 */
#include "shim/rootfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/mount_mapped.h"
#include "shim/mount_options.h"
#include "shim/mount_plain.h"
#include "shim/mount_table.h"
#include "shim/mount_target.h"

#define ATIME_FLAGS (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
/* What a bind has by itself; the rest is the file system's. */
#define MOUNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | ATIME_FLAGS)

static int mount_again(const char *rootfs, const struct mount_spec *m, unsigned long flags,
	const char *what, struct error *err)
{
	_cleanup_close_ int target = -1;
	char path[FD_PATH_MAX];
	int r = mount_target_open(rootfs, m->target, &target);

	if (r < 0)
		return error_errno(err, r, "%s", what);
	fd_path(target, path);
	if (mount("", path, "", flags, NULL) < 0)
		return error_errno(err, -errno, "%s", what);
	return 0;
}

/* The flags of a mount that we can read back and set, without those of access times. */
static int read_flags(const char *rootfs, const struct mount_spec *m, unsigned long *ret)
{
	static const struct {
		unsigned long here, there;
	} known[] = {
		{ ST_RDONLY, MS_RDONLY },
		{ ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },
		{ ST_NOEXEC, MS_NOEXEC },
	};
	_cleanup_close_ int target = -1;
	struct statvfs st;
	int r = mount_target_open(rootfs, m->target, &target);

	if (r == 0 && fstatvfs(target, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	*ret = 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		*ret |= st.f_flag & known[i].here ? known[i].there : 0;
	return 0;
}

/*
 * A bind takes its flags from its source, whatever the first call says. They are changed as the
 * options tell and no further: "ro" is no reason to allow suid where the source forbids it.
 */
static int mount_bind_flags(const char *rootfs, const struct mount_spec *m,
	const struct mount_options *o, struct error *err)
{
	unsigned long has = 0, wants;
	int r = read_flags(rootfs, m, &has);

	if (r < 0)
		return error_errno(err, r, "flags of the bind");
	wants = (has & ~o->cleared) | (o->flags & MOUNT_FLAGS);
	if (wants == has)
		return 0;
	return mount_again(rootfs, m, MS_REMOUNT | MS_BIND | wants, "flags of the bind", err);
}

static int mount_one(const char *rootfs, const struct mount_spec *m, struct error *err)
{
	_cleanup_mount_options_ struct mount_options o = MOUNT_OPTIONS_INIT;
	_cleanup_close_ int target = -1;
	int r = mount_options_parse(&o, m, err);

	if (r != 0)
		return r;
	r = mount_target_open(rootfs, m->target, &target);
	if (r < 0)
		return error_errno(err, r, "target");
	r = o.uid_map ? mount_mapped(rootfs, m, &o, target, err) : mount_plain(m, &o, target, err);
	for (size_t i = 0; r == 0 && i < o.n_propagation; i++)
		r = mount_again(rootfs, m, o.propagation[i], "propagation", err);
	if (r == 0 && (o.flags & MS_BIND) && !(o.flags & MS_REMOUNT))
		r = mount_bind_flags(rootfs, m, &o, err);
	return r;
}

static int mount_list(
	const char *rootfs, const struct mount_spec *mounts, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *text = NULL;

		if (mount_one(rootfs, &mounts[i], err) == 0)
			continue;
		text = mount_spec_text(&mounts[i], rootfs);
		return error_wrap(err, "%s", text ? text : "mount");
	}
	return 0;
}

static int make_folder(const char *path, bool *ret_made)
{
	mode_t before = umask(0);
	int r = mkdir(path, 0711) < 0 ? -errno : 0;

	umask(before);
	*ret_made = r == 0;
	return r == -EEXIST ? 0 : r;
}

/* Tells in the sentence what is left where even this fails. */
static void undo(const char *path, const struct mount_table *before, bool made, struct error *err)
{
	unsigned n_detached = 0;
	int r = mount_table_unmount(path, before, &n_detached);
	enum code code = err->code;

	if (r < 0)
		error_set(err, code, "%s; what was mounted before it could not be unmounted: %s",
			error_message(err), strerror(-r));
	else if (made)
		rmdir(path);
}

int rootfs_mount(const char *rootfs, const struct mount_spec *mounts, size_t n, struct error *err)
{
	_cleanup_mount_table_ struct mount_table before = MOUNT_TABLE_INIT;
	_cleanup_free_ char *path = NULL;
	bool made = false;
	int r = mount_specs_check(mounts, n, rootfs, err);

	if (r != 0)
		return r;
	r = rootfs_real_path(rootfs, &path);
	if (r == 0)
		r = make_folder(path, &made);
	if (r == 0)
		r = mount_table_read(path, &before);
	if (r < 0)
		return error_errno(err, r, "rootfs %s", rootfs);
	r = mount_list(path, mounts, n, err);
	if (r != 0)
		undo(path, &before, made, err);
	return r;
}

int rootfs_unmount(const char *rootfs, unsigned *ret_n_detached, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	int r = rootfs_real_path(rootfs, &path);

	*ret_n_detached = 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r == 0)
		r = mount_table_unmount(path, NULL, ret_n_detached);
	return r < 0 ? error_errno(err, r, "unmount %s", rootfs) : 0;
}
