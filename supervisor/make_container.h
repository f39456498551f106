/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A Create, from the request to the shim's answer:
 *
 *   CHECKED --start begun--> STARTING --address--> CREATING --answer--> answered
 *      | wrong request          | start failed        | shim's error, or the shim has ended
 *      v                        v                     v
 *   refused                  refused              refused, and the shim told to end
 *
 * A caller that leaves changes nothing: what has begun is finished, and stays in the list.
 */

#include "common/ttrpc_server.h"
#include "supervisor.pb-c.h"
#include "supervisor/supervisor.h"
#include "tasks.pb-c.h"

/* The type of Tasks.Create's options. */
#define CREATE_OPTIONS_TYPE "cleat.v1.CreateOptions"

/* Both take over the call. */
void make_container_tasks(struct supervisor *s, struct ttrpc_call *call,
	const Containerd__Services__Tasks__V1__CreateTaskRequest *request);
void make_container(
	struct supervisor *s, struct ttrpc_call *call, const Cleat__V1__CreateRequest *request);
