/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Two files of a bundle under containerd, for whoever deletes the container when no shim is there
 * any more, and no state.json that can be read: `options.json`, runc's options with the keys that containerd's own shim
 * gives them (runtime/v2/runc/container.go of 1.6: protobuf's names, what is not said left out), and
 * `runtime`, the program's name alone. Either shim's `delete` can read either's files.
 *
 * In ours one key more, "cleat", which Go's readers pass over, holds what runc's options have no words
 * for: a set as runtimes.json has them, but with the container's own root, complete.
 *
 *   {"binary_name": "/opt/runsc", "root": "/run/fast", "cleat": {"kind": "runsc",
 *    "command": "/opt/runsc", "root": "/run/fast/k8s.io", "options": ["platform=kvm"]}}
 */

#include "common/error.h"
#include "common/runtime.h"
#include "common/runtimes.h"
#include "shim/runtime_wish.h"

/*
 * Writes both into the folder, each new one whole or not at all, 0600. rt: what wish was resolved to.
 * "root" is the wish's before the namespace was added; a root that does not end in it is told in
 * "cleat" alone. criu_image_path is left out: containerd itself has done with it. CODE_INVALID_ARGUMENT
 * for what JSON cannot hold, CODE_RESOURCE_EXHAUSTED for more than LIMIT_OPTIONS_JSON.
 */
int options_file_write(int bundle, const struct runtime_wish *wish, const struct runtime *rt,
	const char *ns, struct error *err);

/*
 * Reads them back, whoever wrote them; ret's root is complete (runtime_own_root() is not done). What is
 * not said is NULL: then runc, in the default root. Without options.json, or without "binary_name" in
 * it, the command is what `runtime` says. CODE_NOT_FOUND: neither is there. CODE_INVALID_ARGUMENT names
 * file and key.
 */
int options_file_read(int bundle, const char *ns, struct runtime_set *ret, struct error *err);
