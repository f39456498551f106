/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option parser. Prints nothing and knows no command. Subtle: a letter's value may follow in
 * the same word, so the rest of a word is flags only as long as no letter of it takes a value.
 */
#include "supervisor/cli/options.h"

#include <string.h>

#include "supervisor/cli/nearest.h"

struct found {
	const struct option *option;
	void *target;
};

static bool find_name(
	const struct option_set *sets, size_t n_sets, const char *name, size_t n, struct found *ret)
{
	for (size_t i = 0; i < n_sets; i++) {
		const struct option *o = sets[i].options;

		for (; o && o->name; o++) {
			if (strlen(o->name) != n || memcmp(o->name, name, n) != 0)
				continue;
			*ret = (struct found){ o, sets[i].target };
			return true;
		}
	}
	return false;
}

static bool find_letter(
	const struct option_set *sets, size_t n_sets, char letter, struct found *ret)
{
	for (size_t i = 0; i < n_sets; i++) {
		const struct option *o = sets[i].options;

		for (; o && o->name; o++) {
			if (o->letter != letter)
				continue;
			*ret = (struct found){ o, sets[i].target };
			return true;
		}
	}
	return false;
}

static int refuse_name(
	const struct option_set *sets, size_t n_sets, const char *name, size_t n, struct error *err)
{
	struct nearest nearest = nearest_to(name, n);

	for (size_t i = 0; i < n_sets; i++)
		for (const struct option *o = sets[i].options; o && o->name; o++)
			nearest_offer(&nearest, o->name);
	if (nearest.word)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"unknown option --%.*s (did you mean --%s?)", (int)n, name, nearest.word);
	return error_set(err, CODE_INVALID_ARGUMENT, "unknown option --%.*s", (int)n, name);
}

static int store(const struct found *f, const char *value, struct error *err)
{
	char *at = (char *)f->target + f->option->offset;
	int r;

	if (!f->option->value) {
		*(bool *)at = true;
	} else if (f->option->many) {
		r = argv_add((struct argv *)(void *)at, value);
		if (r < 0)
			return error_errno(err, r, "option --%s", f->option->name);
	} else {
		*(const char **)(void *)at = value;
	}
	return 0;
}

/* One "--name" or "--name=VALUE"; *i moves on if the value is the next word. */
static int parse_long(const struct option_set *sets, size_t n_sets, int argc, char *const *argv,
	int *i, struct error *err)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const char *value = equals ? equals + 1 : NULL;
	struct found f;

	if (!find_name(sets, n_sets, name, n, &f))
		return refuse_name(sets, n_sets, name, n, err);
	if (!f.option->value && value)
		return error_set(
			err, CODE_INVALID_ARGUMENT, "option --%s takes no value", f.option->name);
	if (f.option->value && !value) {
		if (*i + 1 >= argc)
			return error_set(err, CODE_INVALID_ARGUMENT,
				"option --%s needs a value (%s)", f.option->name, f.option->value);
		value = argv[++*i];
	}
	return store(&f, value, err);
}

/* One word of letters, such as "-it" or "-b.". */
static int parse_letters(const struct option_set *sets, size_t n_sets, int argc, char *const *argv,
	int *i, struct error *err)
{
	for (const char *l = argv[*i] + 1; *l; l++) {
		const char *value = NULL;
		struct found f;
		int r;

		if (!find_letter(sets, n_sets, *l, &f))
			return error_set(err, CODE_INVALID_ARGUMENT, "unknown option -%c", *l);
		if (f.option->value) {
			if (!l[1] && *i + 1 >= argc)
				return error_set(err, CODE_INVALID_ARGUMENT,
					"option -%c needs a value (%s)", *l, f.option->value);
			value = l[1] ? l + 1 : argv[++*i];
		}
		r = store(&f, value, err);
		if (r != 0 || value)
			return r;
	}
	return 0;
}

int options_parse(const struct option_set *sets, size_t n_sets, int argc, char *const *argv,
	int *ret_n, struct error *err)
{
	int i, r;

	for (i = 0; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] != '-' || !word[1])
			break;
		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		if (word[1] == '-')
			r = parse_long(sets, n_sets, argc, argv, &i, err);
		else
			r = parse_letters(sets, n_sets, argc, argv, &i, err);
		if (r != 0)
			return r;
	}
	*ret_n = i;
	return 0;
}

void options_free(const struct option *options, void *target)
{
	for (const struct option *o = options; o && o->name; o++)
		if (o->many)
			argv_deinit((struct argv *)(void *)((char *)target + o->offset));
}
