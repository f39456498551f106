/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces and containers of calls. Keeps nothing. */
#include "supervisor/caller.h"

#include "common/client_rpc.h"
#include "common/error.h"
#include "common/ids.h"
#include "supervisor/forward.h"
#include "supervisor/registry.h"
#include "supervisor/supervisor.h"

const char *caller_namespace(struct ttrpc_call *call)
{
	const char *ns = ttrpc_call_metadata(call, CLIENT_NAMESPACE_KEY);
	_cleanup_error_ struct error err = ERROR_INIT;

	if (!ns || !*ns)
		error_set(&err, CODE_FAILED_PRECONDITION, "namespace is required");
	else if (id_check(ns, "namespace", &err) == 0)
		return ns;
	forward_refuse(call, &err);
	return NULL;
}

struct member *caller_member(struct supervisor *s, struct ttrpc_call *call, const char *id)
{
	const char *ns = caller_namespace(call);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct member *m = NULL;

	if (!ns)
		return NULL;
	if (id_check(id, "container id", &err) == 0) {
		m = registry_find(s->registry, ns, id);
		if (!m)
			error_set(&err, CODE_NOT_FOUND, "container %s: does not exist", id);
	}
	if (!m)
		forward_refuse(call, &err);
	return m;
}
