/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser: every way to write an option, and every way to get one wrong. */
#include "supervisor/cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct opts {
	bool tty, detach;
	const char *cwd, *user;
	struct argv env;
};

struct global_opts {
	bool debug;
	const char *root;
};

static const struct option table[] = {
	OPTION_FLAG('t', "tty", struct opts, tty, "terminal"),
	OPTION_FLAG('d', "detach", struct opts, detach, "detached"),
	OPTION_VALUE(0, "cwd", "DIR", struct opts, cwd, "folder"),
	OPTION_VALUE('u', "user", "UID", struct opts, user, "user"),
	OPTION_MANY('e', "env", "NAME=VALUE", struct opts, env, "variable"),
	OPTION_END,
};

static const struct option global_table[] = {
	OPTION_FLAG(0, "debug", struct global_opts, debug, "log"),
	OPTION_VALUE(0, "root", "DIR", struct global_opts, root, "root"),
	OPTION_END,
};

struct parsed {
	struct opts o;
	struct global_opts g;
	int n, r;
	struct error err;
};

static void parse(struct parsed *p, const char *const *words)
{
	struct option_set sets[] = { { table, &p->o }, { global_table, &p->g } };
	int argc = 0;

	while (words[argc])
		argc++;
	memset(p, 0, sizeof(*p));
	p->n = -1;
	p->r = options_parse(sets, 2, argc, (char *const *)words, &p->n, &p->err);
}

static void done(struct parsed *p)
{
	options_free(table, &p->o);
	error_clear(&p->err);
}

#define PARSE(p, ...) parse((p), (const char *const[]){ __VA_ARGS__, NULL })

static void test_long_and_short(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "--tty", "--cwd", "/a", "--user=3:4", "-d", "web");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.n, 5);
	assert_true(p.o.tty);
	assert_true(p.o.detach);
	assert_string_equal(p.o.cwd, "/a");
	assert_string_equal(p.o.user, "3:4");
	done(&p);
}

static void test_letters_in_one_word(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "-tdu5", "-u", "6");
	assert_int_equal(p.r, 0);
	assert_true(p.o.tty && p.o.detach);
	assert_string_equal(p.o.user, "6");
	done(&p);
	PARSE(&p, "-tu", "7", "x");
	assert_int_equal(p.n, 2);
	assert_string_equal(p.o.user, "7");
	done(&p);
}

static void test_repeated(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "-e", "A=1", "--env=B=2", "-eC=", "--env", "");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.o.env.n, 4);
	assert_string_equal(p.o.env.v[0], "A=1");
	assert_string_equal(p.o.env.v[1], "B=2");
	assert_string_equal(p.o.env.v[2], "C=");
	assert_string_equal(p.o.env.v[3], "");
	assert_null(p.o.env.v[4]);
	done(&p);
}

/* What follows the first argument belongs to somebody else. */
static void test_end_at_first_argument(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "-t", "web", "ls", "-d", "--nonsense");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.n, 1);
	assert_false(p.o.detach);
	done(&p);
	PARSE(&p, "-t", "--", "-d");
	assert_int_equal(p.n, 2);
	assert_false(p.o.detach);
	done(&p);
	PARSE(&p, "-", "-d");
	assert_int_equal(p.n, 0);
	done(&p);
}

static void test_second_set(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "--debug", "-t", "--root=/r");
	assert_int_equal(p.r, 0);
	assert_true(p.g.debug && p.o.tty);
	assert_string_equal(p.g.root, "/r");
	done(&p);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *words[3];
		const char *says;
	} cases[] = {
		{ { "--nope" }, "unknown option --nope" },
		{ { "--nope=1" }, "unknown option --nope" },
		{ { "--tt" }, "unknown option --tt" },
		{ { "-x" }, "unknown option -x" },
		{ { "-tx" }, "unknown option -x" },
		{ { "--tty=yes" }, "option --tty takes no value" },
		{ { "--cwd" }, "option --cwd needs a value (DIR)" },
		{ { "-t", "-u" }, "option -u needs a value (UID)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct parsed p;

		parse(&p, cases[i].words);
		assert_int_equal(p.r, CODE_INVALID_ARGUMENT);
		assert_string_equal(error_message(&p.err), cases[i].says);
		done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_and_short),
		cmocka_unit_test(test_letters_in_one_word),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_end_at_first_argument),
		cmocka_unit_test(test_second_set),
		cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
