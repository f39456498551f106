/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Never cuts a character in two: what we say travels in protobuf strings. */
#include "common/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_tail(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Bytes of the character at p (Unicode, table 3-7: no overlong forms, no surrogates); 0 if none. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (length > n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (!is_tail(p[i]))
			return 0;
	return length;
}

static bool is_control(uint8_t byte)
{
	return byte < 0x20 || byte == 0x7f;
}

static char *copy(const uint8_t *p, size_t n, size_t limit, bool one_line)
{
	char *text = malloc((n < limit ? n : limit) + sizeof("..."));
	size_t done = 0;

	if (!text)
		return NULL;
	while (n > 0) {
		size_t length = utf8_length(p, n);
		size_t step = length ? length : 1;

		if (done + step > limit)
			break;
		if (length == 0)
			text[done] = '?';
		else if (*p == '\0' || (one_line && is_control(*p)))
			text[done] = ' ';
		else
			memcpy(text + done, p, length);
		done += step;
		p += step;
		n -= step;
	}
	while (one_line && n == 0 && done > 0 && text[done - 1] == ' ')
		done--;
	strcpy(text + done, n > 0 ? "..." : "");
	return text;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || is_control(byte);
}

char *text_clean(const void *data, size_t n, size_t limit)
{
	const uint8_t *p = data;

	while (n > 0 && is_blank(*p)) {
		p++;
		n--;
	}
	while (n > 0 && is_blank(p[n - 1]))
		n--;
	return copy(p, n, limit, true);
}

char *text_first_line(const void *data, size_t n, size_t limit)
{
	const uint8_t *p = data, *end;

	while (n > 0 && is_blank(*p)) {
		p++;
		n--;
	}
	end = n > 0 ? memchr(p, '\n', n) : NULL;
	return text_clean(p, end ? (size_t)(end - p) : n, limit);
}

char *text_valid(const void *data, size_t n, size_t limit)
{
	return copy(data, n, limit, false);
}

static bool is_utf8(const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t length = utf8_length(p, n);

		if (length == 0)
			return false;
		p += length;
		n -= length;
	}
	return true;
}

bool text_is_utf8(const char *s)
{
	return is_utf8((const uint8_t *)s, strlen(s));
}

bool text_is_string(const void *data, size_t n)
{
	return n == 0 || (!memchr(data, '\0', n) && is_utf8(data, n));
}

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

void text_unescape_octal(char *s)
{
	char *to = s;

	while (*s) {
		if (*s == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}
