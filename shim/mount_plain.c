/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting by mount(2). Never undoes anything. Subtle: its data is a page, and no error says so. */
#include "shim/mount_plain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "shim/mount_options.h"
#include "shim/mount_overlay.h"
#include "shim/mount_spec.h"
#include "shim/mount_why.h"

int mount_plain(
	const struct mount_spec *m, const struct mount_options *o, int target, struct error *err)
{
	_cleanup_free_ char *data = mount_options_data(o);
	char path[FD_PATH_MAX];

	if (!data)
		return error_errno(err, -ENOMEM, "options");
	if (!mount_data_fits(data)) {
		if (!m->type || strcmp(m->type, "overlay") != 0)
			return error_set(err, CODE_INVALID_ARGUMENT,
				"%zu bytes of options are too many", strlen(data));
		return overlay_mount(m->source, target, o->flags, data, err);
	}
	fd_path(target, path);
	if (mount(m->source, path, m->type, o->flags, data) < 0)
		return mount_why(m->type, data, -errno, err);
	return 0;
}
