/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim.json and state.json, which another's hand may have been in: refused with a sentence, or
 * read so that the same comes out when it is written and read again. The first byte picks the file.
 */
#include "common/state_dir.h"
#include "test/fuzz/fuzz_folder.h"

static void check_shim(const struct state_dir *dir)
{
	struct shim_record r = { 0 }, again = { 0 };
	struct error err = ERROR_INIT;

	if (shim_record_read(dir, &r, &err) == 0) {
		CHECK(r.pid > 0);
		CHECK(shim_record_write(dir, &r, NULL) == 0);
		CHECK(shim_record_read(dir, &again, NULL) == 0);
		CHECK(again.pid == r.pid && again.start_time == r.start_time);
		CHECK(again.epoch == r.epoch && strcmp(again.socket, r.socket) == 0);
	} else {
		CHECK(err.message && !r.socket);
	}
	shim_record_deinit(&r);
	shim_record_deinit(&again);
	error_clear(&err);
}

static void check_same(const struct container_record *a, const struct container_record *b)
{
	CHECK(strcmp(a->id, b->id) == 0 && strcmp(a->bundle, b->bundle) == 0);
	CHECK(strcmp(a->status, b->status) == 0 && a->pid == b->pid && a->created == b->created);
	CHECK(strcmp(a->runtime, b->runtime) == 0 && a->terminal == b->terminal);
	CHECK(strcmp(a->stdout_uri, b->stdout_uri) == 0 && a->n_execs == b->n_execs);
	for (size_t i = 0; i < a->n_execs; i++)
		CHECK(strcmp(a->execs[i].exec_id, b->execs[i].exec_id) == 0);
	for (size_t i = 0; a->runtime_options[i] || b->runtime_options[i]; i++)
		CHECK(strcmp(a->runtime_options[i], b->runtime_options[i]) == 0);
}

static void check_container(const struct state_dir *dir)
{
	struct container_record r = { 0 }, again = { 0 };
	struct error err = ERROR_INIT;

	if (container_record_read(dir, &r, &err) == 0) {
		CHECK(container_record_write(dir, &r, NULL) == 0);
		CHECK(container_record_read(dir, &again, NULL) == 0);
		check_same(&r, &again);
	} else {
		CHECK(err.message && !r.id);
	}
	container_record_deinit(&r);
	container_record_deinit(&again);
	error_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct state_dir dir = { .id = (char *)"web", .fd = folder(), .lock_fd = -1 };
	bool shim = n > 0 && data[0] == 's';

	if (n == 0)
		return 0;
	folder_write(shim ? "shim.json" : "state.json", data + 1, n - 1);
	if (shim)
		check_shim(&dir);
	else
		check_container(&dir);
	return 0;
}
