/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The shims' events, and those that dead shims leave to us, on their way into the hub. */

#include "supervisor/member.h"

/* As the shim told it. */
void shims_events_publish(
	struct supervisor *s, const struct member *m, const Cleat__Shim__V1__Event *event);

/* The exit of a process whose shim is dead: containerd's TaskExit, with 255 where it is not known. */
void shims_events_publish_exit(struct supervisor *s, const struct member_process *p);
