/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the two test programs (tool, fake-runtime) share: whole writes, a reproducible stream of
 * bytes, names of signals, sizes, files that appear, a list of open descriptors.
 *
 * Never uses code of common/ beyond its inline macros: a test program that shares the bugs of what
 * it tests proves nothing. Subtle rule: none of this buffers, so that a fork never copies output.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all n bytes, through short writes, EINTR and a descriptor that somebody made
 * non-blocking. 0 or a negative errno. */
int write_all(int fd, const void *data, size_t n);

/* One read of up to n bytes, through EINTR and EAGAIN. EIO of a hung-up terminal is end of file.
 * The count, 0 at the end, or a negative errno. */
ssize_t read_some(int fd, void *data, size_t n);

/* A formatted write of any length. 0 or a negative errno. */
int emitf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The xorshift64 stream (13, 7, 17): words little-endian, started from seed * 0x9E3779B97F4A7C15,
 * or from that constant where the product is 0. */
struct random_stream {
	uint64_t state;
	uint8_t word[8];
	unsigned n_left;
};

void random_init(struct random_stream *random, uint64_t seed);
void random_fill(struct random_stream *random, uint8_t *data, size_t n);

/* A decimal number, with K, M or G for powers of 1024. false where it is none. */
bool parse_size(const char *text, uint64_t *ret_size);

/* "TERM", "SIGTERM", "RTMIN+1" or "15", in any case. false where it is none of 1..64. */
bool parse_signal(const char *text, int *ret_signal);

/* Makes the file where it is missing and moves its times on. 0 or a negative errno. */
int touch_file(const char *path);

/* Blocks until the path exists: inotify on its folder, and a look every 200 ms for what that
 * misses (a folder that comes later). 0, -ETIMEDOUT after deadline_ms, or a negative errno. */
int wait_for_file(const char *path, int deadline_ms);

/* One line "N TARGET" for each open descriptor but the one that lists, by number. The caller frees
 * it. 0 or a negative errno. */
int list_fds(char **ret_text);

/* The clock that never jumps, in milliseconds. */
int64_t monotonic_ms(void);
