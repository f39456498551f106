/* SPDX-License-Identifier: Apache-2.0 */
/* Adoptions under way. Never waits. Subtle: the connection that asks is its own, and is closed after. */
#include "supervisor/adoption.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/ids.h"
#include "monitor.pb-c.h"
#include "supervisor.pb-c.h"
#include "supervisor/forward.h"
#include "supervisor/listing.h"
#include "supervisor/registry.h"

#define ANSWER_MS 2000

struct adoption {
	struct supervisor *supervisor;
	struct ttrpc_call *call;
	struct ttrpc_client *client;
	char socket[];
};

static void adoption_free(struct adoption *a)
{
	ttrpc_client_free(a->client);
	free(a);
}

static void on_left(void *userdata)
{
	adoption_free(userdata);
}

static void reply(struct ttrpc_call *call, const struct member *m)
{
	Cleat__V1__AdoptResponse to = CLEAT__V1__ADOPT_RESPONSE__INIT;
	struct listed_container listed;

	listing_fill_container(m, &listed);
	to.container = &listed.container;
	ttrpc_call_reply(call, &to.base);
}

static int take(struct adoption *a, const Cleat__Shim__V1__InfoResponse *info, struct member **ret,
	struct error *err)
{
	struct registry *r = a->supervisor->registry;

	if (!id_is_valid(info->namespace_) || !id_is_valid(info->id))
		return error_set(
			err, CODE_INVALID_ARGUMENT, "%s: it does not say whose it is", a->socket);
	if (registry_find(r, info->namespace_, info->id))
		return error_set(err, CODE_ALREADY_EXISTS,
			"container %s: already looked after in namespace %s", info->id,
			info->namespace_);
	*ret = registry_adopt(r, a->socket, info);
	return *ret ? 0
		    : error_set(err, CODE_UNAVAILABLE, "container %s: its shim is gone", info->id);
}

static void on_info(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	_cleanup_error_ struct error failed = ERROR_INIT;
	struct adoption *a = userdata;
	struct member *m = NULL;

	if (code != 0)
		code = error_set(&failed, (enum code)code, "%s: %s", a->socket, error_message(err));
	else
		code = take(a, (const void *)message, &m, &failed);
	if (code == 0)
		reply(a->call, m);
	else
		forward_refuse(a->call, &failed);
	adoption_free(a);
}

static int ask(struct adoption *a, struct error *err)
{
	Cleat__Shim__V1__InfoRequest request = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const struct ttrpc_request call = {
		.service = MONITOR_SERVICE,
		.method = "Info",
		.message = &request.base,
		.response = &cleat__shim__v1__info_response__descriptor,
		.timeout_ms = ANSWER_MS,
	};
	int r = ttrpc_client_connect(a->socket, a->supervisor->base, &a->client, err);

	request.without_spec = true;
	return r == 0 ? ttrpc_client_begin(a->client, &call, 0, on_info, a, NULL, err) : r;
}

void adoption_begin(struct supervisor *s, struct ttrpc_call *call, const char *socket)
{
	size_t n = strlen(socket) + 1;
	struct adoption *a = calloc(1, sizeof(*a) + n);
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = 0;

	if (!a) {
		ttrpc_call_fail(call, CODE_RESOURCE_EXHAUSTED, "no memory for an Adopt");
		return;
	}
	a->supervisor = s;
	a->call = call;
	memcpy(a->socket, socket, n);
	if (*socket != '/')
		r = error_set(
			&err, CODE_INVALID_ARGUMENT, "socket \"%s\": not an absolute path", socket);
	if (r == 0)
		r = ask(a, &err);
	if (r == 0) {
		ttrpc_call_keep(call, on_left, NULL, a);
		return;
	}
	forward_refuse(call, &err);
	adoption_free(a);
}
