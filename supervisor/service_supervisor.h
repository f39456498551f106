/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cleat.v1.Supervisor: what containerd's services have no words for. */

#include "supervisor/supervisor.h"

/* 0 or -errno. */
int service_supervisor_register(struct supervisor *s);
