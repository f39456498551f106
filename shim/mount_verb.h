/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The verbs `mount`, `unmount` and `userns` of the shim's own program: the child in which everything runs
 * that can block on a file system. For the shim (mount.h), and unmount for who removes what a dead
 * one left (common/orphan.h); not for people.
 *
 *   cleat-shim mount ROOTFS      the list on descriptor 3, as mount_specs_encode() writes it
 *   cleat-shim unmount ROOTFS [made]     made: we made the folder: it goes too, if it is empty
 *   cleat-shim userns            what the child needs for mapped ids (userns.h), with its own descriptors
 *
 * The answer goes to descriptor 4 in one write: a struct mount_answer and, after a failure, the
 * sentence; without a descriptor 4 the sentence goes to stderr. Exit status 0, or 1 after a failure;
 * 2 if it was called wrongly.
 */

#include <stdint.h>

#define MOUNT_LIST_FD	 3
#define MOUNT_ANSWER_FD	 4
#define MOUNT_ANSWER_MAX 4096 /* what a pipe takes whole */

struct mount_answer {
	int32_t code;	     /* enum code */
	uint32_t n_detached; /* mounts that stayed in use and were detached */
};

/* argv: as above without the program's name. */
int mount_verb(int argc, char **argv);
