/* SPDX-License-Identifier: Apache-2.0 */
/* An update's document: what passes, what is refused, and by which name. */
#include "common/resources.h"

#include "common/limits.h"
#include "test/unit/unit.h"

static void passes(const char *text, const char *expected)
{
	struct error err = ERROR_INIT;
	char *out = NULL;

	assert_ok(resources_parse(text, strlen(text), &out, &err), &err);
	assert_string_equal(out, expected ? expected : text);
	free(out);
}

static void refused(const char *text, const char *sentence)
{
	struct error err = ERROR_INIT;
	char *out = NULL, full[300];

	snprintf(full, sizeof(full), "resources: %s", sentence);
	assert_error(
		resources_parse(text, strlen(text), &out, &err), &err, CODE_INVALID_ARGUMENT, full);
	assert_null(out);
}

static void test_what_passes(void **state)
{
	(void)state;
	passes("{}", NULL);
	passes("{\"memory\":{\"limit\":104857600,\"swap\":-1,\"reservation\":0}}", NULL);
	passes("{\"memory\":null,\"cpu\":{\"shares\":null}}", NULL);
	passes("{ \"cpu\" : {\"shares\": 512, \"quota\": -1, \"period\": 100000, \"cpus\": \"0-1,3\","
	       " \"mems\": \"0\", \"burst\": 0, \"idle\": 1}}",
		"{\"cpu\":{\"shares\":512,\"quota\":-1,\"period\":100000,\"cpus\":\"0-1,3\","
		"\"mems\":\"0\",\"burst\":0,\"idle\":1}}");
	/* what we do not know is the runtime's */
	passes("{\"future\":[1,\"x\"],\"memory\":{\"new\":true}}", NULL);
	/* past 63 bits, as far as the specification has it */
	passes("{\"cpu\":{\"shares\":18446744073709551615}}", NULL);
	passes("{\"pids\":{\"limit\":-1},\"blockIO\":{\"weight\":10,\"leafWeight\":0,"
	       "\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":1000}]}}",
		NULL);
	passes("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}],"
	       "\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}},\"unified\":{\"memory.high\":\"max\"},"
	       "\"network\":{\"classID\":4294967295,\"priorities\":[{\"name\":\"eth0\","
	       "\"priority\":5}]},\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}",
		NULL);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	refused("[]", "must be an object");
	refused("{\"memory\":[]}", "memory must be an object");
	refused("{\"memory\":{\"limit\":\"x\"}}", "memory.limit must be an integer of 64 bits");
	refused("{\"memory\":{\"limit\":1.5}}", "memory.limit must be an integer of 64 bits");
	refused("{\"memory\":{\"limit\":1e9}}", "memory.limit must be an integer of 64 bits");
	refused("{\"memory\":{\"limit\":-5}}", "memory.limit must be at least -1");
	refused("{\"memory\":{\"limit\":9223372036854775808}}",
		"memory.limit must be an integer of 64 bits");
	refused("{\"memory\":{\"swappiness\":101}}", "memory.swappiness must be from 0 to 100");
	refused("{\"memory\":{\"limit\":2048,\"swap\":1024}}",
		"memory.swap must not be below memory.limit");
	refused("{\"memory\":{\"disableOOMKiller\":1}}",
		"memory.disableOOMKiller must be true or false");
	refused("{\"cpu\":{\"shares\":-1}}",
		"cpu.shares must be an integer of 64 bits without a sign");
	refused("{\"cpu\":{\"shares\":18446744073709551616}}",
		"cpu.shares must be an integer of 64 bits without a sign");
	refused("{\"cpu\":{\"period\":999}}", "cpu.period must be from 1000 to 1000000, or 0");
	refused("{\"cpu\":{\"cpus\":7}}", "cpu.cpus must be a string");
	refused("{\"cpu\":{\"cpus\":\"zz\"}}", "cpu.cpus has a character that it cannot have");
	refused("{\"cpu\":{\"cpus\":18446744073709551615}}", "cpu.cpus must be a string");
	refused("{\"pids\":{\"limit\":true}}", "pids.limit must be an integer of 64 bits");
	refused("{\"blockIO\":{\"weight\":9}}", "blockIO.weight must be from 10 to 1000, or 0");
	refused("{\"blockIO\":{\"weightDevice\":{}}}", "blockIO.weightDevice must be a list");
	refused("{\"blockIO\":{\"throttleReadBpsDevice\":[{},{\"rate\":-1}]}}",
		"blockIO.throttleReadBpsDevice[1].rate must be an integer of 64 bits without a sign");
	refused("{\"hugepageLimits\":[7]}", "hugepageLimits[0] must be an object");
	refused("{\"rdma\":{\"a\\nb\":{\"hcaObjects\":4294967296}}}",
		"rdma.a b.hcaObjects must be from 0 to 4294967295");
	refused("{\"unified\":{\"memory.high\":5}}", "unified.memory.high must be a string");
	refused("{\"memory\":", "line 1, column 10: unexpected token near end of file");
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { LIMIT_RESOURCES_JSON, LIMIT_RESOURCES_JSON + 1,
		50 * LIMIT_RESOURCES_JSON };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct error err = ERROR_INIT;
		char *text = malloc(sizes[i]), *out = NULL;
		int r;

		memset(text, ' ', sizes[i]);
		text[0] = '{';
		text[1] = '}';
		r = resources_parse(text, sizes[i], &out, &err);
		assert_error(r, &err, i == 0 ? CODE_OK : CODE_RESOURCE_EXHAUSTED, NULL);
		free(out);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_passes),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
