/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of names, and random ones. Never repairs a name: it is valid or refused. */
#include "common/ids.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/limits.h"

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool id_is_valid(const char *id)
{
	size_t n = id ? strnlen(id, LIMIT_ID + 1) : 0;

	if (n == 0 || n > LIMIT_ID || !is_word(id[0]) || !is_word(id[n - 1]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_word(id[i]) && !(strchr("._-", id[i]) && is_word(id[i - 1])))
			return false;
	return true;
}

/* An id that came from outside may hold anything and be long: 80 bytes of it, made printable. */
static void make_quotable(const char *id, char ret[static 84])
{
	size_t n = 0;

	for (; *id && n < 80; id++)
		ret[n++] = isprint((unsigned char)*id) ? *id : '?';
	strcpy(ret + n, *id ? "..." : "");
}

int id_check(const char *id, const char *what, struct error *err)
{
	char shown[84];

	if (id_is_valid(id))
		return 0;
	if (!id || !*id)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s must not be empty", what);
	make_quotable(id, shown);
	if (strnlen(id, LIMIT_ID + 1) > LIMIT_ID)
		return error_set(err, CODE_INVALID_ARGUMENT, "%s \"%s\" is longer than %u bytes",
			what, shown, LIMIT_ID);
	return error_set(err, CODE_INVALID_ARGUMENT,
		"%s \"%s\" must be letters and digits with single '.', '_' or '-' between them",
		what, shown);
}

int random_hex(char *ret, size_t n_bytes)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[RANDOM_HEX_BYTES];

	assert(n_bytes <= sizeof(bytes));
	if (getrandom(bytes, n_bytes, 0) != (ssize_t)n_bytes)
		return error_trace(-errno);
	for (size_t i = 0; i < n_bytes; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[2 * n_bytes] = '\0';
	return 0;
}

int random_u64(uint64_t *ret)
{
	uint64_t value = 0;

	while (value == 0)
		if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
			return error_trace(-errno);
	*ret = value;
	return 0;
}
