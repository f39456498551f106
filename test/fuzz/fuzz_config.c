/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json, and the process spec of a client: any bytes are refused with a sentence, or give a
 * document that every question can be put to, and whose copies can be read again.
 */
#include "common/bundle.h"
#include "common/json.h"
#include "test/fuzz/fuzz_folder.h"

static void check_text(const json_t *j)
{
	char *text = json_text(j), *again;
	json_t *back = NULL;

	CHECK(text);
	CHECK(json_parse(text, strlen(text), "again", &back, NULL) == 0);
	again = json_text(back);
	CHECK(strcmp(text, again) == 0);
	json_decref(back);
	free(again);
	free(text);
}

static void check_exec(const struct bundle *b)
{
	static const char *const words[] = { "a", "b", NULL };
	const struct exec_wish wish = {
		.args = words,
		.cwd = "/",
		.env = words,
		.user = "1:2",
		.caps = words,
		.terminal = true,
		.no_new_privs = true,
		.width = 80,
		.height = 25,
	};
	struct error err = ERROR_INIT;
	json_t *process = NULL;

	if (bundle_exec_process(b, &wish, &process, &err) == 0) {
		CHECK(json_array_size(json_object_get(process, "args")) == 2);
		CHECK(json_get_bool(process, "terminal", false));
		check_text(process);
		json_decref(process);
	} else {
		CHECK(err.message);
	}
	error_clear(&err);
}

static void check_bundle(const struct bundle *b)
{
	static const char *const env[] = { "A=b", NULL };
	struct bundle copy = BUNDLE_INIT;
	bool wanted = !bundle_terminal(b);
	const struct bundle_override o = { wanted, env, "/from", "/inside", "/group" };
	int sig = bundle_stop_signal(b);

	CHECK(sig > 0 && sig <= 64);
	bundle_cgroups_path(b);
	bundle_annotation(b, "");
	check_exec(b);
	CHECK(bundle_write_override(b, &o, folder(), NULL) == 0);
	CHECK(bundle_load(folder_path, &copy, NULL) == 0);
	if (json_is_object(json_object_get(b->config, "process")))
		CHECK(bundle_terminal(&copy) == wanted);
	CHECK(strcmp(bundle_cgroups_path(&copy), "/group") == 0);
	CHECK(bundle_private_pids(&copy) == bundle_private_pids(b));
	bundle_deinit(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bundle b = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	json_t *process = NULL;

	folder_write("config.json", data, n);
	if (bundle_load(folder_path, &b, &err) == 0)
		check_bundle(&b);
	else
		CHECK(err.message && !b.config);
	bundle_deinit(&b);
	error_clear(&err);
	if (process_spec_parse(data, n, &process, &err) == 0)
		check_text(process);
	else
		CHECK(err.message && !process);
	json_decref(process);
	error_clear(&err);
	return 0;
}
