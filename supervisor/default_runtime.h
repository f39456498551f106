/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The runtime of a creation that names none. */

#include "monitor.pb-c.h"
#include "supervisor/supervisor.h"

/*
 * Fills in what o leaves open: the program from the configuration (a runtime's name, an absolute path, or
 * a name from runtimes.json, with all that its set says; in its root each namespace has a folder), and the
 * deadline. o is an unpacked message, whose
 * strings are malloc'ed. CODE_NOT_FOUND names a runtime that is in no runtimes.json.
 */
int default_runtime_fill(const struct supervisor *s, const char *ns,
	Cleat__Shim__V1__RuntimeOptions *o, struct error *err);
