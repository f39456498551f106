/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of ids, read. Never applies one. Subtle: sums are of 64 bits, or a range could wrap. */
#include "shim/id_map.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"

#define MAX_RANGES 340 /* the kernel's UID_GID_MAP_MAX_EXTENTS */
#define N_IDS	   (UINT64_C(1) << 32)

static bool take_number(const char **p, uint64_t *ret)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); ++*p) {
		n = n * 10 + (uint64_t)(**p - '0');
		if (n >= N_IDS)
			return false;
	}
	*ret = n;
	return true;
}

static int take_range(const char **p, struct buf *b)
{
	uint64_t inside, outside, size;
	char line[64];
	int n;

	if (!take_number(p, &inside) || *(*p)++ != ':' || !take_number(p, &outside) ||
		*(*p)++ != ':' || !take_number(p, &size))
		return -EINVAL;
	if (size == 0 || inside + size > N_IDS || outside + size > N_IDS)
		return -EINVAL;
	n = snprintf(line, sizeof(line), "%ju %ju %ju\n", (uintmax_t)inside, (uintmax_t)outside,
		(uintmax_t)size);
	return buf_append(b, line, (size_t)n);
}

int id_map_parse(const char *text, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = take_range(&text, &b);

	for (int n = 1; r == 0 && *text == ','; n++) {
		text++;
		r = n < MAX_RANGES ? take_range(&text, &b) : -EINVAL;
	}
	if (r == 0 && *text)
		r = -EINVAL;
	if (r == 0)
		r = buf_append(&b, "", 1);
	if (r < 0)
		return r;
	*ret = strdup((const char *)buf_head(&b));
	return *ret ? 0 : -ENOMEM;
}
