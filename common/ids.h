/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What may be the name of a container, exec or namespace (contract, section 7): letters and
 * digits, single separators [._-] between them, LIMIT_ID bytes at most. Nothing else ever becomes
 * part of a path.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* True for a valid id; takes NULL (false). */
bool id_is_valid(const char *id);

/* 0, or CODE_INVALID_ARGUMENT with a sentence; what: "container id", "exec id", "namespace". */
int id_check(const char *id, const char *what, struct error *err);

/*
 * Fills ret with 2 * n_bytes random hex digits and a NUL; room for 2 * n_bytes + 1. n_bytes is
 * RANDOM_HEX_BYTES at most. 0 or -errno.
 */
#define RANDOM_HEX_BYTES 16u
int random_hex(char *ret, size_t n_bytes);

/* A random number that is not 0. 0 or -errno. */
int random_u64(uint64_t *ret);
