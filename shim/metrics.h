/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container's cgroup in figures: the message that containerd's clients know,
 * io.containerd.cgroups.v1.Metrics or io.containerd.cgroups.v2.Metrics after the host.
 */

#include "common/buf.h"
#include "common/error.h"
#include "shim/cgroup_folders.h"

/*
 * Reads all of it now. ret: the message, encoded; *ret_type: its full name. A file that is not
 * there, or says nothing that we know, leaves its fields at 0 (as containerd/cgroups has it): what
 * a kernel lacks, and what was removed, is no error. CODE_NOT_FOUND where there is no group.
 */
int metrics_read(const struct cgroup_folders *folders, struct buf *ret, const char **ret_type,
	struct error *err);
