/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child that mounts. Never logs: its answer is all that it says, or the sentence on stderr where
 * nobody holds a descriptor for answers.
 */
#include "shim/mount_verb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/shim_start.h"
#include "shim/rootfs.h"
#include "shim/userns.h"

static int answer(const struct error *err, unsigned n_detached)
{
	uint8_t bytes[MOUNT_ANSWER_MAX];
	struct mount_answer a = { err->code, n_detached };
	size_t n = err->code ? strlen(error_message(err)) : 0;

	if (fcntl(MOUNT_ANSWER_FD, F_GETFD) < 0 && errno == EBADF) {
		if (err->code)
			fprintf(stderr, "%s\n", error_message(err));
		return err->code ? 1 : 0;
	}
	if (n > sizeof(bytes) - sizeof(a))
		n = sizeof(bytes) - sizeof(a);
	memcpy(bytes, &a, sizeof(a));
	if (n > 0)
		memcpy(bytes + sizeof(a), error_message(err), n);
	return fd_write_all(MOUNT_ANSWER_FD, bytes, sizeof(a) + n) < 0 || err->code ? 1 : 0;
}

static int verb_mount(const char *rootfs, struct error *err)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	struct mount_spec *mounts = NULL;
	size_t n = 0;
	int r = fd_read_all(MOUNT_LIST_FD, &list, LIMIT_FRAME_DATA * 2);

	if (r == 0)
		r = mount_specs_decode(&list, &mounts, &n);
	if (r < 0)
		return error_errno(err, r, "mount on %s: the list", rootfs);
	r = rootfs_mount(rootfs, mounts, n, err);
	mount_specs_free(mounts, n);
	return r;
}

static void verb_unmount(const char *rootfs, bool made, unsigned *ret_n_detached, struct error *err)
{
	if (rootfs_unmount(rootfs, ret_n_detached, err) == 0 && made)
		rmdir(rootfs); /* whatever is in it by now is somebody's */
}

int mount_verb(int argc, char **argv)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	unsigned n_detached = 0;

	bool unmounts = argc >= 1 && strcmp(argv[0], "unmount") == 0;
	bool made = argc == 3 && strcmp(argv[2], SHIM_UNMOUNT_MADE) == 0;

	if (argc == 1 && strcmp(argv[0], "userns") == 0)
		return userns_verb();
	if (unmounts && (argc == 2 || made))
		verb_unmount(argv[1], made, &n_detached, &err);
	else if (argc == 2 && strcmp(argv[0], "mount") == 0)
		verb_mount(argv[1], &err);
	else
		return 2;
	return answer(&err, n_detached);
}
