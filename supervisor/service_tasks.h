/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * containerd.services.tasks.v1.Tasks: each call's request as the shim's Task service has it, and the
 * answer back. Wait is never passed on: it follows the shim's events. List is answered from memory.
 */

#include "supervisor/supervisor.h"

/* 0 or -errno. */
int service_tasks_register(struct supervisor *s);
