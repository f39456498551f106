/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whose call it is, and about which container: what every handler asks first. */

#include "common/ttrpc_server.h"
#include "supervisor/member.h"

/* The namespace of the call's metadata, or NULL: the call has been refused. Valid while the call is. */
const char *caller_namespace(struct ttrpc_call *call);

/* The container in the caller's namespace, or NULL: the call has been refused. */
struct member *caller_member(struct supervisor *s, struct ttrpc_call *call, const char *id);
