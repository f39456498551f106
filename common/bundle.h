/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An OCI bundle: a folder with config.json. Read once, bounded, and checked as far as we lean on
 * it; the runtime judges the rest. The user's bundle is never written.
 */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/error.h"

struct bundle {
	char *path;	/* absolute */
	json_t *config; /* the whole document: an object */
};

#define BUNDLE_INIT ((struct bundle){ NULL, NULL })

/*
 * Reads PATH/config.json. Errors name the file: missing folder or file CODE_NOT_FOUND, past
 * LIMIT_CONFIG_JSON CODE_RESOURCE_EXHAUSTED, no JSON (with line and column), wrong type of a field
 * that we use (with its path, such as process.args[2]) CODE_INVALID_ARGUMENT.
 */
int bundle_load(const char *path, struct bundle *ret, struct error *err);
void bundle_deinit(struct bundle *b);
/* Frees the document and keeps the path: what is asked of the document was asked before. */
void bundle_forget_config(struct bundle *b);

/* config.json's process.terminal. */
bool bundle_terminal(const struct bundle *b);
/* Whether the container has a pid namespace of its own; if not, what outlives its init is ours to kill. */
bool bundle_private_pids(const struct bundle *b);
/* linux.cgroupsPath, or NULL. */
const char *bundle_cgroups_path(const struct bundle *b);
/*
 * The stop signal for an orderly end: annotation org.opencontainers.image.stopSignal by name or number,
 * else SIGTERM.
 */
int bundle_stop_signal(const struct bundle *b);
/* A value of `annotations`, or NULL. */
const char *bundle_annotation(const struct bundle *b, const char *key);

/* What a copy of config.json says in another way than the user's. NULL: as that has it. */
struct bundle_override {
	bool terminal;
	const char *const
		*env; /* NAME=VALUE, each in the place of the one that is there; NULL-terminated */
	const char *folder; /* absolute; bound, read-only, at folder_inside in the container */
	const char *folder_inside;
	const char *cgroups_path;
};
/*
 * Writes a config.json into dir (a descriptor) for the same container with these differences: root.path
 * and relative sources of bind mounts made absolute. 0 or a code.
 */
int bundle_write_override(
	const struct bundle *b, const struct bundle_override *o, int dir, struct error *err);
/* The same as a text, which the caller frees. */
int bundle_override_text(
	const struct bundle *b, const struct bundle_override *o, char **ret, struct error *err);

/*
 * What an exec inherits from config.json's process: cwd, env, user, capabilities, and the like,
 * as runc does for `exec`; args are the command's. Everything in what is optional.
 */
struct exec_wish {
	const char *const *args; /* NULL-terminated */
	const char *cwd;
	const char *const *env;	 /* added; NULL-terminated */
	const char *user;	 /* UID[:GID] */
	const char *const *caps; /* added; NULL-terminated */
	bool terminal;
	bool no_new_privs; /* set it even where config.json does not */
	const char *apparmor, *process_label;
	unsigned width, height; /* 0: unknown */
};
/* *ret: a process object, owned by the caller. */
int bundle_exec_process(
	const struct bundle *b, const struct exec_wish *wish, json_t **ret, struct error *err);

/*
 * Checks a process spec that a client sent (its bytes), as far as we lean on it: an object with
 * args (strings, at least one) and cwd (absolute). CODE_INVALID_ARGUMENT names the field. *ret is
 * owned by the caller.
 */
int process_spec_parse(const void *data, size_t n, json_t **ret, struct error *err);
