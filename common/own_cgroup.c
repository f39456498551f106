/* SPDX-License-Identifier: Apache-2.0 */
/* See the header; the text is described in cgroups(7), "/proc files". Knows no hierarchy of version 1. */
#include "common/own_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"

#define LIMIT_TEXT (64u << 10)

int own_cgroup_parse(const char *text, char **ret)
{
	const char *end = strchr(text, '\n');
	size_t n = end ? (size_t)(end - text) : strlen(text);

	if (strncmp(text, "0::/", 4) != 0 || (end && end[1]))
		return -EOPNOTSUPP;
	n -= 3;
	*ret = strndup(text + 3, n == 1 ? 0 : n);
	return *ret ? 0 : -ENOMEM;
}

int own_cgroup(char **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, "/proc/self/cgroup", &text, LIMIT_TEXT);

	if (r == 0)
		r = buf_append(&text, "", 1);
	return r == 0 ? own_cgroup_parse((const char *)buf_head(&text), ret) : r;
}
