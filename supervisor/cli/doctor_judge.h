/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is to be said of facts about a host, wherever those come from. */

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/cli/doctor.h"

/* release: as uname(2) tells it. 0 or -ENOMEM, as all of these. */
int judge_kernel(const char *release, struct doctor_finding *ret);

/* mountinfo: the text of /proc/self/mountinfo (proc(5)). */
int judge_cgroups(const char *mountinfo, struct doctor_finding *ret);

/* Numbers of /proc/sys; -1: there is no such file. */
struct userns_limits {
	long max;      /* user/max_user_namespaces */
	long clone;    /* kernel/unprivileged_userns_clone, of Debian's kernels */
	long apparmor; /* kernel/apparmor_restrict_unprivileged_userns, of Ubuntu's */
};
int judge_userns(const struct userns_limits *l, bool is_root, struct doctor_finding *ret);

/* How many subordinate ids a file as of subuid(5) gives to a user, by name (may be NULL) or number. */
unsigned long count_subids(const char *text, const char *user, uid_t uid);
