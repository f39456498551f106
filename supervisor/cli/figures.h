/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What containers use, as their cgroups count it: asked for, and as numbers that both versions have. */

#include <stdint.h>

#include <jansson.h>

#include "common/error.h"
#include "supervisor/cli/cli.h"

struct figures {
	double cpu; /* seconds since the container's start */
	uint64_t memory;
	uint64_t limit; /* of memory; 0: none */
	uint64_t pids;
	uint64_t read, written; /* bytes */
};

/* Of the `metrics` of what figures_ask() gives; what is not there is 0. */
void figures_of(const json_t *metrics, struct figures *ret);

/*
 * *ret: {id, timestamp, type, metrics}, metrics by the names of containerd's message for the host's version of
 * cgroups; the caller's. CODE_CANCELLED once stop_fd (-1: none) is readable before there is an answer.
 */
int figures_ask(struct cli *cli, const char *id, int stop_fd, json_t **ret, struct error *err);

/* The containers to ask for, an array of ids: one, whatever it does, or (id NULL) all that are not stopped. */
int figures_choose(struct cli *cli, const char *id, json_t **ret, struct error *err);

/* Whether it has ended or is gone: there is nothing more to ask for. */
bool figures_are_over(struct cli *cli, const char *id);

/* "30.0 MiB". */
#define FIGURES_BYTES_MAX 24
void figures_bytes(uint64_t n, char ret[static FIGURES_BYTES_MAX]);

/* "500ms", "2s", "1m", "2": what --interval takes, in milliseconds. */
int figures_interval(const char *text, int64_t *ret_ms, struct error *err);
