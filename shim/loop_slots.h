/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What libevent keeps of descriptors, made before it is needed.
 *
 * libevent (2.1, evmap.c) makes a small record for each descriptor number when it is first watched,
 * and keeps it for the base's life. Made one by one in the middle of work, each would hold a page of
 * the heap that could be given back otherwise: 300 of them held 600 kB. So the base gets those of
 * many numbers at once, beside each other, ahead of the numbers in use.
 */

#include <event2/event.h>

/*
 * Before the base is made: gives records pages of their own, through libevent's memory functions, for
 * the whole process. Where it cannot they lie in the heap.
 */
void loop_slots_init(void);

/*
 * Makes records ahead of the lowest number that is free; *n is how many numbers have theirs, 0 at
 * first. To be called where descriptors are about to become more; costs three system calls where
 * nothing is to be done. 0 or -errno: where it cannot, all goes on as it would without it.
 */
int loop_slots_ahead(struct event_base *base, int *n);
