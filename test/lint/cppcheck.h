/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Put before every file that cppcheck reads, by `make analyze`. cppcheck 2.10 takes __VA_OPT__ for a
 * syntax error and then skips the file: here is the log's macro without it.
 */

#include "common/log.h"

#undef log_line_
#define log_line_(level, msg, ...)                                                                 \
	log_write((level), (msg), (const struct log_field[]){ __VA_ARGS__ })

/* Its model of accept(2) takes no NULL for the address. */
#define accept4(fd, address, length, flags) accept_from(fd, flags)
int accept_from(int fd, int flags);
