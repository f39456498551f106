/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The error contract of the whole project.
 *
 * A function returns int: 0 is success. A negative errno is unexpected: it is forwarded, never
 * matched on, and error_trace() marks where it was born. A positive value is the function's own
 * documented enum, handled by its direct caller.
 *
 * A function whose failure a user will read takes a struct error as well, fills it with a code
 * and one sentence, and returns that code (which is positive). The sentence is completed on the
 * way up with error_wrap(); it names the object and the cause.
 */

#include <stdbool.h>

/* The codes of google.rpc.Code, which ttrpc carries (google/rpc/code.proto). */
enum code {
	CODE_OK = 0,
	CODE_CANCELLED = 1,
	CODE_UNKNOWN = 2,
	CODE_INVALID_ARGUMENT = 3,
	CODE_DEADLINE_EXCEEDED = 4,
	CODE_NOT_FOUND = 5,
	CODE_ALREADY_EXISTS = 6,
	CODE_PERMISSION_DENIED = 7,
	CODE_RESOURCE_EXHAUSTED = 8,
	CODE_FAILED_PRECONDITION = 9,
	CODE_ABORTED = 10,
	CODE_OUT_OF_RANGE = 11,
	CODE_UNIMPLEMENTED = 12,
	CODE_INTERNAL = 13,
	CODE_UNAVAILABLE = 14,
	CODE_DATA_LOSS = 15,
	CODE_UNAUTHENTICATED = 16,
	_CODE_MAX,
};

struct error {
	enum code code;
	char *message; /* owned; NULL where there was no memory for one: see error_message() */
};

#define ERROR_INIT	((struct error){ CODE_OK, NULL })
#define _cleanup_error_ __attribute__((cleanup(error_clear)))

/* "NOT_FOUND" and the like; "CODE 99" never: an unknown number is "UNKNOWN". */
const char *code_name(int code);

/* The sentence, or the code's name where there is none. Never NULL. Owned by err. */
const char *error_message(const struct error *err);

/* Frees the sentence and resets to CODE_OK. Takes NULL; safe to repeat. */
void error_clear(struct error *err);

/*
 * Fills err (may be NULL) with code and a sentence, replacing what was there. Returns the code.
 * The arguments may point into err's own old message.
 */
int error_set(struct error *err, enum code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The same from a negative errno: the sentence ends in ": " and the errno's text; the code is
 * code_from_errno(r). Returns the code.
 */
int error_errno(struct error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence that is there. Returns err's code (CODE_UNKNOWN for NULL). */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Moves from's content to to (which is cleared first); from is CODE_OK afterwards. */
void error_move(struct error *to, struct error *from);

/* The code that tells a client best what a negative errno means; CODE_INTERNAL if none does. */
enum code code_from_errno(int r);

/* Marks the birthplace of an unexpected error in the log at debug level; returns r unchanged. */
#define error_trace(r) error_trace_at((r), __FILE__, __LINE__, __func__)
int error_trace_at(int r, const char *file, int line, const char *func);
