/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Logging programs in a bed: the multi-tool (test/fault/tool_logger.c) as the program of a
 * binary:// URI, with a folder of the bed's where it writes what it got and what happened to it.
 */

#include <stddef.h>
#include <stdint.h>

#include "test/integration/bed.h"

/*
 * SCHEME://…/tool?logger=FOLDER&QUERY, with the folder NAME made in the bed; a @ in query is the bed's
 * own. A string of malloc's.
 */
char *bed_logger(struct bed *bed, const char *scheme, const char *name, const char *query);

/* The file of a logger's folder, "NAME/out" say, as a string of malloc's; "" where there is none. */
char *bed_logged(const struct bed *bed, const char *file);
/* Waits until that is in the file so many times. */
void bed_await_logged(const struct bed *bed, const char *file, const char *text, size_t n);
/* How often it is in it now. */
size_t bed_count_logged(const struct bed *bed, const char *file, const char *text);
/* The file must be exactly the stream of n bytes with that seed (tool_stream.c). */
void bed_check_logged(const struct bed *bed, const char *file, unsigned seed, size_t n);

/* As bed_create(), with these streams. */
void bed_create_logged(struct bed *bed, const char *out, const char *err, bool terminal);
/* As bed_exec(). */
void bed_exec_logged(struct bed *bed, const char *exec_id, const char *args, const char *out,
	const char *err, bool terminal);
