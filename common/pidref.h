/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A process that cannot be mistaken for another: pid, pidfd and start time. Nothing is ever
 * signalled by a stored bare number (design, section 4).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pidref {
	pid_t pid;	     /* 0: none */
	int fd;		     /* pidfd; -1: none */
	uint64_t start_time; /* clock ticks since boot, /proc/PID/stat field 22; 0: unknown */
};

#define PIDREF_INIT ((struct pidref){ 0, -1, 0 })

/* What /proc/PID/stat tells (proc(5)); a zombie has it too. */
struct proc_stat {
	char state;
	pid_t ppid;
	pid_t pgrp;
	pid_t session;
	uint64_t start_time;
	int exit_code; /* a wait status; 0 unless it is a zombie that we may look into */
};

/* 0, -ESRCH if there is no such process, or -errno. */
int proc_stat_read(pid_t pid, struct proc_stat *ret);

/*
 * Opens a reference to a process that is now pid. Start time and descriptor are of one process:
 * the time is read after the descriptor was opened, and the descriptor asked again. A zombie that
 * is not yet reaped counts as there. 0, -ESRCH, or -errno.
 */
int pidref_open(pid_t pid, struct pidref *ret);

/* As pidref_open(), but -ESRCH unless the process started at start_time. */
int pidref_open_same(pid_t pid, uint64_t start_time, struct pidref *ret);

/* Sends sig (0: asks only). 0, -ESRCH once it is gone or reaped, or -errno. */
int pidref_signal(const struct pidref *p, int sig);

/* Whether it is still there; a zombie is. */
bool pidref_exists(const struct pidref *p);

/* Closes the descriptor and forgets the process. Safe to repeat. */
void pidref_close(struct pidref *p);
