/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Update over a real shim, with runc and with the scripted runtime, through Task v2 and v3: limits
 * that hold, documents and types that are refused, and annotations, which Info tells. (Which
 * operation waits for which: test_races_update.c.)
 * deadline: 120
 */
#include "test/integration/bed.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "metrics_v1.pb-c.h"
#include "metrics_v2.pb-c.h"

#define TYPE "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

typedef Containerd__Task__V2__UpdateTaskRequest__AnnotationsEntry annotation_entry;

/* An Update with a document (NULL: none) and an annotation (name NULL: none). */
struct change {
	Containerd__Task__V2__UpdateTaskRequest request;
	Google__Protobuf__Any any;
	annotation_entry entry, *list[1];
};

static const void *make_change(struct bed *bed, struct change *c, const char *type,
	const char *document, const char *name, const char *value)
{
	containerd__task__v2__update_task_request__init(&c->request);
	google__protobuf__any__init(&c->any);
	containerd__task__v2__update_task_request__annotations_entry__init(&c->entry);
	c->request.id = bed->id;
	c->any.type_url = (char *)type;
	if (document) {
		c->any.value.data = (uint8_t *)document;
		c->any.value.len = strlen(document);
		c->request.resources = &c->any;
	}
	c->entry.key = (char *)name;
	c->entry.value = (char *)value;
	c->list[0] = &c->entry;
	c->request.annotations = c->list;
	c->request.n_annotations = name != NULL;
	return &c->request;
}

static void update(struct bed *bed, const char *service, const char *document, const char *name,
	const char *value)
{
	struct change c;

	bed_done(bed, service, "Update", make_change(bed, &c, TYPE, document, name, value));
}

static void refused(struct bed *bed, const char *type, const char *document, const char *name,
	const char *value, int code, const char *sentence)
{
	static const char *const services[] = { TASK, TASK3 };
	struct change c;

	for (size_t i = 0; i < 2; i++)
		bed_refused_like(bed, services[i], "Update",
			make_change(bed, &c, type, document, name, value), EMPTY, code, sentence);
}

/* What Info tells of a name; NULL: nothing. In static storage. */
static const char *annotation(struct bed *bed, const char *name)
{
	static char text[64];
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *info =
		bed_ok(bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);
	const char *found = NULL;

	for (size_t i = 0; i < info->n_annotations; i++)
		if (strcmp(info->annotations[i]->key, name) == 0) {
			snprintf(text, sizeof(text), "%s", info->annotations[i]->value);
			found = text;
		}
	bed_free(info);
	return found;
}

static uint64_t pids_limit(struct bed *bed)
{
	Containerd__Task__V2__StatsRequest r = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
	Containerd__Task__V2__StatsResponse *ok;
	uint64_t limit;

	r.id = bed->id;
	ok = bed_ok(bed, TASK3, "Stats", &r, &containerd__task__v2__stats_response__descriptor);
	if (strstr(ok->stats->type_url, "v1")) {
		Io__Containerd__Cgroups__V1__Metrics *m =
			io__containerd__cgroups__v1__metrics__unpack(
				NULL, ok->stats->value.len, ok->stats->value.data);

		limit = m->pids->limit;
		bed_free(m);
	} else {
		Io__Containerd__Cgroups__V2__Metrics *m =
			io__containerd__cgroups__v2__metrics__unpack(
				NULL, ok->stats->value.len, ok->stats->value.data);

		limit = m->pids->limit;
		bed_free(m);
	}
	bed_free(ok);
	return limit;
}

static void create_running(struct bed *bed)
{
	bed_create(bed, false);
	bed_start(bed, "");
}

/* --- the tests --- */

static void test_limits(void **state)
{
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "has no update");
	bed_create(bed, false);
	update(bed, TASK3, "{\"pids\":{\"limit\":41}}", NULL, NULL);
	assert_int_equal(pids_limit(bed), 41);
	bed_start(bed, "");
	update(bed, TASK, "{\"pids\":{\"limit\":42}}", NULL, NULL);
	assert_int_equal(pids_limit(bed), 42);
	update(bed, TASK3, "{\"pids\":{\"limit\":43}}", NULL, NULL);
	assert_int_equal(pids_limit(bed), 43);
	refused(bed, TYPE, "{\"pids\":{\"limit\":44},\"memory\":{\"limit\":\"x\"}}", NULL, NULL,
		CODE_INVALID_ARGUMENT, "resources: memory.limit must be an integer");
	assert_int_equal(pids_limit(bed), 43);
	bed_finish(bed);
}

static void test_types(void **state)
{
	struct bed *bed = *state;

	refused(bed, TYPE, "{}", NULL, NULL, CODE_NOT_FOUND, "container ID: not found");
	create_running(bed);
	/* a runtime that is asked all the same says so */
	if (bed->fake)
		bed_script(bed, "update fail asked\n");
	refused(bed, "types.containerd.io/opencontainers/runtime-spec/1/Process", "{}", NULL, NULL,
		CODE_INVALID_ARGUMENT,
		"resources of type \"types.containerd.io/opencontainers/runtime-spec/1/Process\": "
		"not LinuxResources");
	refused(bed, TYPE, NULL, NULL, NULL, CODE_INVALID_ARGUMENT,
		"resources of type \"\": not LinuxResources");
	refused(bed, TYPE, "", NULL, NULL, CODE_INVALID_ARGUMENT, "resources: line 1");
	refused(bed, TYPE, "[]", NULL, NULL, CODE_INVALID_ARGUMENT, "resources: must be an object");
	if (bed->fake)
		refused(bed, TYPE, "{}", NULL, NULL, CODE_UNKNOWN,
			"OCI runtime update failed: asked");
	bed_kill(bed, "", SIGKILL);
	bed_wait(bed, "");
	refused(bed, TYPE, "{}", "a", "1", CODE_FAILED_PRECONDITION,
		"cannot update a stopped container");
	assert_null(annotation(bed, "a"));
	bed_finish(bed);
}

static void test_annotations(void **state)
{
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "has no update");
	create_running(bed);
	assert_null(annotation(bed, "a"));
	update(bed, TASK, "{}", "a", "1");
	assert_string_equal(annotation(bed, "a"), "1");
	/* without limits no runtime is asked */
	if (bed->fake)
		bed_script(bed, "update fail nope\n");
	update(bed, TASK3, NULL, "b", "");
	update(bed, TASK3, NULL, "a", "2");
	assert_string_equal(annotation(bed, "a"), "2");
	assert_string_equal(annotation(bed, "b"), "");
	/* with them, they are kept once those hold */
	refused(bed, TYPE, "{\"pids\":7}", "a", "3", CODE_INVALID_ARGUMENT, "resources: pids");
	if (bed->fake)
		refused(bed, TYPE, "{}", "a", "3", CODE_UNKNOWN, "OCI runtime update failed: nope");
	refused(bed, TYPE, NULL, "", "3", CODE_INVALID_ARGUMENT, "annotations: a name is empty");
	assert_string_equal(annotation(bed, "a"), "2");
	bed_finish(bed);
}

/* At the bound, one above, and far above it: what was kept before stays, and its room counts. */
static void test_annotations_limit(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *large = malloc(20 * LIMIT_ANNOTATIONS + 1);

	create_running(bed);
	update(bed, TASK, NULL, "kept", "1");
	memset(large, 'x', 20 * LIMIT_ANNOTATIONS);
	large[20 * LIMIT_ANNOTATIONS] = '\0';
	refused(bed, TYPE, NULL, "more", large, CODE_RESOURCE_EXHAUSTED,
		"annotations: larger than 65536 bytes together");
	large[LIMIT_ANNOTATIONS - strlen("kept1more") + 1] = '\0';
	refused(bed, TYPE, NULL, "more", large, CODE_RESOURCE_EXHAUSTED,
		"annotations: larger than 65536 bytes together");
	assert_null(annotation(bed, "more"));
	large[LIMIT_ANNOTATIONS - strlen("kept1more")] = '\0';
	update(bed, TASK, NULL, "more", large);
	assert_non_null(annotation(bed, "more"));
	assert_string_equal(annotation(bed, "kept"), "1");
	bed_finish(bed);
}

int main(void)
{
#define FAKE(name)                                                                                 \
	{                                                                                          \
#name " (scripted)", name, bed_setup_fake, bed_teardown, NULL                      \
	}
#define RUNC(name)                                                                                 \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		RUNC(test_limits),
		FAKE(test_types),
		RUNC(test_types),
		FAKE(test_annotations),
		RUNC(test_annotations),
		FAKE(test_annotations_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
