/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes that somebody else wrote, made fit for a sentence of ours. */

#include <stdbool.h>
#include <stddef.h>

/*
 * A copy of n bytes, at most limit of them, as valid UTF-8 in one line: control characters become
 * spaces, bytes that are no UTF-8 '?', and what is cut off ends in "...". Spaces around it are
 * dropped. NULL without memory; the caller frees.
 */
char *text_clean(const void *data, size_t n, size_t limit);

/* The same of the first line that is not blank; "" if there is none. */
char *text_first_line(const void *data, size_t n, size_t limit);

/* A copy with its line ends and other control characters left as they are: only valid UTF-8, and no NUL. */
char *text_valid(const void *data, size_t n, size_t limit);

/* Whether all of it is valid UTF-8: what JSON and protobuf can carry. */
bool text_is_utf8(const char *s);

/* The same of n bytes that are to be a string: then none of them is NUL. */
bool text_is_string(const void *data, size_t n);

/* In place: a backslash and three octal digits, as /proc has them in paths (proc(5)), become the byte. */
void text_unescape_octal(char *s);
