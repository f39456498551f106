/* SPDX-License-Identifier: Apache-2.0 */
/* A shim's socket: named as containerd's shims name theirs. */
#include "shim/shim_socket.h"

#include "common/cleanup.h"
#include "common/socket_file.h"
#include "common/sha256.h"
#include "test/unit/unit.h"

static char *name(const char *folder, const char *address, const char *ns, const char *id)
{
	struct error err = ERROR_INIT;
	char *path = NULL;

	assert_ok(shim_socket_name(folder, address, ns, id, &path, &err), &err);
	return path;
}

static void assert_named_after(const char *address, const char *text)
{
	_cleanup_free_ char *path = name("/s", address, "default", "c1");
	char digest[SHA256_HEX];

	sha256_hex(text, strlen(text), digest);
	assert_memory_equal(path, "/s/", 3);
	assert_string_equal(path + 3, digest);
}

static void test_name(void **state)
{
	_cleanup_free_ char *path = name(NULL, "/run/containerd/containerd.sock", "default", "c1");

	(void)state;
	/* of printf /run/containerd/containerd.sock/default/c1 | sha256sum */
	assert_string_equal(path,
		"/run/containerd/s/d25aa4ef11a84e954e74a5bcff06557d0b6ea8d0c00243896f29826694bbd888");
}

/* As filepath.Join of Go, which the others name theirs with. */
static void test_name_is_clean(void **state)
{
	(void)state;
	assert_named_after("/run/c.sock", "/run/c.sock/default/c1");
	assert_named_after("/run//c.sock/", "/run/c.sock/default/c1");
	assert_named_after("/run/./c.sock", "/run/c.sock/default/c1");
	assert_named_after("/run/x/../c.sock", "/run/c.sock/default/c1");
	assert_named_after("/../../c.sock", "/c.sock/default/c1");
	assert_named_after("c.sock", "c.sock/default/c1");
	assert_named_after("../c.sock", "../c.sock/default/c1");
	assert_named_after("a/../../c.sock", "../c.sock/default/c1");
	assert_named_after("unix:///run/c.sock", "unix:/run/c.sock/default/c1");
	assert_named_after("", "/default/c1");
}

static void test_bad_folders(void **state)
{
	struct error err = ERROR_INIT;
	char folder[64] = "/", *path = NULL;

	(void)state;
	memset(folder + 1, 'a', sizeof(folder) - 2);
	assert_error(shim_socket_name("s", "", "n", "c", &path, &err), &err, CODE_INVALID_ARGUMENT,
		"the sockets' folder \"s\" is not an absolute path");
	assert_error(shim_socket_name(folder, "", "n", "c", &path, &err), &err,
		CODE_INVALID_ARGUMENT, NULL);
	folder[43] = '\0'; /* 42 bytes, a slash and 64: what sun_path holds */
	folder[42] = '\0';
	assert_ok(shim_socket_name(folder, "", "n", "c", &path, &err), &err);
	assert_int_equal(strlen(path), SOCKET_FILE_MAX);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_name),
		bed_test(test_name_is_clean),
		bed_test(test_bad_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
