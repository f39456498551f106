/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Creates of a bed whose rootfs is a list of mounts, and what is there afterwards. "$D" in a source,
 * a target or an option stands for the bed's folder, "$R" for the rootfs.
 */

#include "test/integration/bed.h"

struct bed_mount {
	const char *type, *source, *target;
	const char *options; /* separated by ';', for a comma may stand in one */
};

/* Task.Create with the list. The code, and the sentence in err; 0: *ret_pid (may be NULL) is the init. */
int bed_create_on(struct bed *bed, const struct bed_mount *mounts, size_t n, uint32_t *ret_pid,
	struct error *err);
/* As bed_create_on(), which must succeed. */
void bed_created_on(struct bed *bed, const struct bed_mount *mounts, size_t n);

/* Text with what the placeholders stand for. The caller frees. */
char *bed_place(const struct bed *bed, const char *text);

bool bed_kernel_is_before(int major, int minor);

/* Makes the folder $D/name, or the file $D/name with that text, of an owner of its own. */
void bed_put_folder(const struct bed *bed, const char *name);
void bed_put_file(const struct bed *bed, const char *name, const char *text, unsigned owner);

/* Moves the bundle's rootfs to $D/lower, so that a list has to bring it. */
void bed_take_rootfs(struct bed *bed);

/*
 * What a failed Create must leave as it was, as lines: mounts, then the files of the bundle and of the
 * container's folder, the shim's children and its descriptors. The caller frees.
 */
char *bed_surroundings(const struct bed *bed);
/*
 * Fails the test, with what for a name, where they are not as they were. Only mounts outside of the bed's
 * folder may have gone: the kernel detaches one in every namespace when somebody removes its folder.
 */
void bed_assert_surroundings(const struct bed *bed, const char *before, const char *what);
