/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An intrusive, circular, doubly linked list. A head and an unlinked hook both point at
 * themselves, so unlinking twice is harmless. Hooks are named <owner>_link.
 */

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(l)                                                                               \
	{                                                                                          \
		&(l), &(l)                                                                         \
	}

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define list_entry(link, type, member) container_of(link, type, member)

/* The first element as a type, or NULL when the list is empty. */
#define list_first(head, type, member)                                                             \
	(list_is_empty(head) ? NULL : list_entry((head)->next, type, member))

#define list_for_each(pos, head) for (pos = (head)->next; pos != (head); pos = pos->next)

/* pos may be unlinked (and its owner freed) in the body. */
#define list_for_each_safe(pos, tmp, head)                                                         \
	for (pos = (head)->next, tmp = pos->next; pos != (head); pos = tmp, tmp = pos->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_unlink(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* Puts an unlinked hook at the end of the list. */
static inline void list_append(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline size_t list_length(const struct list *head)
{
	const struct list *pos;
	size_t n = 0;

	list_for_each (pos, head)
		n++;
	return n;
}
