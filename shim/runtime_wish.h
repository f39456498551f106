/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a client wants of the runtime: the options of a Create, told apart by their type URL, in
 * one form. Finding the runtime's program is a step of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/argv.h"
#include "common/error.h"
#include "common/runtime.h"
#include "google/protobuf/any.pb-c.h"
#include "shim/criu.h"

struct runtime_wish {
	char *kind, *command; /* "" where the client does not say */
	char *root;	      /* the runtime's own state folder; absolute */
	char *spec_bundle;    /* "": the bundle's own config.json */
	bool systemd_cgroup, no_pivot, no_new_keyring;
	bool run; /* created and started in one */
	struct argv options;
	uint32_t deadline_ms; /* 0: the default */
	unsigned io_uid, io_gid;
	char *shim_cgroup;   /* where the shim is to be itself; NULL: where it is */
	char *criu_path;     /* CRIU's program; NULL: the runtime's choice */
	struct criu restore; /* for a Create with a checkpoint; without its image */
};

#define RUNTIME_WISH_INIT      ((struct runtime_wish){ .options = ARGV_INIT, .restore = CRIU_INIT })
#define _cleanup_runtime_wish_ __attribute__((cleanup(runtime_wish_deinit)))

void runtime_wish_deinit(struct runtime_wish *wish);

/*
 * From options (NULL: none): containerd.runc.v1.Options, containerd.linux.runc.CreateOptions and
 * RuncOptions, runtimeoptions.v1.Options, cleat.shim.v1.RuntimeOptions, with or without a host before
 * the type's name. The generic ones have a set as runtimes.json has them, in a file (config_path,
 * absolute; read here) or else in place (config_body); the file's errors are those of
 * runtime_set_read(). A root that runc's or the generic options name is completed with the namespace,
 * as containerd's shims do; where none is named it is default_root. CODE_INVALID_ARGUMENT
 * names an unknown type, or what is wrong.
 */
int runtime_wish_parse(const Google__Protobuf__Any *options, const char *default_root,
	const char *ns, struct runtime_wish *ret, struct error *err);

/* Whether options of that type are taken, as far as the type's name says. */
bool runtime_wish_knows(const char *type_url);

/* Decodes options and forgets them: errors as above, but for what only the values can have. */
int runtime_wish_check(const Google__Protobuf__Any *options, struct error *err);

/* Of a command alone (a name or a path, "" for the default), with the default root. */
int runtime_wish_plain(
	const char *command, const char *default_root, struct runtime_wish *ret, struct error *err);

/*
 * Finds the program: as runtime_init() and runtime_add_option(). CODE_UNIMPLEMENTED where CRIU's is
 * named to a runtime that cannot be told.
 */
int runtime_wish_resolve(
	const struct runtime_wish *wish, const char *id, struct runtime *ret, struct error *err);
