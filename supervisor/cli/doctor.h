/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What `doctor` looks at: each thing is a function, and a line of the table in cmd_doctor.c. It changes
 * nothing, and runs nothing but programs that tell their version.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "supervisor/cli/strays.h"

struct cli;

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_WARNING,
	DOCTOR_ERROR, /* nothing, or not all that cleat is for, can be done */
	_DOCTOR_STATE_MAX,
};

struct doctor_finding {
	enum doctor_state state;
	char *found;
	char *advice; /* what to do; NULL where it is ok */
};

#define DOCTOR_FINDING_INIT ((struct doctor_finding){ DOCTOR_OK, NULL, NULL })

void doctor_finding_deinit(struct doctor_finding *f);

/* What was found, and what to do about it: advice NULL, and it is ok. 0 or -ENOMEM. */
int doctor_find(struct doctor_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int doctor_advise(struct doctor_finding *f, enum doctor_state state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What the checks are told. */
struct doctor {
	const char *root;   /* NULL: there is none, and no_root says why */
	const char *socket; /* cleatd's; NULL: ROOT/cleatd.sock */
	const char *config; /* cleatd.json */
	const char *ns;	    /* NULL: all of them */
	bool is_root;	    /* the user */
	struct error no_root;
	struct strays strays; /* unless no_strays says why they could not be looked for */
	struct error no_strays;
};

/* name: that of the check. 0 or -ENOMEM. */
typedef int (*doctor_check)(const struct doctor *d, const char *name, struct doctor_finding *ret);

/* --- doctor_host.c --- */

int doctor_kernel(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_pidfd(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_pidfd_exits(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_cgroups(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_userns(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_subids(const struct doctor *d, const char *name, struct doctor_finding *ret);

/* --- doctor_programs.c --- */

/* name: runc, crun or runsc */
int doctor_runtime(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_any_runtime(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_runtimes_json(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_cleatd_json(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_criu(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_shim(const struct doctor *d, const char *name, struct doctor_finding *ret);

/* --- doctor_root.c --- */

int doctor_root(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_folders(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_space(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_cleatd(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_orphans(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_unfinished(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_sockets(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_states(const struct doctor *d, const char *name, struct doctor_finding *ret);
int doctor_temporaries(const struct doctor *d, const char *name, struct doctor_finding *ret);
