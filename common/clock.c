/* SPDX-License-Identifier: Apache-2.0 */
/* Moments, deadlines, and their text. Never touches the time zone of the process. */
#include "common/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS	    1000000000LL
#define DATE_LENGTH 19 /* 2026-01-02T03:04:05 */

moment clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (moment)ts.tv_sec * NS + ts.tv_nsec;
}

int64_t clock_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void clock_format(moment m, char ret[static CLOCK_TEXT_MAX])
{
	time_t seconds = (time_t)(m / NS);
	long nanos = (long)(m % NS);
	char date[32];
	struct tm tm;

	if (nanos < 0) {
		nanos += NS;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, CLOCK_TEXT_MAX, "%.24s.%09ldZ", date, nanos);
}

/* strptime(3) takes blanks, single digits and a 30th of February: what we write is what we read. */
static bool is_canonical(const char *text, time_t seconds)
{
	char again[CLOCK_TEXT_MAX];

	clock_format((moment)seconds * NS, again);
	return strncmp(text, again, DATE_LENGTH) == 0;
}

int clock_parse(const char *text, moment *ret)
{
	struct tm tm = { 0 };
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t nanos = 0, scale = NS / 10;
	time_t seconds;

	if (!p || p != text + DATE_LENGTH)
		return -EINVAL;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p) && scale > 0; p++, scale /= 10)
			nanos += (*p - '0') * scale;
	}
	if (strcmp(p, "Z") != 0)
		return -EINVAL;
	seconds = timegm(&tm);
	if (seconds < 0 || seconds > INT64_MAX / NS || !is_canonical(text, seconds))
		return -EINVAL;
	if (nanos > INT64_MAX - (moment)seconds * NS)
		return -EINVAL;
	*ret = (moment)seconds * NS + nanos;
	return 0;
}
