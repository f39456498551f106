/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file of which controller fills which field, in version 1. The source of the mapping is
 * containerd/cgroups, cgroup1: its clients know no other. Subtle: a limit of "max" is 0 here, and
 * memory's "no limit" is the kernel's large number.
 */
#include "shim/metrics_v1.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TYPE(name) (&io__containerd__cgroups__v1__##name##__descriptor)
#define COUNT(a)   (sizeof(a) / sizeof(*(a)))

typedef Io__Containerd__Cgroups__V1__Metrics metrics_message_v1;
typedef Io__Containerd__Cgroups__V1__BlkIOEntry blkio_entry;

/* --- cpu, cpuacct --- */

static void read_throttling(
	struct metrics_reader *r, int dir, Io__Containerd__Cgroups__V1__Throttle *t)
{
#define KEY(name, field) METRICS_KEY(Io__Containerd__Cgroups__V1__Throttle, name, field)
	const struct metrics_key keys[] = {
		KEY("nr_periods", periods),
		KEY("nr_throttled", throttled_periods),
		KEY("throttled_time", throttled_time),
	};
#undef KEY

	metrics_keys(r, dir, "cpu.stat", keys, COUNT(keys), t);
}

static void read_per_cpu(
	struct metrics_reader *r, int dir, Io__Containerd__Cgroups__V1__CPUUsage *usage)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *rest = NULL, *word;
	size_t room;

	if (!metrics_text(r, dir, "cpuacct.usage_percpu", &text))
		return;
	room = text.len / 2 + 1; /* a digit and a space each, at least */
	usage->per_cpu = metrics_alloc(r, room * sizeof(*usage->per_cpu));
	if (!usage->per_cpu)
		return;
	for (word = strtok_r((char *)buf_head(&text), " \n", &rest); word;
		word = strtok_r(NULL, " \n", &rest))
		usage->per_cpu[usage->n_per_cpu++] = metrics_parse(word);
}

/* cpuacct.stat counts in ticks. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	long hz = sysconf(_SC_CLK_TCK);

	return ticks * (1000000000u / (uint64_t)(hz > 0 ? hz : 100));
}

static void read_usage(
	struct metrics_reader *r, int dir, Io__Containerd__Cgroups__V1__CPUUsage *usage)
{
#define KEY(name, field) METRICS_KEY(Io__Containerd__Cgroups__V1__CPUUsage, name, field)
	const struct metrics_key keys[] = { KEY("user", user), KEY("system", kernel) };
#undef KEY

	metrics_number(r, dir, "cpuacct.usage", 0, &usage->total);
	metrics_keys(r, dir, "cpuacct.stat", keys, COUNT(keys), usage);
	usage->user = ticks_to_ns(usage->user);
	usage->kernel = ticks_to_ns(usage->kernel);
	read_per_cpu(r, dir, usage);
}

static void read_cpu(
	struct metrics_reader *r, const struct cgroup_folders *folders, metrics_message_v1 *m)
{
	Io__Containerd__Cgroups__V1__CPUStat *cpu = metrics_message(r, TYPE(cpustat));

	m->cpu = cpu;
	if (!cpu)
		return;
	cpu->usage = metrics_message(r, TYPE(cpuusage));
	cpu->throttling = metrics_message(r, TYPE(throttle));
	if (!cpu->usage || !cpu->throttling)
		return;
	read_throttling(r, folders->v1[CGROUP_CPU], cpu->throttling);
	read_usage(r, folders->v1[CGROUP_CPUACCT], cpu->usage);
}

/* --- memory --- */

static bool read_memory_stat(
	struct metrics_reader *r, int dir, Io__Containerd__Cgroups__V1__MemoryStat *memory)
{
#define KEY(name, field) METRICS_KEY(Io__Containerd__Cgroups__V1__MemoryStat, name, field)
	const struct metrics_key keys[] = {
		KEY("cache", cache),
		KEY("rss", rss),
		KEY("rss_huge", rss_huge),
		KEY("mapped_file", mapped_file),
		KEY("dirty", dirty),
		KEY("writeback", writeback),
		KEY("pgpgin", pg_pg_in),
		KEY("pgpgout", pg_pg_out),
		KEY("pgfault", pg_fault),
		KEY("pgmajfault", pg_maj_fault),
		KEY("inactive_anon", inactive_anon),
		KEY("active_anon", active_anon),
		KEY("inactive_file", inactive_file),
		KEY("active_file", active_file),
		KEY("unevictable", unevictable),
		KEY("hierarchical_memory_limit", hierarchical_memory_limit),
		KEY("hierarchical_memsw_limit", hierarchical_swap_limit),
		KEY("total_cache", total_cache),
		KEY("total_rss", total_rss),
		KEY("total_rss_huge", total_rss_huge),
		KEY("total_mapped_file", total_mapped_file),
		KEY("total_dirty", total_dirty),
		KEY("total_writeback", total_writeback),
		KEY("total_pgpgin", total_pg_pg_in),
		KEY("total_pgpgout", total_pg_pg_out),
		KEY("total_pgfault", total_pg_fault),
		KEY("total_pgmajfault", total_pg_maj_fault),
		KEY("total_inactive_anon", total_inactive_anon),
		KEY("total_active_anon", total_active_anon),
		KEY("total_inactive_file", total_inactive_file),
		KEY("total_active_file", total_active_file),
		KEY("total_unevictable", total_unevictable),
	};
#undef KEY

	return metrics_keys(r, dir, "memory.stat", keys, COUNT(keys), memory);
}

/* One kind of memory: memory.[KIND.]usage_in_bytes and so on. */
static Io__Containerd__Cgroups__V1__MemoryEntry *read_memory_entry(
	struct metrics_reader *r, int dir, const char *kind)
{
	Io__Containerd__Cgroups__V1__MemoryEntry *entry = metrics_message(r, TYPE(memory_entry));
	char name[64];

	if (!entry)
		return NULL;
	snprintf(name, sizeof(name), "memory.%susage_in_bytes", kind);
	metrics_number(r, dir, name, 0, &entry->usage);
	snprintf(name, sizeof(name), "memory.%smax_usage_in_bytes", kind);
	metrics_number(r, dir, name, 0, &entry->max);
	snprintf(name, sizeof(name), "memory.%sfailcnt", kind);
	metrics_number(r, dir, name, 0, &entry->failcnt);
	snprintf(name, sizeof(name), "memory.%slimit_in_bytes", kind);
	metrics_number(r, dir, name, 0, &entry->limit);
	return entry;
}

static void read_oom_control(struct metrics_reader *r, int dir, metrics_message_v1 *m)
{
#define KEY(name) METRICS_KEY(Io__Containerd__Cgroups__V1__MemoryOomControl, #name, name)
	const struct metrics_key keys[] = { KEY(oom_kill_disable), KEY(under_oom), KEY(oom_kill) };
#undef KEY
	Io__Containerd__Cgroups__V1__MemoryOomControl *control =
		metrics_message(r, TYPE(memory_oom_control));

	if (control && metrics_keys(r, dir, "memory.oom_control", keys, COUNT(keys), control))
		m->memory_oom_control = control;
}

static void read_memory(struct metrics_reader *r, int dir, metrics_message_v1 *m)
{
	Io__Containerd__Cgroups__V1__MemoryStat *memory = metrics_message(r, TYPE(memory_stat));

	if (!memory || !read_memory_stat(r, dir, memory))
		return;
	memory->usage = read_memory_entry(r, dir, "");
	memory->swap = read_memory_entry(r, dir, "memsw.");
	memory->kernel = read_memory_entry(r, dir, "kmem.");
	memory->kernel_tcp = read_memory_entry(r, dir, "kmem.tcp.");
	m->memory = memory;
	read_oom_control(r, dir, m);
}

/* --- pids --- */

static void read_pids(struct metrics_reader *r, int dir, metrics_message_v1 *m)
{
	Io__Containerd__Cgroups__V1__PidsStat *pids = metrics_message(r, TYPE(pids_stat));

	if (!pids || !metrics_number(r, dir, "pids.current", 0, &pids->current))
		return;
	metrics_number(r, dir, "pids.max", 0, &pids->limit);
	m->pids = pids;
}

/* --- blkio --- */

/* The device's name in /dev, from /proc/partitions ("MAJOR MINOR BLOCKS NAME"); "" if unknown. */
static char *device_name(
	struct metrics_reader *r, const char *partitions, uint64_t major, uint64_t minor)
{
	unsigned long long a, b;
	char name[64], path[80];

	for (const char *line = partitions; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%llu %llu %*u %63s", &a, &b, name) == 3 && a == major &&
			b == minor) {
			snprintf(path, sizeof(path), "/dev/%s", name);
			return metrics_string(r, path, strlen(path));
		}
	}
	return metrics_string(r, "", 0);
}

/* "MAJOR:MINOR [OP] VALUE"; a line of any other form is a total. */
static blkio_entry *parse_blkio(struct metrics_reader *r, const char *line, const char *partitions)
{
	unsigned long long major, minor;
	char op[32] = "", value[32];
	blkio_entry *entry;

	if (sscanf(line, "%llu:%llu %31s %31s", &major, &minor, op, value) != 4) {
		*op = '\0';
		if (sscanf(line, "%llu:%llu %31s", &major, &minor, value) != 3)
			return NULL;
	}
	entry = metrics_message(r, TYPE(blk_ioentry));
	if (!entry)
		return NULL;
	entry->major = major;
	entry->minor = minor;
	entry->value = metrics_parse(value);
	entry->op = metrics_string(r, op, strlen(op));
	entry->device = device_name(r, partitions, major, minor);
	return entry->op && entry->device ? entry : NULL;
}

static void read_blkio_file(struct metrics_reader *r, int dir, const char *file,
	const char *partitions, blkio_entry ***list, size_t *n)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *rest = NULL;

	if (!metrics_text(r, dir, file, &text))
		return;
	for (char *line = strtok_r((char *)buf_head(&text), "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		metrics_append(r, list, n, parse_blkio(r, line, partitions));
}

/* What the proportional scheduler counts, or where it counts nothing, what throttling does. */
static void read_blkio(struct metrics_reader *r, int dir, metrics_message_v1 *m)
{
	Io__Containerd__Cgroups__V1__BlkIOStat *b = metrics_message(r, TYPE(blk_iostat));
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *parts = "";

	if (!b || dir < 0)
		return;
	m->blkio = b;
	if (metrics_text(r, AT_FDCWD, "/proc/partitions", &text))
		parts = (const char *)buf_head(&text);
#define READ(file, field) read_blkio_file(r, dir, "blkio." file, parts, &b->field, &b->n_##field)
	READ("sectors_recursive", sectors_recursive);
	READ("io_service_bytes_recursive", io_service_bytes_recursive);
	READ("io_serviced_recursive", io_serviced_recursive);
	READ("io_queued_recursive", io_queued_recursive);
	READ("io_service_time_recursive", io_service_time_recursive);
	READ("io_wait_time_recursive", io_wait_time_recursive);
	READ("io_merged_recursive", io_merged_recursive);
	READ("time_recursive", io_time_recursive);
	if (b->n_io_serviced_recursive > 0 || b->n_io_service_bytes_recursive > 0)
		return;
	READ("throttle.io_serviced", io_serviced_recursive);
	READ("throttle.io_service_bytes", io_service_bytes_recursive);
#undef READ
}

/* --- hugetlb, rdma --- */

static void read_hugetlb(struct metrics_reader *r, int dir, const char *size, void *userdata)
{
	Io__Containerd__Cgroups__V1__HugetlbStat *h = metrics_message(r, TYPE(hugetlb_stat));
	metrics_message_v1 *m = userdata;
	char name[64];

	if (!h)
		return;
	h->pagesize = metrics_string(r, size, strlen(size));
	snprintf(name, sizeof(name), "hugetlb.%s.usage_in_bytes", size);
	metrics_number(r, dir, name, 0, &h->usage);
	snprintf(name, sizeof(name), "hugetlb.%s.max_usage_in_bytes", size);
	metrics_number(r, dir, name, 0, &h->max);
	snprintf(name, sizeof(name), "hugetlb.%s.failcnt", size);
	metrics_number(r, dir, name, 0, &h->failcnt);
	metrics_append(r, &m->hugetlb, &m->n_hugetlb, h->pagesize ? h : NULL);
}

struct rdma_list {
	Io__Containerd__Cgroups__V1__RdmaEntry **v;
	size_t n;
};

static void add_rdma(struct metrics_reader *r, const struct metrics_rdma *from, void *userdata)
{
	Io__Containerd__Cgroups__V1__RdmaEntry *entry = metrics_message(r, TYPE(rdma_entry));
	struct rdma_list *list = userdata;

	if (!entry)
		return;
	entry->device = from->device;
	entry->hca_handles = from->handles;
	entry->hca_objects = from->objects;
	metrics_append(r, &list->v, &list->n, entry);
}

static void read_rdma(struct metrics_reader *r, int dir, metrics_message_v1 *m)
{
	Io__Containerd__Cgroups__V1__RdmaStat *rdma = metrics_message(r, TYPE(rdma_stat));
	struct rdma_list current = { 0 }, limit = { 0 };

	if (!rdma || dir < 0)
		return;
	metrics_rdma(r, dir, "rdma.current", add_rdma, &current);
	metrics_rdma(r, dir, "rdma.max", add_rdma, &limit);
	rdma->current = current.v;
	rdma->n_current = current.n;
	rdma->limit = limit.v;
	rdma->n_limit = limit.n;
	m->rdma = rdma;
}

metrics_message_v1 *metrics_v1(struct metrics_reader *r, const struct cgroup_folders *folders)
{
	metrics_message_v1 *m = metrics_message(r, TYPE(metrics));

	if (!m)
		return NULL;
	read_cpu(r, folders, m);
	read_memory(r, folders->v1[CGROUP_MEMORY], m);
	read_pids(r, folders->v1[CGROUP_PIDS], m);
	read_blkio(r, folders->v1[CGROUP_BLKIO], m);
	metrics_hugetlb_sizes(r, folders->v1[CGROUP_HUGETLB], ".usage_in_bytes", read_hugetlb, m);
	read_rdma(r, folders->v1[CGROUP_RDMA], m);
	return m;
}
