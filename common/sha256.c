/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256. Ours, since a shim links no library that has it, and the kernel's (AF_ALG) is not in every
 * kernel. Both tables are the standard's: the first 32 bits of the fractions of the square roots of
 * the first 8 primes, and of the cube roots of the first 64.
 */
#include "common/sha256.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 64

static const uint32_t square_roots[8] = {
	0x6a09e667,
	0xbb67ae85,
	0x3c6ef372,
	0xa54ff53a,
	0x510e527f,
	0x9b05688c,
	0x1f83d9ab,
	0x5be0cd19,
};

static const uint32_t cube_roots[64] = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t read_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The message schedule: 16 words of the block, and 48 made of them. */
static void expand(const uint8_t block[static BLOCK], uint32_t w[static 64])
{
	for (int i = 0; i < 16; i++)
		w[i] = read_be32(block + 4 * i);
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
}

static void digest_block(uint32_t state[static 8], const uint8_t block[static BLOCK])
{
	uint32_t w[64], v[8];

	expand(block, w);
	memcpy(v, state, sizeof(v));
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[0], e = v[4];
		uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			      ((e & v[5]) ^ (~e & v[6])) + cube_roots[i] + w[i];
		uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
			      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(*v));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

/* What is left of the data, a 1 bit, zeros, and the length in bits at the end of a block. */
static void digest_end(uint32_t state[static 8], const uint8_t *rest, size_t n_rest, uint64_t n)
{
	uint8_t blocks[2 * BLOCK] = { 0 };
	size_t size = n_rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	if (n_rest > 0)
		memcpy(blocks, rest, n_rest);
	blocks[n_rest] = 0x80;
	for (int i = 0; i < 8; i++)
		blocks[size - 1 - (size_t)i] = (uint8_t)(n * 8 >> 8 * i);
	for (size_t i = 0; i < size; i += BLOCK)
		digest_block(state, blocks + i);
}

void sha256_hex(const void *data, size_t n, char ret[static SHA256_HEX])
{
	const uint8_t *bytes = data;
	uint32_t state[8];
	size_t i = 0;

	memcpy(state, square_roots, sizeof(state));
	for (; n - i >= BLOCK; i += BLOCK)
		digest_block(state, bytes + i);
	digest_end(state, bytes ? bytes + i : bytes, n - i, n);
	for (size_t word = 0; word < 8; word++)
		snprintf(ret + 8 * word, 9, "%08x", state[word]);
}
