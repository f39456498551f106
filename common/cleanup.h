/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Scope-bound ownership. Every owned local is declared with one of these, and handed over with
 * TAKE_PTR or TAKE_FD: an early return then frees what is still ours and nothing else.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* The value of a pointer or descriptor, leaving the empty value (NULL, -1) behind. */
#define TAKE_PTR(p)                                                                                \
	__extension__({                                                                            \
		__typeof__(p) *take_from_ = &(p);                                                  \
		__typeof__(p) take_value_ = *take_from_;                                           \
		*take_from_ = NULL;                                                                \
		take_value_;                                                                       \
	})
#define TAKE_FD(fd)                                                                                \
	__extension__({                                                                            \
		int *take_from_ = &(fd);                                                           \
		int take_value_ = *take_from_;                                                     \
		*take_from_ = -1;                                                                  \
		take_value_;                                                                       \
	})

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

#define _cleanup_free_	   _cleanup_(cleanup_free)
#define _cleanup_close_	   _cleanup_(cleanup_close)
#define _cleanup_fclose_   _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)
