/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SHA-256 (FIPS 180-4) of a few bytes in memory, for names that others compute too. Not for secrets.
 */

#include <stddef.h>

#define SHA256_HEX 65 /* 64 digits and a NUL */

/* The digest of n bytes in lower-case hex digits. */
void sha256_hex(const void *data, size_t n, char ret[static SHA256_HEX]);
