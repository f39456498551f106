/* SPDX-License-Identifier: Apache-2.0 */

/* The scripted runtime's answers: state, list, ps, events, features. All JSON goes through
 * fake_promise(), where the script may spoil it. */

#include "test/fault/fake_container.h"
#include "test/fault/fake_script.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

int fake_state(struct fake *fake)
{
	struct container c;
	json_t *o;
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	o = container_describe(&c, "");
	r = fake_promise_json(fake, o, JSON_INDENT(2));
	json_decref(o);
	return r;
}

static bool as_json(const struct fake *fake)
{
	return fake->options.format && strcmp(fake->options.format, "json") == 0;
}

/* Every whole container of the root, as described. */
static json_t *describe_all(struct fake *fake)
{
	_cleanup_closedir_ DIR *d = opendir(fake->root);
	json_t *all = json_array();
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		struct container c;

		if (entry->d_name[0] != '.' && container_open(fake, entry->d_name, &c) == 0)
			json_array_append_new(all, container_describe(&c, "root"));
	}
	return all;
}

static const char *field(json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static int list_table(struct fake *fake, json_t *all)
{
	_cleanup_free_ char *text = NULL;
	size_t i, size;
	json_t *o;
	FILE *out = open_memstream(&text, &size);

	if (!fake->options.quiet)
		fprintf(out, "ID  PID  STATUS  BUNDLE  CREATED  OWNER\n");
	json_array_foreach (all, i, o) {
		if (fake->options.quiet)
			fprintf(out, "%s\n", field(o, "id"));
		else
			fprintf(out, "%s  %d  %s  %s  %s  %s\n", field(o, "id"),
				(int)json_integer_value(json_object_get(o, "pid")),
				field(o, "status"), field(o, "bundle"), field(o, "created"),
				field(o, "owner"));
	}
	fclose(out);
	return fake_promise(fake, text);
}

int fake_list(struct fake *fake)
{
	json_t *all = describe_all(fake);
	int r;

	if (!as_json(fake) || fake->options.quiet)
		r = list_table(fake, all);
	else if (json_array_size(all) == 0)
		r = fake_promise(fake, "null\n");
	else
		r = fake_promise_json(fake, all, JSON_COMPACT);
	json_decref(all);
	return r;
}

/* The command of a process, for a person. */
static void read_comm(pid_t pid, char *ret, size_t n)
{
	char path[64];
	_cleanup_fclose_ FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	snprintf(ret, n, "?");
	file = fopen(path, "re");
	if (file && fgets(ret, (int)n, file))
		ret[strcspn(ret, "\n")] = '\0';
}

int fake_ps(struct fake *fake)
{
	_cleanup_free_ struct process_id *processes = NULL;
	_cleanup_free_ char *text = NULL;
	struct container c;
	size_t n, size;
	FILE *out;
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	processes = container_processes(&c, &n);
	out = open_memstream(&text, &size);
	fprintf(out, as_json(fake) ? "[" : "UID  PID  CMD\n");
	for (size_t i = 0; i < n; i++) {
		char comm[64];

		if (as_json(fake)) {
			fprintf(out, "%s%d", i ? "," : "", (int)processes[i].pid);
			continue;
		}
		read_comm(processes[i].pid, comm, sizeof(comm));
		fprintf(out, "root  %d  %s\n", (int)processes[i].pid, comm);
	}
	if (as_json(fake))
		fprintf(out, "]\n");
	fclose(out);
	return fake_promise(fake, text);
}

static int print_stats(struct fake *fake, const struct container *c)
{
	size_t n;
	_cleanup_free_ struct process_id *processes = container_processes(c, &n);
	json_t *o = json_pack("{s:s, s:s, s:{s:{s:{s:i}}, s:{s:{s:i}}, s:{s:i}}}", "type", "stats",
		"id", c->id, "data", "cpu", "usage", "total", 0, "memory", "usage", "usage", 0,
		"pids", "current", (int)n);
	int r = fake_promise_json(fake, o, JSON_COMPACT);

	json_decref(o);
	return r;
}

/* "5s", "100ms", "1m" in milliseconds; 5 s for what is none of them. */
static int interval_ms(const char *text)
{
	char unit[8] = "";
	int n = 0;

	if (!text || sscanf(text, "%d%7s", &n, unit) != 2 || n <= 0)
		return 5000;
	return strcmp(unit, "ms") == 0 ? n : strcmp(unit, "m") == 0 ? n * 60000 : n * 1000;
}

int fake_events(struct fake *fake)
{
	struct container c;
	int r = container_need(fake, &c);

	if (r != 0)
		return r;
	if (container_status(&c) == STATUS_STOPPED)
		return fake_fail(fake, "container with id %s is not running", c.id);
	if (fake->options.stats)
		return print_stats(fake, &c);
	while (!process_await(c.pid, c.start_time, interval_ms(fake->options.interval))) {
		r = print_stats(fake, &c);
		if (r != 0)
			return r;
	}
	return 0;
}

int fake_features(struct fake *fake)
{
	json_t *o = json_pack("{s:s, s:s, s:[s, s], s:[s, s]}", "ociVersionMin", "1.0.0",
		"ociVersionMax", "1.0.2-dev", "hooks", "prestart", "poststop", "mountOptions",
		"bind", "rbind");
	int r = fake_promise_json(fake, o, JSON_INDENT(4));

	json_decref(o);
	return r;
}
