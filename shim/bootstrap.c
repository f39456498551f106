/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Starts nothing and writes nothing.
 *
 *   id and namespace equal   an Any of known type   more in it than an Any has   it is
 *   yes                      any                    any                          BootstrapParams
 *   no                       yes                    no                           options
 *   no                       no                     yes                          refused: another's params
 *   no                       no                     no                           refused: an unknown type
 *   no                       yes                    yes                          refused: neither
 *   (does not decode)                                                            refused: neither
 *
 * Subtle: decoded messages live in an arena, since few bytes can ask for much memory; what is kept of
 * them is a copy.
 */
#include "shim/bootstrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.pb-c.h"
#include "common/arena.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/pbtext.h"
#include "common/text.h"
#include "shim/runtime_wish.h"

#define ARENA_BYTES 2048u
#define SHOWN_MAX   100u
#define LEVEL_DEBUG CONTAINERD__RUNTIME__BOOTSTRAP__V1__LOG_LEVEL__LOG_LEVEL_DEBUG
#define LEVEL_INFO  CONTAINERD__RUNTIME__BOOTSTRAP__V1__LOG_LEVEL__LOG_LEVEL_INFO

typedef Containerd__Runtime__Bootstrap__V1__BootstrapParams bootstrap_params;

/* What stands on stdin, decoded as far as it can be. */
struct reading {
	const bootstrap_params *params;	  /* NULL: it is none */
	const Google__Protobuf__Any *any; /* the same */
};

void bootstrap_deinit(struct bootstrap *b)
{
	free(b->ttrpc_address);
	free(b->grpc_address);
	free(b->containerd_binary);
	free(b->socket_dir);
	if (b->options)
		google__protobuf__any__free_unpacked(b->options, NULL);
	*b = BOOTSTRAP_INIT;
}

/* A copy for google__protobuf__any__free_unpacked(); NULL without memory. */
static Google__Protobuf__Any *copy_any(const Google__Protobuf__Any *from)
{
	Google__Protobuf__Any *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	google__protobuf__any__init(copy);
	copy->type_url = strdup(from->type_url);
	if (from->value.len > 0)
		copy->value.data = malloc(from->value.len);
	if (!copy->type_url || (from->value.len > 0 && !copy->value.data)) {
		google__protobuf__any__free_unpacked(copy, NULL);
		return NULL;
	}
	copy->value.len = from->value.len;
	if (from->value.len > 0)
		memcpy(copy->value.data, from->value.data, from->value.len);
	return copy;
}

/* "" is not said. */
static int keep(char **to, const char *text)
{
	*to = *text ? strdup(text) : NULL;
	return *text && !*to ? -ENOMEM : 0;
}

/* --- what it is --- */

static const void *decode(
	const ProtobufCMessageDescriptor *type, struct arena *arena, const void *data, size_t n)
{
	return pbtext_is_valid(type, data, n)
		       ? protobuf_c_message_unpack(type, &arena->allocator, n, data)
		       : NULL;
}

static bool is_for(const bootstrap_params *params, const char *id, const char *ns)
{
	return params && id && strcmp(params->instance_id, id) == 0 &&
	       strcmp(params->namespace_, ns) == 0;
}

/* An Any is two fields. */
static bool is_bare(const Google__Protobuf__Any *any)
{
	return any && any->base.n_unknown_fields == 0;
}

static int refuse_other(const struct reading *r, const char *id, const char *ns, struct error *err)
{
	const char *theirs = r->params->instance_id, *theirs_ns = r->params->namespace_;
	_cleanup_free_ char *shown = text_clean(theirs, strlen(theirs), SHOWN_MAX);
	_cleanup_free_ char *shown_ns = text_clean(theirs_ns, strlen(theirs_ns), SHOWN_MAX);

	return error_set(err, CODE_INVALID_ARGUMENT,
		"stdin is for container \"%s\" in namespace \"%s\", but -id and -namespace are "
		"\"%s\" and \"%s\"",
		shown ? shown : "?", shown_ns ? shown_ns : "?", id, ns);
}

static int refuse(const struct arena *arena, size_t n, const char *id, struct error *err)
{
	if (arena->exhausted)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "stdin asks for too much memory");
	return error_set(err, CODE_INVALID_ARGUMENT,
		"the %zu bytes on stdin are %s an Any of options", n,
		id ? "neither BootstrapParams nor" : "not");
}

/* --- taking it --- */

/* The first that is of a type of ours, as containerd's own shim searches them. */
static const Google__Protobuf__Any *find_options(const bootstrap_params *params)
{
	for (size_t i = 0; i < params->n_extensions; i++) {
		const Google__Protobuf__Any *value = params->extensions[i]->value;

		if (value && runtime_wish_knows(value->type_url))
			return value;
	}
	return NULL;
}

static int take_options(
	const Google__Protobuf__Any *options, struct bootstrap *b, struct error *err)
{
	int r = options ? runtime_wish_check(options, err) : 0;

	if (r != 0)
		return error_wrap(err, "stdin");
	if (options)
		b->options = copy_any(options);
	return options && !b->options ? error_errno(err, -ENOMEM, "stdin") : 0;
}

static int check_socket_dir(const char *path, struct error *err)
{
	_cleanup_free_ char *shown = NULL;

	if (!*path || *path == '/')
		return 0;
	shown = text_clean(path, strlen(path), SHOWN_MAX);
	return error_set(err, CODE_INVALID_ARGUMENT,
		"stdin: socket_dir \"%s\" is not an absolute path", shown ? shown : "?");
}

/* Levels are an open list: what is between two stands for the nearer. */
static bool is_debug(int level)
{
	return level < (LEVEL_DEBUG + LEVEL_INFO) / 2;
}

static int take_params(const bootstrap_params *params, struct bootstrap *b, struct error *err)
{
	int r = check_socket_dir(params->socket_dir, err);

	if (r != 0)
		return r;
	b->dialect = BOOTSTRAP_PARAMS;
	b->debug = is_debug((int)params->log_level);
	if (keep(&b->ttrpc_address, params->containerd_ttrpc_address) < 0 ||
		keep(&b->grpc_address, params->containerd_grpc_address) < 0 ||
		keep(&b->containerd_binary, params->containerd_binary) < 0 ||
		keep(&b->socket_dir, params->socket_dir) < 0)
		return error_errno(err, -ENOMEM, "stdin");
	return take_options(find_options(params), b, err);
}

static int judge(const struct reading *r, size_t n, const char *id, const char *ns,
	const struct arena *arena, struct bootstrap *b, struct error *err)
{
	bool known = r->any && runtime_wish_knows(r->any->type_url);

	if (is_for(r->params, id, ns))
		return take_params(r->params, b, err);
	if (is_bare(r->any))
		return take_options(r->any, b, err);
	if (id && r->params && r->any && !known)
		return refuse_other(r, id, ns, err);
	return refuse(arena, n, id, err);
}

int bootstrap_parse(const void *data, size_t n, const char *id, const char *ns,
	struct bootstrap *ret, struct error *err)
{
	_cleanup_bootstrap_ struct bootstrap b = BOOTSTRAP_INIT;
	unsigned char room[ARENA_BYTES];
	_cleanup_arena_ struct arena arena;
	struct reading r = { NULL, NULL };
	int code = 0;

	arena_init(&arena, room, sizeof(room), ARENA_LIMIT);
	if (n > LIMIT_BOOTSTRAP)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "more than %u bytes stand on stdin",
			LIMIT_BOOTSTRAP);
	if (n > 0) {
		r.params = decode(&containerd__runtime__bootstrap__v1__bootstrap_params__descriptor,
			&arena, data, n);
		r.any = decode(&google__protobuf__any__descriptor, &arena, data, n);
		code = judge(&r, n, id, ns, &arena, &b, err);
	}
	if (code != 0)
		return code;
	*ret = b;
	b = BOOTSTRAP_INIT;
	return 0;
}

int bootstrap_read(int fd, const char *id, const char *ns, struct bootstrap *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = isatty(fd) ? 0 : fd_read_all(fd, &text, LIMIT_BOOTSTRAP);

	if (r == -EFBIG)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "more than %u bytes stand on stdin",
			LIMIT_BOOTSTRAP);
	if (r < 0)
		return error_errno(err, r, "stdin");
	return bootstrap_parse(buf_head(&text), text.len, id, ns, ret, err);
}

/* --- the answer --- */

static int answer_plain(const char *address, struct buf *ret)
{
	int r = buf_append(ret, address, strlen(address));

	return r == 0 ? buf_append(ret, "\n", 1) : r;
}

static int answer_result(char *address, struct buf *ret)
{
	Containerd__Runtime__Bootstrap__V1__BootstrapResult result =
		CONTAINERD__RUNTIME__BOOTSTRAP__V1__BOOTSTRAP_RESULT__INIT;
	uint8_t *to;
	size_t n;

	result.version = 2;
	result.address = address;
	result.protocol = (char *)"ttrpc";
	n = protobuf_c_message_get_packed_size(&result.base);
	to = buf_reserve(ret, n);
	if (!to)
		return -ENOMEM;
	buf_commit(ret, protobuf_c_message_pack(&result.base, to));
	return 0;
}

int bootstrap_answer(enum bootstrap_dialect dialect, const char *socket, struct buf *ret)
{
	_cleanup_free_ char *address = NULL;

	if (asprintf(&address, "unix://%s", socket) < 0) {
		address = NULL;
		return error_trace(-ENOMEM);
	}
	return dialect == BOOTSTRAP_PARAMS ? answer_result(address, ret)
					   : answer_plain(address, ret);
}
