/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleatd.json: what passes is fit for use and is the same after a reload; what is refused has a
 * sentence of one line that begins with its place, and leaves what was there.
 */
#include "supervisor/config.h"

#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

static void refused(const struct config *c, int r, struct error *err)
{
	CHECK(r == CODE_INVALID_ARGUMENT);
	CHECK(err->message && text_is_utf8(err->message));
	CHECK(strncmp(err->message, "file:", 5) == 0);
	for (const char *p = err->message; *p; p++)
		CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	CHECK(!c->root && c->max_connections == SUPERVISOR_CONNECTIONS);
	error_clear(err);
}

static void taken(struct config *c)
{
	struct config now = CONFIG_INIT;
	struct argv kept = ARGV_INIT;

	CHECK(!c->root || *c->root == '/');
	CHECK(!c->socket || (*c->socket == '/' && strlen(c->socket) <= 107));
	CHECK(!c->shim || *c->shim == '/');
	CHECK(!c->runtime || *c->runtime);
	CHECK(c->log_level >= 0 && c->log_level < _LOG_LEVEL_MAX);
	CHECK(c->shim_answer_ms && c->deadline_ms && c->max_connections);
	CHECK(config_reload(&now, c, &kept) == 0);
	CHECK(!c->runtime == !now.runtime && now.deadline_ms == c->deadline_ms);
	CHECK(!now.root && (!c->root || kept.n > 0));
	argv_deinit(&kept);
	config_deinit(&now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct config c = CONFIG_INIT;
	struct error err = ERROR_INIT;
	int r = config_read_in("file", data, n, &c, &err);

	if (r == 0)
		taken(&c);
	else
		refused(&c, r, &err);
	config_deinit(&c);
	return 0;
}
