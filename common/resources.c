/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types and ranges of LinuxResources (runtime-spec, config-linux.md), by table. Never asks the
 * kernel what it has: that is the runtime's business. Subtle: null is the same as not said, as Go
 * reads it, and a number with a fraction or an exponent is no integer.
 */
#include "common/resources.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/text.h"

enum field_type {
	FIELD_INT,  /* of 64 bits, min and max apply; 0 always passes (not set) */
	FIELD_UINT, /* the same without a sign */
	FIELD_BOOL,
	FIELD_STRING, /* of the characters in chars, if given */
	FIELD_OBJECT, /* with fields */
	FIELD_LIST,   /* of objects with fields */
	FIELD_MAP,    /* of any name to objects with fields; without fields: to strings */
};

struct field {
	const char *name; /* NULL ends a table */
	enum field_type type;
	int64_t min; /* FIELD_UINT without min and max: any */
	uint64_t max;
	const char *chars;
	const struct field *fields;
};

#define ANY_INT		 INT64_MIN, INT64_MAX
#define AT_LEAST_MINUS_1 -1, INT64_MAX
#define ANY_UINT	 0, UINT64_MAX
#define LIST_OF_NUMBERS	 "0123456789-, \n"

static const struct field device_fields[] = {
	{ "allow", FIELD_BOOL },
	{ "type", FIELD_STRING, .chars = "abcup" },
	{ "major", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "minor", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "access", FIELD_STRING, .chars = "rwm" },
	{ NULL },
};

static const struct field memory_fields[] = {
	{ "limit", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "reservation", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "swap", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "kernel", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "kernelTCP", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "swappiness", FIELD_UINT, 0, 100 },
	{ "disableOOMKiller", FIELD_BOOL },
	{ "useHierarchy", FIELD_BOOL },
	{ "checkBeforeUpdate", FIELD_BOOL },
	{ NULL },
};

static const struct field cpu_fields[] = {
	{ "shares", FIELD_UINT, ANY_UINT },
	{ "quota", FIELD_INT, ANY_INT },
	{ "burst", FIELD_UINT, ANY_UINT },
	{ "period", FIELD_UINT, 1000, 1000000 },
	{ "realtimeRuntime", FIELD_INT, AT_LEAST_MINUS_1 },
	{ "realtimePeriod", FIELD_UINT, ANY_UINT },
	{ "cpus", FIELD_STRING, .chars = LIST_OF_NUMBERS },
	{ "mems", FIELD_STRING, .chars = LIST_OF_NUMBERS },
	{ "idle", FIELD_INT, 0, 1 },
	{ NULL },
};

static const struct field pids_fields[] = {
	{ "limit", FIELD_INT, ANY_INT },
	{ NULL },
};

static const struct field weight_fields[] = {
	{ "major", FIELD_INT, 0, INT64_MAX },
	{ "minor", FIELD_INT, 0, INT64_MAX },
	{ "weight", FIELD_UINT, 10, 1000 },
	{ "leafWeight", FIELD_UINT, 10, 1000 },
	{ NULL },
};

static const struct field throttle_fields[] = {
	{ "major", FIELD_INT, 0, INT64_MAX },
	{ "minor", FIELD_INT, 0, INT64_MAX },
	{ "rate", FIELD_UINT, ANY_UINT },
	{ NULL },
};

static const struct field block_fields[] = {
	{ "weight", FIELD_UINT, 10, 1000 },
	{ "leafWeight", FIELD_UINT, 10, 1000 },
	{ "weightDevice", FIELD_LIST, .fields = weight_fields },
	{ "throttleReadBpsDevice", FIELD_LIST, .fields = throttle_fields },
	{ "throttleWriteBpsDevice", FIELD_LIST, .fields = throttle_fields },
	{ "throttleReadIOPSDevice", FIELD_LIST, .fields = throttle_fields },
	{ "throttleWriteIOPSDevice", FIELD_LIST, .fields = throttle_fields },
	{ NULL },
};

static const struct field hugepage_fields[] = {
	{ "pageSize", FIELD_STRING, .chars = "0123456789KMGTB" },
	{ "limit", FIELD_UINT, ANY_UINT },
	{ NULL },
};

static const struct field priority_fields[] = {
	{ "name", FIELD_STRING },
	{ "priority", FIELD_UINT, 0, UINT32_MAX },
	{ NULL },
};

static const struct field network_fields[] = {
	{ "classID", FIELD_UINT, 0, UINT32_MAX },
	{ "priorities", FIELD_LIST, .fields = priority_fields },
	{ NULL },
};

static const struct field rdma_fields[] = {
	{ "hcaHandles", FIELD_UINT, 0, UINT32_MAX },
	{ "hcaObjects", FIELD_UINT, 0, UINT32_MAX },
	{ NULL },
};

static const struct field resources_fields[] = {
	{ "devices", FIELD_LIST, .fields = device_fields },
	{ "memory", FIELD_OBJECT, .fields = memory_fields },
	{ "cpu", FIELD_OBJECT, .fields = cpu_fields },
	{ "pids", FIELD_OBJECT, .fields = pids_fields },
	{ "blockIO", FIELD_OBJECT, .fields = block_fields },
	{ "hugepageLimits", FIELD_LIST, .fields = hugepage_fields },
	{ "network", FIELD_OBJECT, .fields = network_fields },
	{ "rdma", FIELD_MAP, .fields = rdma_fields },
	{ "unified", FIELD_MAP },
	{ NULL },
};

/* The way to a value, for the sentence; the tables are at most three names deep. */
struct way {
	const struct way *up;
	const char *name; /* NULL: element number index */
	size_t index;
};

static void way_write(const struct way *way, char *ret, size_t size)
{
	size_t n;

	*ret = '\0';
	if (!way)
		return;
	way_write(way->up, ret, size);
	n = strlen(ret);
	if (way->name)
		snprintf(ret + n, size - n, "%s%.80s", n ? "." : "", way->name);
	else
		snprintf(ret + n, size - n, "[%zu]", way->index);
}

static int refuse(const struct way *way, const char *must, struct error *err)
{
	_cleanup_free_ char *clean = NULL;
	char path[400];

	way_write(way, path, sizeof(path));
	clean = text_clean(path, strlen(path), sizeof(path));
	return error_set(
		err, CODE_INVALID_ARGUMENT, "resources: %s %s", clean ? clean : "a field", must);
}

static int refuse_range(const struct way *way, const struct field *f, struct error *err)
{
	char must[100];

	if (f->max >= INT64_MAX)
		snprintf(must, sizeof(must), "must be at least %lld", (long long)f->min);
	else
		snprintf(must, sizeof(must), "must be from %lld to %llu%s", (long long)f->min,
			(unsigned long long)f->max, f->min > 0 ? ", or 0" : "");
	return refuse(way, must, err);
}

static int check_int(
	const json_t *j, const struct field *f, const struct way *way, struct error *err)
{
	int64_t value;

	if (!json_int64(j, &value))
		return refuse(way, "must be an integer of 64 bits", err);
	if (value != 0 && (value < f->min || (value > 0 && (uint64_t)value > f->max)))
		return refuse_range(way, f, err);
	return 0;
}

static int check_uint(
	const json_t *j, const struct field *f, const struct way *way, struct error *err)
{
	uint64_t value;

	if (!json_uint64(j, &value))
		return refuse(way, "must be an integer of 64 bits without a sign", err);
	if (value != 0 && (value < (uint64_t)f->min || value > f->max))
		return refuse_range(way, f, err);
	return 0;
}

static int check_string(
	const json_t *j, const struct field *f, const struct way *way, struct error *err)
{
	const char *text = json_string_value(j);

	if (!json_is_text(j))
		return refuse(way, "must be a string", err);
	if (f->chars && text[strspn(text, f->chars)] != '\0')
		return refuse(way, "has a character that it cannot have", err);
	return 0;
}

static int check_object(
	const json_t *j, const struct field *fields, const struct way *way, struct error *err);

static int check_list(
	const json_t *j, const struct field *f, const struct way *way, struct error *err)
{
	int r = 0;

	if (!json_is_array(j))
		return refuse(way, "must be a list", err);
	for (size_t i = 0; i < json_array_size(j) && r == 0; i++) {
		const struct way element = { way, NULL, i };

		r = check_object(json_array_get(j, i), f->fields, &element, err);
	}
	return r;
}

static int check_map(
	const json_t *j, const struct field *f, const struct way *way, struct error *err)
{
	static const struct field any = { "", FIELD_STRING };
	const char *name;
	json_t *value;

	if (!json_is_object(j))
		return refuse(way, "must be an object", err);
	json_object_foreach ((json_t *)j, name, value) {
		const struct way element = { way, name, 0 };
		int r = f->fields ? check_object(value, f->fields, &element, err)
				  : check_string(value, &any, &element, err);

		if (r != 0)
			return r;
	}
	return 0;
}

static int check_field(
	const json_t *j, const struct field *f, const struct way *way, struct error *err)
{
	switch (f->type) {
	case FIELD_INT:
		return check_int(j, f, way, err);
	case FIELD_UINT:
		return check_uint(j, f, way, err);
	case FIELD_BOOL:
		return json_is_boolean(j) ? 0 : refuse(way, "must be true or false", err);
	case FIELD_STRING:
		return check_string(j, f, way, err);
	case FIELD_OBJECT:
		return check_object(j, f->fields, way, err);
	case FIELD_LIST:
		return check_list(j, f, way, err);
	case FIELD_MAP:
		return check_map(j, f, way, err);
	}
	return 0;
}

static int check_object(
	const json_t *j, const struct field *fields, const struct way *way, struct error *err)
{
	int r = 0;

	if (!json_is_object(j))
		return refuse(way, "must be an object", err);
	for (const struct field *f = fields; f->name && r == 0; f++) {
		const struct way below = { way, f->name, 0 };
		const json_t *value = json_object_get(j, f->name);

		if (value && !json_is_null(value))
			r = check_field(value, f, &below, err);
	}
	return r;
}

/* memory.swap is memory and swap together. */
static int check_swap(const json_t *resources, struct error *err)
{
	const json_t *memory = json_object_get(resources, "memory");
	int64_t limit = json_get_int(memory, "limit", 0), swap = json_get_int(memory, "swap", 0);

	if (limit > 0 && swap > 0 && swap < limit)
		return error_set(err, CODE_INVALID_ARGUMENT,
			"resources: memory.swap must not be below memory.limit");
	return 0;
}

int resources_parse(const void *data, size_t n, char **ret, struct error *err)
{
	_cleanup_json_ json_t *j = NULL;
	int r;

	if (n > LIMIT_RESOURCES_JSON)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "resources: larger than %u bytes",
			LIMIT_RESOURCES_JSON);
	r = json_parse(data, n, "resources", &j, err);
	if (r != 0)
		return r;
	if (!json_is_object(j))
		return error_set(err, CODE_INVALID_ARGUMENT, "resources: must be an object");
	r = check_object(j, resources_fields, NULL, err);
	if (r == 0)
		r = check_swap(j, err);
	if (r != 0)
		return r;
	*ret = json_text(j);
	return *ret ? 0 : error_errno(err, -ENOMEM, "resources");
}
