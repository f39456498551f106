/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A mapping of ids as a mount option has it, turned into what user_namespaces(7) takes. */

/*
 * "C:H:S[,C:H:S]...": S ids from C on appear as those from H on. *ret is a line "C H S" for each,
 * the caller's to free. -EINVAL for anything else, an empty range, one past the last id, and more
 * ranges than a kernel takes (340); -ENOMEM. Ranges that overlap are left to the kernel to refuse.
 */
int id_map_parse(const char *text, char **ret);
