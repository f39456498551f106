/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file of a cgroup of version 2 fills which field. The source of the mapping is
 * containerd/cgroups, cgroup2: its clients know no other. Subtle: a limit of "max" is the largest
 * number here, other than in version 1.
 */
#include "shim/metrics_v2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE(name) (&io__containerd__cgroups__v2__##name##__descriptor)
#define COUNT(a)   (sizeof(a) / sizeof(*(a)))

typedef Io__Containerd__Cgroups__V2__Metrics metrics_message_v2;
typedef Io__Containerd__Cgroups__V2__PSIStats psi_stats;

static uint64_t number(struct metrics_reader *r, int dir, const char *file)
{
	uint64_t value = 0;

	metrics_number(r, dir, file, UINT64_MAX, &value);
	return value;
}

/* --- pressure: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same of "full" --- */

static Io__Containerd__Cgroups__V2__PSIData *parse_psi(struct metrics_reader *r, const char *line)
{
	Io__Containerd__Cgroups__V2__PSIData *d = metrics_message(r, TYPE(psidata));
	unsigned long long total = 0;

	if (!d || sscanf(line, "%*s avg10=%lf avg60=%lf avg300=%lf total=%llu", &d->avg10,
			  &d->avg60, &d->avg300, &total) != 4)
		return NULL;
	d->total = total;
	return d;
}

/* NULL also where the kernel has it switched off: then reading is refused. */
static psi_stats *read_psi(struct metrics_reader *r, int dir, const char *file)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	psi_stats *psi;
	char *rest = NULL;

	if (!metrics_text(r, dir, file, &text))
		return NULL;
	psi = metrics_message(r, TYPE(psistats));
	for (char *line = strtok_r((char *)buf_head(&text), "\n", &rest); psi && line;
		line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "some ", 5) == 0)
			psi->some = parse_psi(r, line);
		else if (strncmp(line, "full ", 5) == 0)
			psi->full = parse_psi(r, line);
	}
	return psi;
}

/* --- pids, cpu --- */

static void read_pids(struct metrics_reader *r, int dir, metrics_message_v2 *m)
{
	m->pids = metrics_message(r, TYPE(pids_stat));
	if (!m->pids)
		return;
	m->pids->current = number(r, dir, "pids.current");
	m->pids->limit = number(r, dir, "pids.max");
}

static void read_cpu(struct metrics_reader *r, int dir, metrics_message_v2 *m)
{
#define KEY(name) METRICS_KEY(Io__Containerd__Cgroups__V2__CPUStat, #name, name)
	const struct metrics_key keys[] = {
		KEY(usage_usec),
		KEY(user_usec),
		KEY(system_usec),
		KEY(nr_periods),
		KEY(nr_throttled),
		KEY(throttled_usec),
		KEY(nr_bursts),
		KEY(burst_usec),
	};
#undef KEY

	m->cpu = metrics_message(r, TYPE(cpustat));
	if (!m->cpu)
		return;
	metrics_keys(r, dir, "cpu.stat", keys, COUNT(keys), m->cpu);
	m->cpu->psi = read_psi(r, dir, "cpu.pressure");
}

/* --- memory --- */

static void read_memory_stat(
	struct metrics_reader *r, int dir, Io__Containerd__Cgroups__V2__MemoryStat *memory)
{
#define KEY(name) METRICS_KEY(Io__Containerd__Cgroups__V2__MemoryStat, #name, name)
	const struct metrics_key keys[] = {
		KEY(anon),
		KEY(file),
		KEY(kernel_stack),
		KEY(slab),
		KEY(sock),
		KEY(shmem),
		KEY(file_mapped),
		KEY(file_dirty),
		KEY(file_writeback),
		KEY(anon_thp),
		KEY(inactive_anon),
		KEY(active_anon),
		KEY(inactive_file),
		KEY(active_file),
		KEY(unevictable),
		KEY(slab_reclaimable),
		KEY(slab_unreclaimable),
		KEY(pgfault),
		KEY(pgmajfault),
		KEY(workingset_refault),
		KEY(workingset_activate),
		KEY(workingset_nodereclaim),
		KEY(pgrefill),
		KEY(pgscan),
		KEY(pgsteal),
		KEY(pgactivate),
		KEY(pgdeactivate),
		KEY(pglazyfree),
		KEY(pglazyfreed),
		KEY(thp_fault_alloc),
		KEY(thp_collapse_alloc),
		KEY(workingset_refault_anon),
		KEY(workingset_refault_file),
		KEY(workingset_activate_anon),
		KEY(workingset_activate_file),
	};
#undef KEY

	metrics_keys(r, dir, "memory.stat", keys, COUNT(keys), memory);
}

static void read_memory(struct metrics_reader *r, int dir, metrics_message_v2 *m)
{
	Io__Containerd__Cgroups__V2__MemoryStat *memory = metrics_message(r, TYPE(memory_stat));

	m->memory = memory;
	if (!memory)
		return;
	read_memory_stat(r, dir, memory);
	memory->usage = number(r, dir, "memory.current");
	memory->usage_limit = number(r, dir, "memory.max");
	memory->max_usage = number(r, dir, "memory.peak");
	memory->swap_usage = number(r, dir, "memory.swap.current");
	memory->swap_limit = number(r, dir, "memory.swap.max");
	memory->swap_max_usage = number(r, dir, "memory.swap.peak");
	memory->psi = read_psi(r, dir, "memory.pressure");
}

static void read_memory_events(struct metrics_reader *r, int dir, metrics_message_v2 *m)
{
#define KEY(name) METRICS_KEY(Io__Containerd__Cgroups__V2__MemoryEvents, #name, name)
	const struct metrics_key keys[] = {
		KEY(low),
		KEY(high),
		KEY(max),
		KEY(oom),
		KEY(oom_kill),
		KEY(oom_group_kill),
	};
#undef KEY

	m->memory_events = metrics_message(r, TYPE(memory_events));
	if (m->memory_events)
		metrics_keys(r, dir, "memory.events", keys, COUNT(keys), m->memory_events);
}

/* --- io: "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N dbytes=N dios=N" --- */

static Io__Containerd__Cgroups__V2__IOEntry *parse_io(struct metrics_reader *r, char *line)
{
	unsigned long long major, minor;
	Io__Containerd__Cgroups__V2__IOEntry *entry;
	char *rest = NULL, *word = strtok_r(line, " ", &rest);

	if (!word || sscanf(word, "%llu:%llu", &major, &minor) != 2)
		return NULL;
	entry = metrics_message(r, TYPE(ioentry));
	if (!entry)
		return NULL;
	entry->major = major;
	entry->minor = minor;
	while ((word = strtok_r(NULL, " ", &rest))) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (strcmp(word, "rbytes") == 0)
			entry->rbytes = metrics_parse(value);
		else if (strcmp(word, "wbytes") == 0)
			entry->wbytes = metrics_parse(value);
		else if (strcmp(word, "rios") == 0)
			entry->rios = metrics_parse(value);
		else if (strcmp(word, "wios") == 0)
			entry->wios = metrics_parse(value);
	}
	return entry;
}

static void read_io(struct metrics_reader *r, int dir, metrics_message_v2 *m)
{
	Io__Containerd__Cgroups__V2__IOStat *io = metrics_message(r, TYPE(iostat));
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *rest = NULL;

	m->io = io;
	if (!io)
		return;
	io->psi = read_psi(r, dir, "io.pressure");
	if (!metrics_text(r, dir, "io.stat", &text))
		return;
	for (char *line = strtok_r((char *)buf_head(&text), "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		metrics_append(r, &io->usage, &io->n_usage, parse_io(r, line));
}

/* --- rdma, hugetlb --- */

struct rdma_list {
	Io__Containerd__Cgroups__V2__RdmaEntry **v;
	size_t n;
};

static void add_rdma(struct metrics_reader *r, const struct metrics_rdma *from, void *userdata)
{
	Io__Containerd__Cgroups__V2__RdmaEntry *entry = metrics_message(r, TYPE(rdma_entry));
	struct rdma_list *list = userdata;

	if (!entry)
		return;
	entry->device = from->device;
	entry->hca_handles = from->handles;
	entry->hca_objects = from->objects;
	metrics_append(r, &list->v, &list->n, entry);
}

static void read_rdma(struct metrics_reader *r, int dir, metrics_message_v2 *m)
{
	struct rdma_list current = { 0 }, limit = { 0 };

	m->rdma = metrics_message(r, TYPE(rdma_stat));
	if (!m->rdma)
		return;
	metrics_rdma(r, dir, "rdma.current", add_rdma, &current);
	metrics_rdma(r, dir, "rdma.max", add_rdma, &limit);
	m->rdma->current = current.v;
	m->rdma->n_current = current.n;
	m->rdma->limit = limit.v;
	m->rdma->n_limit = limit.n;
}

static void read_hugetlb(struct metrics_reader *r, int dir, const char *size, void *userdata)
{
	Io__Containerd__Cgroups__V2__HugeTlbStat *h = metrics_message(r, TYPE(huge_tlb_stat));
	const struct metrics_key max =
		METRICS_KEY(Io__Containerd__Cgroups__V2__HugeTlbStat, "max", failcnt);
	metrics_message_v2 *m = userdata;
	char name[64];

	if (!h)
		return;
	h->pagesize = metrics_string(r, size, strlen(size));
	snprintf(name, sizeof(name), "hugetlb.%s.current", size);
	h->current = number(r, dir, name);
	snprintf(name, sizeof(name), "hugetlb.%s.max", size);
	h->max = number(r, dir, name);
	snprintf(name, sizeof(name), "hugetlb.%s.events", size);
	metrics_keys(r, dir, name, &max, 1, h);
	metrics_append(r, &m->hugetlb, &m->n_hugetlb, h->pagesize ? h : NULL);
}

metrics_message_v2 *metrics_v2(struct metrics_reader *r, const struct cgroup_folders *folders)
{
	metrics_message_v2 *m = metrics_message(r, TYPE(metrics));
	int dir = folders->v2;

	if (!m)
		return NULL;
	read_pids(r, dir, m);
	read_cpu(r, dir, m);
	read_memory(r, dir, m);
	read_memory_events(r, dir, m);
	read_io(r, dir, m);
	read_rdma(r, dir, m);
	metrics_hugetlb_sizes(r, dir, ".current", read_hugetlb, m);
	return m;
}
