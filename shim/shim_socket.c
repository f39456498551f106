/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names shims' sockets. Subtle: containerd finds a socket by a digest of its name, so what is digested has
 * to be the same to the byte.
 */
#include "shim/shim_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/ids.h"
#include "common/sha256.h"
#include "common/socket_file.h"

int shim_socket_make(const char *root, char **ret_path, int *ret, struct error *err)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	char name[17];
	int r = random_hex(name, 8);

	if (r < 0 || asprintf(&folder, "%s/s", root) < 0 ||
		asprintf(&path, "%s/%s", folder, name) < 0)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory");
	r = socket_file_bind(folder, name, ret);
	if (r < 0)
		return error_errno(err, r, "socket %s", path);
	*ret_path = TAKE_PTR(path);
	return 0;
}

/*
 * In place, as Go's filepath.Clean: no empty component, no "." and no ".." where there is one to
 * leave. The name is a digest of what comes out, so it has to be the same to the byte.
 */
static void clean_path(char *path)
{
	const bool is_rooted = *path == '/';
	char *const start = path + is_rooted;
	char *to = start, *least = start; /* what is before it is not left again */
	const char *from = path;

	while (*from) {
		size_t n;

		from += strspn(from, "/");
		n = strcspn(from, "/");
		if (n == 0 || (n == 1 && *from == '.')) {
			from += n;
			continue;
		}
		if (n == 2 && memcmp(from, "..", 2) == 0 && (is_rooted || to > least)) {
			while (to > least && to[-1] != '/')
				to--;
			if (to > least)
				to--;
			from += n;
			continue;
		}
		if (to > start)
			*to++ = '/';
		memmove(to, from, n);
		to += n;
		from += n;
		if (n == 2 && memcmp(to - 2, "..", 2) == 0)
			least = to;
	}
	*to = '\0';
}

int shim_socket_name(const char *folder, const char *address, const char *ns, const char *id,
	char **ret, struct error *err)
{
	_cleanup_free_ char *named = NULL, *path = NULL;
	char digest[SHA256_HEX];

	if (!folder || !*folder)
		folder = SHIM_SOCKET_FOLDER;
	if (*folder != '/')
		return error_set(err, CODE_INVALID_ARGUMENT,
			"the sockets' folder \"%.200s\" is not an absolute path", folder);
	if (asprintf(&named, "%s/%s/%s", address, ns, id) < 0)
		return error_errno(err, -ENOMEM, "socket");
	clean_path(named);
	sha256_hex(named, strlen(named), digest);
	if (asprintf(&path, "%s/%s", folder, digest) < 0)
		return error_errno(err, -ENOMEM, "socket");
	if (strlen(path) > SOCKET_FILE_MAX)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"the sockets' folder \"%.200s\" is too long: a socket's path has %d bytes at "
			"most",
			folder, SOCKET_FILE_MAX);
	*ret = TAKE_PTR(path);
	return 0;
}
