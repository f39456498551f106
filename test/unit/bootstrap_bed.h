/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Messages for the stdin of `start`, of the container web in the namespace default. */

#include "bootstrap.pb-c.h"
#include "runc_options.pb-c.h"
#include "shim/bootstrap.h"
#include "test/unit/wire.h"

#define PARAMS	  (&containerd__runtime__bootstrap__v1__bootstrap_params__descriptor)
#define EXTENSION (&containerd__runtime__bootstrap__v1__extension__descriptor)
#define ANY	  (&google__protobuf__any__descriptor)
#define RUNC	  (&containerd__runc__v1__options__descriptor)
#define RUNC_NAME "containerd.runc.v1.Options"
#define WORST	  "\x0f\xff" /* is no message */

static inline int parse(const struct buf *b, struct bootstrap *ret, struct error *err)
{
	return bootstrap_parse(buf_head(b), b->len, "web", "default", ret, err);
}

static inline struct buf make_runc(void)
{
	struct buf b = BUF_INIT;

	put_text(&b, RUNC, "shim_cgroup", "/shims");
	put_text(&b, RUNC, "binary_name", "/usr/bin/crun");
	put_text(&b, RUNC, "root", "/run/crun");
	put_number(&b, RUNC, "systemd_cgroup", 1);
	return b;
}

static inline struct buf make_any(const char *type, const void *data, size_t n)
{
	struct buf b = BUF_INIT;

	put_text(&b, ANY, "type_url", type);
	put_bytes(&b, ANY, "value", data, n);
	return b;
}

static inline struct buf make_runc_any(void)
{
	struct buf runc = make_runc(), any = make_any(RUNC_NAME, buf_head(&runc), runc.len);

	buf_deinit(&runc);
	return any;
}

/* any: consumed. */
static inline void put_extension(struct buf *params, struct buf *any)
{
	struct buf extension = BUF_INIT;

	put_message(&extension, EXTENSION, "value", any);
	put_message(params, PARAMS, "extensions", &extension);
	buf_deinit(&extension);
	buf_deinit(any);
}

static inline struct buf make_head(const char *id, const char *ns)
{
	struct buf b = BUF_INIT;

	put_text(&b, PARAMS, "instance_id", id);
	put_text(&b, PARAMS, "namespace", ns);
	return b;
}

/* As containerd 2.3 at debug level sends it. */
static inline struct buf make_params(void)
{
	struct buf b = make_head("web", "default"), any = make_runc_any();

	put_number(&b, PARAMS, "log_level", -4);
	put_text(&b, PARAMS, "containerd_version", "v2.3.0");
	put_text(&b, PARAMS, "containerd_ttrpc_address", "/run/containerd/containerd.sock.ttrpc");
	put_text(&b, PARAMS, "containerd_grpc_address", "/run/containerd/containerd.sock");
	put_text(&b, PARAMS, "containerd_binary", "/usr/bin/containerd");
	put_extension(&b, &any);
	put_text(&b, PARAMS, "socket_dir", "/run/k3s/s");
	return b;
}
