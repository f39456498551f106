/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codes, sentences, and the trace of unexpected errors. Never decides anything by an error's
 * value but its code. Subtle: no memory for the sentence still leaves the right code.
 */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

static const char *const code_names[] = {
	[CODE_OK] = "OK",
	[CODE_CANCELLED] = "CANCELLED",
	[CODE_UNKNOWN] = "UNKNOWN",
	[CODE_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[CODE_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[CODE_NOT_FOUND] = "NOT_FOUND",
	[CODE_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[CODE_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[CODE_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[CODE_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[CODE_ABORTED] = "ABORTED",
	[CODE_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[CODE_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[CODE_INTERNAL] = "INTERNAL",
	[CODE_UNAVAILABLE] = "UNAVAILABLE",
	[CODE_DATA_LOSS] = "DATA_LOSS",
	[CODE_UNAUTHENTICATED] = "UNAUTHENTICATED",
};
_Static_assert(sizeof(code_names) / sizeof(*code_names) == _CODE_MAX, "a name for every code");

const char *code_name(int code)
{
	if (code < 0 || code >= _CODE_MAX)
		code = CODE_UNKNOWN;
	return code_names[code];
}

const char *error_message(const struct error *err)
{
	return err->message ? err->message : code_name(err->code);
}

void error_clear(struct error *err)
{
	if (!err)
		return;
	free(err->message);
	*err = ERROR_INIT;
}

static void error_replace(struct error *err, enum code code, char *message_take)
{
	free(err->message);
	err->code = code;
	err->message = message_take;
}

int error_set(struct error *err, enum code code, const char *fmt, ...)
{
	char *message = NULL;
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	va_end(ap);
	error_replace(err, code, message);
	return code;
}

int error_errno(struct error *err, int r, const char *fmt, ...)
{
	_cleanup_free_ char *what = NULL;
	enum code code = code_from_errno(r);
	char *message = NULL;
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (asprintf(&message, "%s: %s", what ? what : "", strerror(-r)) < 0)
		message = NULL;
	error_replace(err, code, message);
	return code;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	_cleanup_free_ char *prefix = NULL;
	char *message = NULL;
	va_list ap;

	if (!err)
		return CODE_UNKNOWN;
	va_start(ap, fmt);
	if (vasprintf(&prefix, fmt, ap) < 0)
		prefix = NULL;
	va_end(ap);
	if (prefix && asprintf(&message, "%s: %s", prefix, error_message(err)) >= 0)
		error_replace(err, err->code, message);
	return err->code;
}

void error_move(struct error *to, struct error *from)
{
	error_replace(to, from->code, TAKE_PTR(from->message));
	from->code = CODE_OK;
}

enum code code_from_errno(int r)
{
	switch (-r) {
	case 0:
		return CODE_OK;
	case ENOENT:
	case ESRCH:
		return CODE_NOT_FOUND;
	case EEXIST:
		return CODE_ALREADY_EXISTS;
	case EACCES:
	case EPERM:
		return CODE_PERMISSION_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case E2BIG:
	case EFBIG:
		return CODE_RESOURCE_EXHAUSTED;
	case EINVAL:
	case ENAMETOOLONG:
	case ENOTDIR:
	case ELOOP:
		return CODE_INVALID_ARGUMENT;
	case ETIMEDOUT:
		return CODE_DEADLINE_EXCEEDED;
	case EPIPE:
	case ECONNREFUSED:
	case ECONNRESET:
		return CODE_UNAVAILABLE;
	case ECANCELED:
		return CODE_CANCELLED;
	default:
		return CODE_INTERNAL;
	}
}

int error_trace_at(int r, const char *file, int line, const char *func)
{
	if (r < 0)
		log_debug("unexpected error", F_STR("error", strerror(-r)), F_STR("file", file),
			F_INT("line", line), F_STR("function", func));
	return r;
}
