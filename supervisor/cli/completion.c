/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. Knows no command and no option by name; only which of the global ones do not say where
 * containers are, by their places. The tables that it prints are told of in completion_private.h.
 */
#include "supervisor/cli/completion.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/signals.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/completion_private.h"

/* --- quoting; all in single quotes --- */

static void put_text(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
}

/* The beginning of a pair; its value and the closing quote follow. */
static void put_key(enum completion_shell shell, const char *key)
{
	fputs(shell == COMPLETION_BASH ? "\t\t['" : "\t\t'", stdout);
	put_text(key);
	fputs(shell == COMPLETION_BASH ? "']='" : "' '", stdout);
}

static void put_command_key(enum completion_shell shell, const struct command *command)
{
	char key[64];

	snprintf(key, sizeof(key), " %s", command->name);
	put_key(shell, key);
}

/* A whole pair; the key is what, a space and word. */
static void put_pair(
	enum completion_shell shell, const char *what, const char *word, const char *value)
{
	char key[128];

	snprintf(key, sizeof(key), "%s %s", what, word);
	put_key(shell, key);
	put_text(value);
	puts("'");
}

/* --- every command, those of others too --- */

typedef void put_command(enum completion_shell shell, const struct command *command);

static void visit_all(enum completion_shell shell, put_command *put)
{
	for (const struct command *const *c = commands; *c; c++) {
		put(shell, *c);
		for (const struct command *const *s = (*c)->subs; s && *s; s++)
			put(shell, *s);
	}
}

static void put_table(enum completion_shell shell, const char *name, put_command *put)
{
	printf("\t%s=(\n", name);
	visit_all(shell, put);
	printf("\t)\n");
}

static void put_alias(enum completion_shell shell, const struct command *command)
{
	if (command->alias)
		put_pair(shell, "", command->alias, command->name);
}

static void put_names(const struct command *const *c)
{
	for (const char *space = ""; c && *c; c++, space = " ")
		printf("%s%s", space, command_word(*c));
}

static void put_subs(enum completion_shell shell, const struct command *command)
{
	if (!command->subs)
		return;
	put_command_key(shell, command);
	put_names(command->subs);
	puts("'");
}

/* --- options --- */

static void put_option_names(const struct option *options)
{
	const char *space = "";

	for (const struct option *o = options; o && o->name; o++, space = " ") {
		if (o->letter)
			printf("%s-%c", space, o->letter);
		printf("%s--%s", o->letter ? " " : space, o->name);
	}
}

static void put_options(enum completion_shell shell, const struct command *command)
{
	put_command_key(shell, command);
	put_option_names(command->options);
	puts("'");
}

/* An option's ID is an exec's, of a container that is named only later: nobody can be asked. */
static const char *kind_of(const struct option *o)
{
	if (o->choices)
		return o->choices;
	return strcmp(o->value, "ID") == 0 ? "EXEC" : o->value;
}

static void put_option_values(
	enum completion_shell shell, const char *command, const struct option *options)
{
	char word[64], kind[128];

	for (const struct option *o = options; o && o->name; o++) {
		if (!o->value)
			continue;
		snprintf(kind, sizeof(kind), "%s%s", o->choices ? "=" : "", kind_of(o));
		snprintf(word, sizeof(word), "--%s", o->name);
		put_pair(shell, command, word, kind);
		snprintf(word, sizeof(word), "-%c", o->letter);
		if (o->letter)
			put_pair(shell, command, word, kind);
	}
}

static void put_values(enum completion_shell shell, const struct command *command)
{
	put_option_values(shell, command->name, command->options);
}

/* What is asked for the ids of containers shall look where the line that is completed does. */
static bool says_where(const struct option *o)
{
	return o->offset != offsetof(struct globals, help) &&
	       o->offset != offsetof(struct globals, version) &&
	       o->offset != offsetof(struct globals, debug) &&
	       o->offset != offsetof(struct globals, json) &&
	       o->offset != offsetof(struct globals, format);
}

static void put_wheres(enum completion_shell shell)
{
	char word[64];

	printf("\twheres=(\n");
	for (const struct option *o = global_options; o->name; o++) {
		if (!says_where(o))
			continue;
		snprintf(word, sizeof(word), "--%s", o->name);
		put_key(shell, word);
		puts("1'");
		snprintf(word, sizeof(word), "-%c", o->letter);
		if (!o->letter)
			continue;
		put_key(shell, word);
		puts("1'");
	}
	printf("\t)\n");
}

/* --- arguments --- */

/* One word of a usage, in ret; false at the end. */
static bool next_word(const char **usage, char *ret, size_t size)
{
	const char *at = *usage + strspn(*usage, " [");
	size_t n = strcspn(at, " ]");

	if (n == 0)
		return false;
	snprintf(ret, size, "%.*s", (int)n, at);
	*usage = at + n + strspn(at + n, "]");
	return true;
}

static void put_args(enum completion_shell shell, const struct command *command)
{
	const char *usage = command->usage;
	char word[64], kind[66], number[16];
	int n = 0;

	while (!command->subs && next_word(&usage, word, sizeof(word))) {
		/* a COMMAND that is not the first argument is a container's */
		if (strcmp(word, "OPTIONS") == 0 || (n > 0 && strcmp(word, "COMMAND") == 0))
			continue;
		snprintf(kind, sizeof(kind), "%s%s", strchr(word, '|') ? "=" : "", word);
		for (char *bar = kind; (bar = strchr(bar, '|')); bar++)
			*bar = ' ';
		snprintf(number, sizeof(number), "%d", n++);
		put_pair(shell, command->name, number, kind);
	}
}

/* --- what zsh shows beside a word --- */

static void put_option_briefs(const struct option *options)
{
	const char *newline = "";

	for (const struct option *o = options; o && o->name; o++, newline = "\n") {
		if (o->letter)
			printf("%s-%c:", newline, o->letter);
		if (o->letter)
			put_text(o->help);
		printf("%s--%s:", o->letter ? "\n" : newline, o->name);
		put_text(o->help);
	}
}

static void put_briefs(enum completion_shell shell, const struct command *command)
{
	if (!command->options)
		return;
	put_command_key(shell, command);
	put_option_briefs(command->options);
	puts("'");
}

static void put_command_briefs(enum completion_shell shell)
{
	put_key(shell, "COMMAND");
	for (const struct command *const *c = commands; *c; c++) {
		printf("%s%s:", c == commands ? "" : "\n", (*c)->name);
		put_text((*c)->brief);
	}
	puts("'");
}

static void put_all_briefs(enum completion_shell shell)
{
	printf("\tbriefs=(\n");
	visit_all(shell, put_briefs);
	put_key(shell, " ");
	put_option_briefs(global_options);
	puts("'");
	put_command_briefs(shell);
	printf("\t)\n");
}

/* --- the whole --- */

static void put_signals(void)
{
	const char *space = "";

	printf("\tknown_signals='");
	for (int sig = 1; sig <= SIGNAL_MAX; sig++) {
		char name[SIGNAL_TEXT_MAX];

		signal_format(sig, name);
		/* of the real-time ones the first stands for all */
		if (strncmp(name, "SIG", 3) != 0 || sig > SIGNAL_RTMIN)
			continue;
		printf("%s%s", space, name + 3);
		space = " ";
	}
	puts("'");
}

static void put_tables(enum completion_shell shell)
{
	printf("\n_cleat_tables() {\n\tknown_commands='");
	put_names(commands);
	puts("'");
	put_signals();
	put_table(shell, "known_aliases", put_alias);
	put_table(shell, "subs", put_subs);
	printf("\tknown_options=(\n");
	visit_all(shell, put_options);
	put_key(shell, " ");
	put_option_names(global_options);
	printf("'\n\t)\n\tvalues=(\n");
	visit_all(shell, put_values);
	put_option_values(shell, "", global_options);
	printf("\t)\n");
	put_table(shell, "args", put_args);
	put_wheres(shell);
	if (shell == COMPLETION_ZSH)
		put_all_briefs(shell);
	puts("}");
}

int completion_print(enum completion_shell shell, struct error *err)
{
	if (shell == COMPLETION_BASH)
		puts("# completion of cleat's command line for bash; printed by `cleat completion bash`");
	else
		puts("#compdef cleat\n# printed by `cleat completion zsh`");
	put_tables(shell);
	fputs(completion_common, stdout);
	fputs(shell == COMPLETION_BASH ? completion_bash : completion_zsh, stdout);
	return cli_flush(err);
}
