/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The log: one line an entry, in logfmt with containerd's own keys (time, level, msg), so that
 * its tools read ours:
 *
 *   time="2026-01-02T03:04:05.678901234Z" level=info msg="container created" id=web pid=42
 *
 * A target that would block (a full FIFO) costs the line, never a wait. The target and the level
 * are the one piece of process-wide state we keep.
 */

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR,
	_LOG_LEVEL_MAX,
};

struct log_field {
	const char *key;  /* NULL ends a list */
	const char *text; /* NULL: number is meant */
	long long number;
};

#define F_STR(k, v) log_text((k), (v))
#define F_INT(k, v) ((struct log_field){ .key = (k), .number = (v) })

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_line_((level), __VA_ARGS__);                                           \
	} while (0)
#define log_line_(level, msg, ...)                                                                 \
	log_write((level), (msg), (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } })

#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

/* A field of text; NULL is empty. */
static inline struct log_field log_text(const char *key, const char *text)
{
	return (struct log_field){ .key = key, .text = text ? text : "" };
}

/* fd: a file, FIFO or terminal; kept, not consumed; -1 silences. The default is info on stderr. */
void log_init(enum log_level level, int fd);
bool log_enabled(enum log_level level);

/* fields ends with an element whose key is NULL. Use the macros above. */
void log_write(enum log_level level, const char *msg, const struct log_field *fields);
