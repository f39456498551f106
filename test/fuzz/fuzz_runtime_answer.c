/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a runtime answers: state, list, ps, a pid file, its log and what it printed; stats, a
 * stream of events, a table, wait, features, its version. The first
 * byte picks the reader, the second the runtime; a 0 parts the log from what was printed. What is
 * refused has a sentence of one line of valid UTF-8.
 */
#include "common/runtime.h"
#include "common/runtime_look.h"
#include "common/text.h"
#include "test/fuzz/fuzz_folder.h"

/* r and err of a reader; a sentence is for people and travels in protobuf. */
static void check(int r, struct error *err)
{
	CHECK((r == 0) == (err->message == NULL));
	if (r != 0) {
		CHECK(text_is_utf8(err->message));
		CHECK(strlen(err->message) < 4096 + 64);
		for (const char *p = err->message; *p; p++)
			CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
	error_clear(err);
}

static void read_state(const struct runtime *rt, const struct buf *out)
{
	struct error err = ERROR_INIT;
	struct runtime_state s;
	int r = runtime_read_state(rt, out, &s, &err);

	if (r == 0) {
		CHECK(s.id && s.status && s.bundle && s.pid >= 0);
		runtime_state_deinit(&s);
	}
	check(r, &err);
}

static void read_list(const struct runtime *rt, const struct buf *out)
{
	struct error err = ERROR_INIT;
	struct runtime_state *list = NULL;
	size_t n = 0;
	int r = runtime_read_list(rt, out, &list, &n, &err);

	for (size_t i = 0; i < n; i++)
		CHECK(list[i].id && list[i].status && list[i].bundle && list[i].pid >= 0);
	runtime_states_free(list, n);
	check(r, &err);
}

static void read_pids(const struct runtime *rt, const struct buf *out)
{
	struct error err = ERROR_INIT;
	pid_t *pids = NULL;
	size_t n = 0;
	int r = runtime_read_pids(rt, out, &pids, &n, &err);

	for (size_t i = 0; i < n; i++)
		CHECK(pids[i] > 0);
	free(pids);
	check(r, &err);
}

static void read_pid_file(const struct runtime *rt, const struct buf *out)
{
	struct error err = ERROR_INIT;
	pid_t pid = 0;
	int r;

	folder_write("pid", buf_head(out), out->len);
	r = runtime_read_pid_file(rt, RUNTIME_CREATE, folder(), "pid", &pid, &err);
	CHECK((r == 0) == (pid > 0));
	check(r, &err);
}

static void judge(const struct runtime *rt, const struct buf *out, bool creates)
{
	struct runtime_outcome o = { .wait_status = 1 << 8 };
	enum runtime_verb verb = creates ? RUNTIME_CREATE : RUNTIME_KILL;
	const uint8_t *p = buf_head(out), *parted = out->len ? memchr(p, 0, out->len) : NULL;
	size_t n_log = parted ? (size_t)(parted - p) : out->len;
	struct buf log = BUF_INIT;
	struct error err = ERROR_INIT;
	char *words;
	int r;

	CHECK(buf_append(&log, p, n_log) == 0);
	if (parted)
		CHECK(buf_append(&o.err, parted + 1, out->len - n_log - 1) == 0);
	r = runtime_judge(rt, verb, &o, &log, &err);
	CHECK(r != 0);
	check(r, &err);
	words = runtime_words(&o, &log);
	CHECK(!words || (text_is_utf8(words) && strlen(words) < 4096 + 8));
	free(words);
	buf_deinit(&log);
	runtime_outcome_deinit(&o);
}

static bool on_event(const struct runtime_event *e, void *userdata)
{
	size_t *n = userdata;

	(*n)++;
	if (e->kind == RUNTIME_EVENT_BROKEN) {
		CHECK(!e->type && !e->id && e->error.message);
		CHECK(text_is_utf8(e->error.message));
	} else {
		CHECK(e->type && e->id && (!e->data || json_is_object(e->data)));
	}
	return true;
}

/* The same number of events in one piece and byte by byte. */
static void read_events(const struct runtime *rt, const struct buf *out)
{
	size_t n[2] = { 0, 0 };

	for (int bytewise = 0; bytewise < 2; bytewise++) {
		struct runtime_event_reader r = {
			.rt = rt, .on_event = on_event, .userdata = &n[bytewise]
		};
		size_t step = bytewise || !out->len ? 1 : out->len;

		for (size_t at = 0; at < out->len; at += step)
			CHECK(runtime_event_reader_feed(&r, buf_head(out) + at, step));
		runtime_event_reader_end(&r);
		runtime_event_reader_deinit(&r);
	}
	CHECK(n[0] == n[1]);
}

static void read_stats(const struct runtime *rt, const struct buf *out)
{
	struct runtime_stats s = RUNTIME_STATS_INIT;
	struct error err = ERROR_INIT;
	int r = runtime_read_stats(rt, out, &s, &err);

	CHECK((r == 0) == (s.id && s.data));
	runtime_stats_deinit(&s);
	check(r, &err);
}

static void read_top(const struct runtime *rt, const struct buf *out)
{
	struct runtime_top t = RUNTIME_TOP_INIT;
	struct error err = ERROR_INIT;
	int r = runtime_read_top(rt, out, &t, &err);

	CHECK(r != 0 || t.pid_column < t.headers.n);
	for (size_t i = 0; i < t.n_rows; i++)
		CHECK(t.rows[i].n == t.headers.n && atoi(t.rows[i].v[t.pid_column]) > 0);
	runtime_top_deinit(&t);
	check(r, &err);
}

static void read_wait(const struct runtime *rt, const struct buf *out)
{
	struct error err = ERROR_INIT;
	unsigned status = 999;
	int r = runtime_read_wait(rt, out, &status, &err);

	CHECK((r == 0) == (status <= 255));
	check(r, &err);
}

static void read_features(const struct runtime *rt, const struct buf *out)
{
	struct runtime_features f = RUNTIME_FEATURES_INIT;
	struct error err = ERROR_INIT;
	int r = runtime_read_features(rt, out, &f, &err);

	CHECK((r == 0) == (f.oci_min && f.oci_max && f.document));
	runtime_features_deinit(&f);
	check(r, &err);
}

static void read_version(const struct runtime *rt, const struct buf *out)
{
	struct runtime_version v = RUNTIME_VERSION_INIT;
	struct error err = ERROR_INIT;
	int r = runtime_read_version(rt, out, &v, &err);

	CHECK((r == 0) == (v.version && *v.version && v.commit && v.spec));
	CHECK(r != 0 || (text_is_utf8(v.version) && text_is_utf8(v.commit)));
	runtime_version_deinit(&v);
	check(r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct runtime rt = { .deadline_ms = 1000 };
	struct buf out = BUF_INIT;

	if (n < 2)
		return 0;
	rt.kind = (enum runtime_kind)(data[1] % _RUNTIME_KIND_MAX);
	CHECK(buf_append(&out, data + 2, n - 2) == 0);
	switch (data[0]) {
	case 's':
		read_state(&rt, &out);
		break;
	case 'l':
		read_list(&rt, &out);
		break;
	case 'p':
		read_pids(&rt, &out);
		break;
	case 'f':
		read_pid_file(&rt, &out);
		break;
	case 'e':
		read_events(&rt, &out);
		break;
	case 't':
		read_stats(&rt, &out);
		break;
	case 'T':
		read_top(&rt, &out);
		break;
	case 'w':
		read_wait(&rt, &out);
		break;
	case 'F':
		read_features(&rt, &out);
		break;
	case 'v':
		read_version(&rt, &out);
		break;
	default:
		judge(&rt, &out, data[0] == 'c');
	}
	buf_deinit(&out);
	return 0;
}
