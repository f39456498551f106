/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: the standard's own examples, and sha256sum's answers for every length around a block's end. */
#include "common/sha256.h"

#include "common/cleanup.h"
#include "test/unit/unit.h"

static void assert_digest(const void *data, size_t n, const char *expected)
{
	char digest[SHA256_HEX];

	sha256_hex(data, n, digest);
	assert_string_equal(digest, expected);
}

static void test_examples(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	_cleanup_free_ char *million = malloc(1000000);

	(void)state;
	assert_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_digest(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_digest(two_blocks, sizeof(two_blocks) - 1,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	assert_non_null(million);
	memset(million, 'a', 1000000);
	assert_digest(million, 1000000,
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_as_sha256sum(void **state)
{
	struct bed *bed = *state;
	uint8_t data[200];
	char command[128], line[SHA256_HEX];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 151 + 7);
	snprintf(command, sizeof(command), "sha256sum <%s/data", bed->path);
	for (size_t n = 0; n <= sizeof(data); n++) {
		FILE *sum;

		write_file(bed->dir, "data", data, n, 0600);
		sum = popen(command, "r");
		assert_non_null(sum);
		assert_non_null(fgets(line, sizeof(line), sum));
		pclose(sum);
		assert_digest(data, n, line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_examples),
		bed_test(test_as_sha256sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
