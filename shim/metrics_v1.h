/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A cgroup of version 1 as io.containerd.cgroups.v1.Metrics. */

#include "metrics_v1.pb-c.h"
#include "shim/cgroup_folders.h"
#include "shim/metrics_reader.h"

/* The message lives in the reader. NULL without memory. */
Io__Containerd__Cgroups__V1__Metrics *metrics_v1(
	struct metrics_reader *r, const struct cgroup_folders *folders);
