/* SPDX-License-Identifier: Apache-2.0 */

/* Reads what to run: config.json, a process spec, the flags of an exec. Says what is wrong in
 * runc's words. */

#include "test/fault/fake_process.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The strings of a JSON array as an array that ends with NULL, with room for more. */
static char **strings_of(json_t *array, size_t n_more)
{
	size_t n = json_array_size(array);
	char **strings = calloc(n + n_more + 1, sizeof(*strings));

	if (!strings)
		abort();
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));

		strings[i] = strdup(s ? s : "");
	}
	return strings;
}

static void read_process(json_t *process, struct program *ret)
{
	json_t *size = json_object_get(process, "consoleSize");
	const char *cwd = json_string_value(json_object_get(process, "cwd"));

	ret->args = strings_of(json_object_get(process, "args"), 0);
	ret->env = strings_of(json_object_get(process, "env"), 64);
	ret->cwd = cwd ? cwd : "/";
	ret->terminal = json_is_true(json_object_get(process, "terminal"));
	ret->rows = (unsigned)json_integer_value(json_object_get(size, "height"));
	ret->cols = (unsigned)json_integer_value(json_object_get(size, "width"));
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A directory or a program, under the rootfs if it is there. */
static const char *under_rootfs(const struct program *program, const char *path, bool directory)
{
	char *prefixed;

	if (asprintf(&prefixed, "%s%s%s", program->rootfs, *path == '/' ? "" : "/", path) < 0)
		abort();
	if (directory ? is_directory(prefixed) : access(prefixed, F_OK) == 0)
		return prefixed;
	free(prefixed);
	return path;
}

static const char *search_path(const struct program *program)
{
	const char *folders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

	for (char **e = program->env; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			folders = *e + 5;
	while (*folders) {
		size_t n = strcspn(folders, ":");
		char *candidate;
		const char *found;

		if (asprintf(&candidate, "%.*s/%s", (int)n, folders, program->args[0]) < 0)
			abort();
		found = under_rootfs(program, candidate, false);
		if (access(found, X_OK) == 0)
			return found;
		folders += n + (folders[n] == ':');
	}
	return NULL;
}

/* Finds args[0] and the working directory. */
static int resolve(struct fake *fake, struct program *program)
{
	static const char start[] = "unable to start container process: exec:";
	const char *name = program->args[0];

	if (!name)
		return fake_fail(fake, "args must not be empty");
	program->cwd = under_rootfs(program, program->cwd, true);
	if (!strchr(name, '/')) {
		program->path = search_path(program);
		if (program->path)
			return 0;
		return fake_fail(
			fake, "%s \"%s\": executable file not found in $PATH", start, name);
	}
	program->path = under_rootfs(program, name, false);
	if (access(program->path, F_OK) < 0)
		return fake_fail(
			fake, "%s \"%s\": stat %s: no such file or directory", start, name, name);
	if (access(program->path, X_OK) < 0 || is_directory(program->path))
		return fake_fail(fake, "%s \"%s\": permission denied", start, name);
	return 0;
}

/* Reads config.json; the caller owns *ret_config. */
static int read_bundle(
	struct fake *fake, const char *bundle, struct program *ret, json_t **ret_config)
{
	char path[sizeof(ret->bundle) + 16];
	json_error_t error;
	const char *root;
	json_t *config;

	if (!realpath(bundle, ret->bundle) || !is_directory(ret->bundle))
		return fake_fail(fake, "chdir %s: no such file or directory", bundle);
	snprintf(path, sizeof(path), "%s/config.json", ret->bundle);
	if (access(path, F_OK) < 0)
		return fake_fail(fake, "JSON specification file config.json not found");
	config = json_load_file(path, 0, &error);
	if (!config)
		return fake_fail(fake, "%s", error.text);
	root = json_string_value(json_object_get(json_object_get(config, "root"), "path"));
	if (!root)
		root = "rootfs";
	if ((size_t)snprintf(ret->rootfs, sizeof(ret->rootfs), "%s%s%s",
		    *root == '/' ? "" : ret->bundle, *root == '/' ? "" : "/",
		    root) >= sizeof(ret->rootfs))
		return fake_fail(fake, "rootfs: file name too long");
	*ret_config = config;
	return 0;
}

int program_from_bundle(struct fake *fake, const char *bundle, struct program *ret)
{
	json_t *config;
	int r = read_bundle(fake, bundle ? bundle : ".", ret, &config);

	if (r != 0)
		return r;
	read_process(json_object_get(config, "process"), ret);
	return resolve(fake, ret);
}

/* Puts the --env of this call after what the spec has. */
static void add_env(struct fake *fake, struct program *program)
{
	size_t n = 0;

	while (program->env[n])
		n++;
	for (size_t i = 0; i < fake->options.n_env; i++)
		program->env[n + i] = strdup(fake->options.env[i]);
}

int program_for_exec(struct fake *fake, const char *bundle, struct program *ret)
{
	json_t *config, *process;
	json_error_t error;
	int r = read_bundle(fake, bundle, ret, &config);

	if (r != 0)
		return r;
	if (fake->options.process) {
		process = json_load_file(fake->options.process, 0, &error);
		if (!process)
			return fake_fail(fake, "%s", error.text);
		read_process(process, ret);
	} else {
		read_process(json_object_get(config, "process"), ret);
		ret->args = fake->args + 1;
		ret->terminal = fake->options.tty;
	}
	if (fake->options.cwd)
		ret->cwd = fake->options.cwd;
	add_env(fake, ret);
	return resolve(fake, ret);
}

int program_check_console(struct fake *fake, const struct program *program, bool detach)
{
	bool socket = fake->options.console_socket != NULL;

	if (detach && program->terminal && !socket)
		return fake_fail(fake,
			"cannot allocate tty if runc will detach without setting console socket");
	if (!(detach && program->terminal) && socket)
		return fake_fail(
			fake, "cannot use console socket if runc will not detach or allocate tty");
	if (program->terminal && !socket)
		return fake_fail(
			fake, "a terminal in the foreground is more than this runtime has");
	return 0;
}
