/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance suite: one table, two shims.
 *
 *     conform [-r] [-s SERVICE] TABLE README [NAME...]
 *
 * SHIM=reference tries Debian's containerd-shim-runc-v2, anything else ours. -r prints every answer
 * as a line for the table and judges none. NAME picks the cells that begin with it. The last line
 * counts; the exit status is 1 where a cell differs without a reason. Never leaves its folder.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "test/conformance/cells.h"
#include "test/conformance/conform.h"
#include "test/conformance/sink.h"
#include "test/conformance/table.h"

#define TASK_V2 "containerd.task.v2.Task"

struct suite {
	struct conform conform;
	struct table *table;
	bool record;
	char **picked;
	size_t n_picked;
	unsigned n_cells, n_equal, n_better, n_differ;
};

/* --- the folder --- */

static void make_dir(const struct conform *conform, const char *name, mode_t mode)
{
	_cleanup_free_ char *path = format("%s/%s", conform->dir, name);

	if (mkdir(path, mode) < 0)
		die("%s: %m", path);
}

static void make_busybox(const struct conform *conform)
{
	static const char *const applets[] = { "sh", "cat", "stty", "sleep", "true", "echo" };
	_cleanup_free_ char *to = format("%s/bin/busybox", conform->rootfs);
	_cleanup_buf_ struct buf data = BUF_INIT;
	_cleanup_close_ int fd = -1;

	if (fd_read_file(AT_FDCWD, "/usr/bin/busybox", &data, 64u << 20) < 0 &&
		fd_read_file(AT_FDCWD, "/bin/busybox", &data, 64u << 20) < 0)
		die("there is no busybox (package busybox-static)");
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0 || fd_write_all(fd, buf_head(&data), data.len) < 0)
		die("%s: %m", to);
	for (size_t i = 0; i < sizeof(applets) / sizeof(*applets); i++) {
		_cleanup_free_ char *link = format("%s/bin/%s", conform->rootfs, applets[i]);

		if (symlink("busybox", link) < 0)
			die("%s: %m", link);
	}
}

static void make_folder(struct conform *conform)
{
	static const char *const folders[] = { "b", "r", "rootfs", "rootfs/bin", "rootfs/dev",
		"rootfs/proc" };

	conform->dir = format("/tmp/conform-XXXXXX");
	if (!mkdtemp(conform->dir))
		die("%s: %m", conform->dir);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		make_dir(conform, folders[i], 0755);
	conform->rootfs = format("%s/rootfs", conform->dir);
	make_busybox(conform);
}

/* --- cells --- */

static bool is_picked(const struct suite *suite, const char *name)
{
	for (size_t i = 0; i < suite->n_picked; i++)
		if (strncmp(name, suite->picked[i], strlen(suite->picked[i])) == 0)
			return true;
	return suite->n_picked == 0;
}

static void judge(struct suite *suite, const char *name, const char *answer)
{
	_cleanup_free_ char *why = NULL;

	suite->n_cells++;
	switch (table_judge(suite->table, suite->conform.reference, name, answer, &why)) {
	case VERDICT_EQUAL:
		suite->n_equal++;
		break;
	case VERDICT_BETTER:
		suite->n_better++;
		break;
	case VERDICT_DIFFERS:
		suite->n_differ++;
		printf("%s\n   answered    %s\n   %s\n", name, answer, why);
		break;
	}
}

static char *ask(
	struct suite *suite, size_t i, void (*run)(struct conform *conform, size_t i, FILE *f))
{
	char *answer = NULL;
	size_t size;
	FILE *f = open_memstream(&answer, &size);

	if (!f)
		die("no memory");
	run(&suite->conform, i, f);
	fclose(f);
	return answer;
}

static bool differs(struct suite *suite, const char *name, const char *answer)
{
	_cleanup_free_ char *why = NULL;

	return table_judge(suite->table, suite->conform.reference, name, answer, &why) ==
	       VERDICT_DIFFERS;
}

/*
 * The reference alone is asked again, once: it answers Shutdown and exits, and now and then it has
 * gone before the answer was written. Ours has no second try.
 */
static void run_cell(struct suite *suite, const char *name, size_t i,
	void (*run)(struct conform *conform, size_t i, FILE *f))
{
	_cleanup_free_ char *answer = ask(suite, i, run);

	if (suite->conform.reference && !suite->record && differs(suite, name, answer)) {
		printf("%s\n   answered    %s\n   the reference is asked again\n", name, answer);
		free(answer);
		answer = ask(suite, i, run);
	}
	if (suite->record)
		printf("%-24s | %s\n", name, answer);
	else
		judge(suite, name, answer);
	fflush(stdout);
}

static void run_cells(struct suite *suite,
	bool (*name_of)(size_t i, char ret[static CELL_NAME_MAX]),
	void (*run)(struct conform *conform, size_t i, FILE *f))
{
	char name[CELL_NAME_MAX];

	for (size_t i = 0; name_of(i, name) && !suite->conform.ended; i++)
		if (is_picked(suite, name))
			run_cell(suite, name, i, run);
}

/* --- the whole --- */

static void on_signal(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	((struct conform *)userdata)->ended = true;
}

static void run_all(struct suite *suite)
{
	struct conform *conform = &suite->conform;
	struct event *signals[2];

	conform_init(conform);
	signals[0] = evsignal_new(conform->base, SIGINT, on_signal, conform);
	signals[1] = evsignal_new(conform->base, SIGTERM, on_signal, conform);
	event_add(signals[0], NULL);
	event_add(signals[1], NULL);
	make_folder(conform);
	conform->sink = sink_new(conform);
	run_cells(suite, matrix_name, matrix_run);
	run_cells(suite, scenario_name, scenario_run);
	sink_free(conform->sink);
	remove_tree(AT_FDCWD, conform->dir);
	event_free(signals[0]);
	event_free(signals[1]);
	conform_deinit(conform);
	free(conform->dir);
	free(conform->rootfs);
}

static int report(const struct suite *suite)
{
	const char *unused =
		suite->n_picked == 0 && !suite->conform.ended ? table_unused(suite->table) : NULL;

	if (suite->record)
		return suite->conform.ended;
	if (unused)
		printf("%s: a line in the table that no cell has\n", unused);
	printf("%u cells, %u equal, %u better", suite->n_cells, suite->n_equal, suite->n_better);
	if (suite->n_differ)
		printf(", %u DIFFER", suite->n_differ);
	putchar('\n');
	return suite->n_differ > 0 || unused || suite->n_cells == 0 || suite->conform.ended;
}

int main(int argc, char **argv)
{
	const char *shim = getenv("SHIM");
	struct suite suite = { .conform = { .service = TASK_V2 } };
	int option, status;

	while ((option = getopt(argc, argv, "rs:")) != -1) {
		if (option == 's')
			suite.conform.service = optarg;
		else if (option == 'r')
			suite.record = true;
		else
			return 2;
	}
	if (argc - optind < 2)
		die("conform [-r] [-s SERVICE] TABLE README [NAME...]");
	signal(SIGPIPE, SIG_IGN);
	suite.conform.reference = shim && strcmp(shim, "reference") == 0;
	suite.table = table_read(argv[optind], argv[optind + 1]);
	suite.picked = argv + optind + 2;
	suite.n_picked = (size_t)(argc - optind - 2);
	run_all(&suite);
	status = report(&suite);
	table_free(suite.table);
	return status;
}
