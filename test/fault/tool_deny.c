/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multi-tool's way to an older kernel: a program runs without an ioctl that the kernel has. Changes
 * nothing else. Subtle: the filter is inherited, so what the program starts does without it, too.
 */

#include "test/fault/tool.h"

#include "test/fault/util.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Requests are 32 bits wide; that the lower half comes first is so wherever this runs. */
static int deny_ioctl(uint32_t request)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { sizeof(program) / sizeof(program[0]), program };

	/* without privileges the filter must not outlive an execve(2) that gains some */
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? -errno : 0;
}

int tool_deny_ioctl(int n_args, char **args)
{
	uint64_t request;
	int r;

	(void)n_args;
	if (!parse_size(args[0], &request) || request > UINT32_MAX)
		return tool_fail("deny-ioctl: no request \"%s\"", args[0]);
	r = deny_ioctl((uint32_t)request);
	if (r < 0)
		return tool_fail("deny-ioctl: %s", strerror(-r));
	execvp(args[1], args + 1);
	return tool_fail("deny-ioctl: %s: %s", args[1], strerror(errno));
}
