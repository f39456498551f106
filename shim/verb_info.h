/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `-info` and `-v`: what containerd and people ask of the program, not of a container. containerd
 * from 2.0 on asks for -info as it starts, once for each runtime that its CRI plugin knows, and before a
 * container with mapped mounts.
 */

#include "common/buf.h"
#include "common/error.h"
#include "google/protobuf/any.pb-c.h"
#include "shim/verbs.h"

/*
 * Prints a RuntimeInfo for the options that stand on stdin, as bytes and nothing else. Returns the exit
 * status, with one sentence on stderr where it is not 0: no such runtime, unknown options.
 */
int verb_info(const struct verb_options *options);

/* Prints this program's name and version, as containerd's shims do. Returns the exit status. */
int verb_version(const struct verb_options *options);

/*
 * Appends to ret the RuntimeInfo of the shim that is called program (a path, or the last part of one)
 * for options (NULL: none): its name as containerd has it, from "containerd-shim-NAME-VERSION", else
 * io.containerd.cleat.v2; its version; the options as they came; and what the runtime's `features`
 * prints, under the OCI type's name. A runtime without that command, or with another one by that name,
 * has no features here, and that is no error. Runs the runtime, and blocks for its deadline at most.
 * Errors as runtime_wish_parse() and runtime_wish_resolve().
 */
int info_encode(const char *program, const Google__Protobuf__Any *options, struct buf *ret,
	struct error *err);
