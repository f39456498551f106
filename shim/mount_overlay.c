/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay with many layers. Never used where mount(2) takes the options as they are. Subtle: what
 * goes through fsconfig(2) as "lowerdir+" is a bare path, without backslashes, and no string longer
 * than 255 bytes, so a longer one goes as a descriptor (6.13).
 */
#include "shim/mount_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/mount_why.h"
#include "shim/overlay_data.h"

#define FSCONFIG_STRING 255

bool mount_data_fits(const char *data)
{
	/* the kernel copies a page and puts a NUL in its last byte */
	return strlen(data) < (size_t)sysconf(_SC_PAGESIZE);
}

static int config(int fs, unsigned command, const char *key, const void *value, int aux)
{
	return syscall(SYS_fsconfig, fs, command, key, value, aux) < 0 ? -errno : 0;
}

/* A path as a value, whatever its length. */
static int config_path(int fs, const char *key, const char *path)
{
	_cleanup_close_ int fd = -1;

	if (strlen(path) <= FSCONFIG_STRING)
		return config(fs, FSCONFIG_SET_STRING, key, path, 0);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return config(fs, FSCONFIG_SET_FD, key, NULL, fd);
}

static int config_layers(int fs, const char *value)
{
	_cleanup_argv_ struct argv paths = ARGV_INIT;
	const char *key = "lowerdir+";
	int r = overlay_split(value, ':', &paths);

	for (size_t i = 0; r == 0 && i < paths.n; i++) {
		if (!*paths.v[i]) {
			key = "datadir+";
			continue;
		}
		overlay_unescape(paths.v[i]);
		r = config_path(fs, key, paths.v[i]);
	}
	return r;
}

static int config_option(int fs, char *option)
{
	char *value = strchr(option, '=');

	if (strncmp(option, OVERLAY_LOWERDIR, strlen(OVERLAY_LOWERDIR)) == 0)
		return config_layers(fs, option + strlen(OVERLAY_LOWERDIR));
	if (!value)
		return config(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	*value++ = '\0';
	if (strlen(value) <= FSCONFIG_STRING)
		return config(fs, FSCONFIG_SET_STRING, option, value, 0);
	overlay_unescape(value);
	return config_path(fs, option, value);
}

static int config_flags(int fs, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		const char *key;
	} keys[] = {
		{ MS_RDONLY, "ro" },
		{ MS_SYNCHRONOUS, "sync" },
		{ MS_DIRSYNC, "dirsync" },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(*keys); i++)
		if (flags & keys[i].flag)
			r = config(fs, FSCONFIG_SET_FLAG, keys[i].key, NULL, 0);
	return r;
}

static unsigned mount_attributes(unsigned long flags)
{
	unsigned a = 0;

	a |= flags & MS_RDONLY ? MOUNT_ATTR_RDONLY : 0;
	a |= flags & MS_NOSUID ? MOUNT_ATTR_NOSUID : 0;
	a |= flags & MS_NODEV ? MOUNT_ATTR_NODEV : 0;
	a |= flags & MS_NOEXEC ? MOUNT_ATTR_NOEXEC : 0;
	a |= flags & MS_NODIRATIME ? MOUNT_ATTR_NODIRATIME : 0;
	if (flags & MS_STRICTATIME)
		return a | MOUNT_ATTR_STRICTATIME;
	return a | (flags & MS_NOATIME ? MOUNT_ATTR_NOATIME : MOUNT_ATTR_RELATIME);
}

static int config_all(int fs, const char *source, unsigned long flags, const char *data)
{
	_cleanup_argv_ struct argv options = ARGV_INIT;
	int r = overlay_split(data, ',', &options);

	if (r == 0 && source && *source)
		r = config(fs, FSCONFIG_SET_STRING, "source", source, 0);
	if (r == 0)
		r = config_flags(fs, flags);
	for (size_t i = 0; r == 0 && i < options.n; i++)
		r = config_option(fs, options.v[i]);
	if (r == 0)
		r = config(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	return r;
}

static int mount_by_parts(const char *source, int target, unsigned long flags, const char *data)
{
	_cleanup_close_ int fs = -1, mount_fd = -1;
	int r;

	fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	r = config_all(fs, source, flags, data);
	if (r < 0)
		return r;
	mount_fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, mount_attributes(flags));
	if (mount_fd < 0)
		return -errno;
	if (syscall(SYS_move_mount, mount_fd, "", target, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/*
 * Whether the kernel takes layers one by one: overlay of 6.8 knows the key. Before 6.5 it takes any
 * key, known or not, and finds fault with them only when it mounts.
 */
static bool kernel_takes_parts(void)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);

	return fs >= 0 && config(fs, FSCONFIG_SET_STRING, "no+such+key", "/", 0) < 0 &&
	       config(fs, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0;
}

int overlay_mount(
	const char *source, int target, unsigned long flags, const char *data, struct error *err)
{
	_cleanup_free_ char *shorter = NULL, *dir = NULL;
	const char *whole = data;
	char path[FD_PATH_MAX];
	int r = overlay_make_relative(data, &shorter, &dir);

	if (r == -ENOMEM)
		return error_errno(err, r, "options");
	if (r == 0 && chdir(dir) < 0)
		return error_errno(err, -errno, "%s", dir);
	data = shorter ? shorter : data;
	fd_path(target, path);
	if (mount_data_fits(data)) {
		if (mount(source, path, "overlay", flags, data) < 0)
			return mount_why("overlay", whole, -errno, err);
		return 0;
	}
	if (!kernel_takes_parts())
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"%zu bytes of options, and this kernel takes a page of them", strlen(data));
	r = mount_by_parts(source, target, flags, data);
	return r < 0 ? mount_why("overlay", whole, r, err) : 0;
}
