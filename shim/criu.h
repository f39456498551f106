/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a client wants of a checkpoint or a restore, in one form that owns its strings, from every
 * message that carries such options. What the runtime lacks is refused by the runtime binding, by
 * name, when its command line is built.
 */

#include <stdbool.h>

#include "common/argv.h"
#include "common/error.h"
#include "common/runtime.h"
#include "google/protobuf/any.pb-c.h"
#include "linux_runc.pb-c.h"
#include "monitor.pb-c.h"

struct criu {
	char *image_path; /* absolute; NULL: none is named */
	char *work_path, *parent_path, *cgroups_mode, *page_server;
	char *lsm_profile, *lsm_mount_context;
	struct argv empty_namespaces;
	bool exit; /* checkpoint: the container does not go on */
	bool pre_dump, open_tcp, external_unix_sockets, terminal, file_locks;
	bool lazy_pages, auto_dedup;
};

#define CRIU_INIT      ((struct criu){ .empty_namespaces = ARGV_INIT })
#define _cleanup_criu_ __attribute__((cleanup(criu_deinit)))

void criu_deinit(struct criu *c);
/* 0 or -ENOMEM, with to unchanged. */
int criu_copy(struct criu *to, const struct criu *from);

/* Points to is freed first; NULL and "" are both NULL there. 0 or -ENOMEM. */
int criu_set(char **to, const char *value);

/*
 * A checkpoint's options (NULL: none), by their type URL, with or without a host before the type's
 * name: containerd.runc.v1.CheckpointOptions, containerd.linux.runc.CheckpointOptions, where image
 * and work path have each other's numbers, and cleat.shim.v1.CriuOptions. CODE_INVALID_ARGUMENT
 * names an unknown type, or what is of a restore. ret: CRIU_INIT.
 */
int criu_of_checkpoint(const Google__Protobuf__Any *options, struct criu *ret, struct error *err);

/* A restore's; CODE_INVALID_ARGUMENT names what is of a checkpoint. The image is still missing. */
int criu_of_restore(const Cleat__Shim__V1__CriuOptions *o, struct criu *ret, struct error *err);
/* The same from what a Create of containerd's first runtime carried. 0 or -ENOMEM. */
int criu_of_create(const Containerd__Linux__Runc__CreateOptions *o, struct criu *ret);

/* The same as the runtime binding has it; it points into c. */
struct runtime_criu criu_view(const struct criu *c);
