/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for what mount(2) says by a number alone. Never changes anything. Subtle: it looks after
 * the failure, so what it finds may have changed since; where it finds nothing wrong, the number's
 * words stand as they are.
 */
#include "shim/mount_why.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/argv.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "shim/overlay_data.h"

#define MAX_TEXT 200 /* bytes of a client's in a sentence */

/* CODE_OK, or what is wrong with the folder. */
static int look_at(const char *what, const char *path, struct error *err)
{
	_cleanup_free_ char *text = text_clean(path, strlen(path), MAX_TEXT);
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		r = -errno;
	else if (!S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	return r < 0 ? error_errno(err, r, "%s %s", what, text ? text : "") : CODE_OK;
}

static int look_at_layers(const char *data, struct error *err)
{
	_cleanup_argv_ struct argv layers = ARGV_INIT;
	int r = overlay_layers(data, &layers) < 0 ? CODE_OK : 0;

	for (size_t i = 0; r == 0 && i < layers.n; i++)
		r = look_at("lowerdir", layers.v[i], err);
	return r;
}

/* By their mounts where the kernel tells these (5.8): overlay wants one, one file system is not enough. */
static bool are_on_one_mount(const char *a, const char *b)
{
	struct statx x, y;

	if (statx(AT_FDCWD, a, 0, STATX_MNT_ID, &x) < 0 ||
		statx(AT_FDCWD, b, 0, STATX_MNT_ID, &y) < 0)
		return true;
	if (x.stx_mask & y.stx_mask & STATX_MNT_ID)
		return x.stx_mnt_id == y.stx_mnt_id;
	return x.stx_dev_major == y.stx_dev_major && x.stx_dev_minor == y.stx_dev_minor;
}

static bool is_read_only(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) == 0 && (st.f_flag & ST_RDONLY);
}

/* Of folders that are there: what EINVAL says of them. */
static int look_at_pair(const char *upper, const char *work, struct error *err)
{
	_cleanup_free_ char *upper_text = text_clean(upper, strlen(upper), MAX_TEXT);
	_cleanup_free_ char *work_text = text_clean(work, strlen(work), MAX_TEXT);

	if (is_read_only(upper))
		return error_errno(err, -EROFS, "upperdir %s", upper_text ? upper_text : "");
	if (are_on_one_mount(upper, work))
		return CODE_OK;
	return error_set(err, CODE_INVALID_ARGUMENT,
		"upperdir %s and workdir %s are not on one mount", upper_text ? upper_text : "",
		work_text ? work_text : "");
}

static int overlay_why(const char *data, int number, struct error *err)
{
	_cleanup_free_ char *upper = NULL, *work = NULL;
	int r = look_at_layers(data, err);

	if (r != 0 || overlay_value(data, "upperdir=", &upper) < 0 ||
		overlay_value(data, "workdir=", &work) < 0)
		return r;
	if (upper)
		r = look_at("upperdir", upper, err);
	if (r == 0 && work)
		r = look_at("workdir", work, err);
	if (r == 0 && upper && work && number == -EINVAL)
		r = look_at_pair(upper, work, err);
	return r;
}

int mount_why(const char *type, const char *data, int r, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int code = type && strcmp(type, "overlay") == 0 ? overlay_why(data, r, err) : CODE_OK;

	if (code != CODE_OK)
		return code;
	if ((r == -EINVAL || r == -ELOOP) && *data) /* ELOOP: layers that lie in each other */
		text = text_clean(data, strlen(data), MAX_TEXT);
	if (text)
		return error_errno(err, r, "options \"%s\"", text);
	return error_set(err, code_from_errno(r), "%s", strerror(-r));
}
