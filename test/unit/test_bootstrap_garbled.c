/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands on the stdin of `start` when it is not what it was: cut at every length, every bit of it
 * the other way, and too much of it.
 */
#include "shim/bootstrap.h"

#include "common/limits.h"
#include "common/text.h"
#include "shim/runtime_wish.h"
#include "test/unit/bootstrap_bed.h"

/* Where the fields of a message end; how many there are. */
static size_t field_ends(const struct buf *b, bool *ends)
{
	const uint8_t *p = buf_head(b);
	size_t at = 0, n = 0;

	memset(ends, 0, b->len + 1);
	while (at < b->len) {
		bool has_length = (p[at++] & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;

		if (has_length) {
			assert_true(p[at] < 0x80); /* all of ours are short */
			at += p[at] + 1u;
		} else {
			while (p[at] & 0x80)
				at++;
			at++;
		}
		ends[at] = true;
		n++;
	}
	assert_int_equal(at, b->len);
	return n;
}

/* Each beginning of a message is refused, but where it ends with a field: then it is a message. */
static void cut(struct buf *b, size_t n_fields, size_t n_taken, enum bootstrap_dialect dialect)
{
	bool *ends = calloc(b->len + 1, sizeof(*ends));
	size_t taken = 0;

	assert_int_equal(field_ends(b, ends), n_fields);
	for (size_t n = 1; n <= b->len; n++) {
		_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
		struct error err = ERROR_INIT;
		uint8_t *copy = malloc(n); /* exactly: what reads past its end is found */
		int r;

		memcpy(copy, buf_head(b), n);
		r = bootstrap_parse(copy, n, "web", "default", &s, &err);
		if (r == 0) {
			assert_true(ends[n]);
			assert_int_equal(s.dialect, dialect);
			taken++;
		} else {
			assert_error(r, &err, CODE_INVALID_ARGUMENT, NULL);
		}
		free(copy);
	}
	assert_int_equal(taken, n_taken);
	free(ends);
	buf_deinit(b);
}

static void test_cut(void **state)
{
	struct buf params = make_params(), any = make_runc_any();

	(void)state;
	cut(&params, 9, 8, BOOTSTRAP_PARAMS); /* after the id alone it is nobody's */
	cut(&any, 2, 2, BOOTSTRAP_FLAGS);
}

/* Whatever is taken is fit for use, and what is refused is refused with a sentence. */
static bool try_garbled(const struct buf *b, enum bootstrap_dialect dialect)
{
	_cleanup_runtime_wish_ struct runtime_wish w = RUNTIME_WISH_INIT;
	_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT;
	struct error err = ERROR_INIT;
	int r = parse(b, &s, &err);

	if (r != 0) {
		assert_true(err.message && *err.message && text_is_utf8(err.message));
		assert_null(strchr(err.message, '\n'));
		assert_error(r, &err, CODE_INVALID_ARGUMENT, NULL);
		return false;
	}
	assert_int_equal(s.dialect, dialect);
	assert_true(!s.ttrpc_address || text_is_utf8(s.ttrpc_address));
	assert_true(!s.socket_dir || (*s.socket_dir == '/' && text_is_utf8(s.socket_dir)));
	if (s.options)
		assert_true(runtime_wish_knows(s.options->type_url));
	/* what only its values can have wrong is for the Create */
	r = runtime_wish_parse(s.options, "/run/cleat/r/default", "default", &w, &err);
	assert_true(r == 0 || err.message);
	error_clear(&err);
	return true;
}

/* Every bit of it the other way, and every byte something else altogether. */
static void garble(struct buf *b, size_t n_decisive, enum bootstrap_dialect dialect)
{
	size_t n_taken = 0, n_refused = 0;

	for (size_t i = 0; i < b->len; i++)
		for (int bit = 0; bit <= 8; bit++) {
			uint8_t mask = bit < 8 ? (uint8_t)(1u << bit) : 0xff;
			bool taken;

			buf_head(b)[i] ^= mask;
			taken = try_garbled(b, dialect);
			buf_head(b)[i] ^= mask;
			assert_false(taken && i < n_decisive);
			n_taken += taken;
			n_refused += !taken;
		}
	assert_true(n_taken > 0 && n_refused > 0);
	assert_true(try_garbled(b, dialect));
	buf_deinit(b);
}

static void test_garbled(void **state)
{
	struct buf params = make_params(), any = make_runc_any(),
		   head = make_head("web", "default");

	(void)state;
	/* id and namespace decide, and a type has one name */
	garble(&params, head.len, BOOTSTRAP_PARAMS);
	garble(&any, 2 + strlen(RUNC_NAME), BOOTSTRAP_FLAGS);
	buf_deinit(&head);
}

/* At the limit, one above, far above; and few bytes that would become much. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { LIMIT_BOOTSTRAP, LIMIT_BOOTSTRAP + 1,
		10 * LIMIT_BOOTSTRAP };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		_cleanup_bootstrap_ struct bootstrap s = BOOTSTRAP_INIT, t = BOOTSTRAP_INIT;
		struct buf b = make_head("web", "default"), fill = BUF_INIT;
		struct error err = ERROR_INIT;
		size_t n = sizes[i] - b.len - 1 - 4; /* a tag, and a length of four bytes */
		int want = i == 0 ? CODE_OK : CODE_RESOURCE_EXHAUSTED, fd = -1;

		memset(buf_reserve(&fill, n), 'x', n);
		buf_commit(&fill, n);
		put_message(&b, PARAMS, "containerd_version", &fill);
		assert_int_equal(b.len, sizes[i]);
		assert_error(parse(&b, &s, &err), &err, want, NULL);
		assert_int_equal(fd_of_data(buf_head(&b), b.len, &fd), 0);
		assert_error(bootstrap_read(fd, "web", "default", &t, &err), &err, want, NULL);
		close(fd);
		buf_deinit(&fill);
		buf_deinit(&b);
	}
}

static void test_greedy(void **state)
{
	struct buf b = make_head("web", "default"), none = BUF_INIT;
	struct bootstrap s = BOOTSTRAP_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	while (b.len < LIMIT_BOOTSTRAP - 2)
		put_message(&b, PARAMS, "extensions", &none);
	assert_error(parse(&b, &s, &err), &err, CODE_RESOURCE_EXHAUSTED,
		"stdin asks for too much memory");
	buf_deinit(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_garbled),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_greedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
