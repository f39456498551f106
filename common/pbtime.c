/* SPDX-License-Identifier: Apache-2.0 */
/* Timestamps of the wire. Never owns one; a time before 1970 keeps its nanos positive, as the
 * message wants them. */
#include "common/pbtime.h"

#define NS 1000000000LL

Google__Protobuf__Timestamp *pbtime_set(Google__Protobuf__Timestamp *t, moment m)
{
	if (m == 0)
		return NULL;
	google__protobuf__timestamp__init(t);
	t->seconds = m / NS;
	t->nanos = (int32_t)(m % NS);
	if (t->nanos < 0) {
		t->nanos += NS;
		t->seconds--;
	}
	return t;
}

moment pbtime_get(const Google__Protobuf__Timestamp *t)
{
	moment m;

	if (!t || t->nanos < 0 || t->nanos >= NS)
		return 0;
	if (__builtin_mul_overflow(t->seconds, NS, &m) ||
		__builtin_add_overflow(m, (moment)t->nanos, &m))
		return 0;
	return m;
}
