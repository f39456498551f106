/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a cgroup: every field from a folder of files as the kernel writes them, of both versions. */
#include "shim/metrics.h"

#include "common/cleanup.h"
#include "metrics_v1.pb-c.h"
#include "metrics_v2.pb-c.h"
#include "test/unit/unit.h"

typedef Io__Containerd__Cgroups__V1__Metrics metrics_message_v1;
typedef Io__Containerd__Cgroups__V2__Metrics metrics_message_v2;

#define V1 "io.containerd.cgroups.v1.Metrics"
#define V2 "io.containerd.cgroups.v2.Metrics"

/* Every controller's figures in the one folder: their files' names do not meet. */
static struct cgroup_folders folders_v1(const struct bed *bed)
{
	struct cgroup_folders folders = CGROUP_FOLDERS_INIT;

	for (int i = 0; i < _CGROUP_CONTROLLER_MAX; i++)
		folders.v1[i] = bed->dir;
	return folders;
}

static struct cgroup_folders folders_v2(const struct bed *bed)
{
	struct cgroup_folders folders = CGROUP_FOLDERS_INIT;

	folders.v2 = bed->dir;
	return folders;
}

static void *read_all(const struct cgroup_folders *folders, const char *type,
	const ProtobufCMessageDescriptor *descriptor)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	const char *told = NULL;
	void *m;

	assert_int_equal(metrics_read(folders, &bytes, &told, &err), 0);
	assert_string_equal(told, type);
	m = protobuf_c_message_unpack(descriptor, NULL, bytes.len, buf_head(&bytes));
	assert_non_null(m);
	return m;
}

static metrics_message_v1 *read_v1(const struct bed *bed)
{
	const struct cgroup_folders folders = folders_v1(bed);

	return read_all(&folders, V1, &io__containerd__cgroups__v1__metrics__descriptor);
}

static metrics_message_v2 *read_v2(const struct bed *bed)
{
	const struct cgroup_folders folders = folders_v2(bed);

	return read_all(&folders, V2, &io__containerd__cgroups__v2__metrics__descriptor);
}

static void free_v1(metrics_message_v1 *m)
{
	io__containerd__cgroups__v1__metrics__free_unpacked(m, NULL);
}

static void free_v2(metrics_message_v2 *m)
{
	io__containerd__cgroups__v2__metrics__free_unpacked(m, NULL);
}

/* --- version 1 --- */

static void test_v1_cpu(void **state)
{
	const struct bed *bed = *state;
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	metrics_message_v1 *m;

	write_text(bed->dir, "cpu.stat",
		"nr_periods 7\nnr_throttled 3\nthrottled_time 99\nnr_bursts 1\n");
	write_text(bed->dir, "cpuacct.usage", "123456789012\n");
	write_text(bed->dir, "cpuacct.stat", "user 12\nsystem 34\n");
	write_text(bed->dir, "cpuacct.usage_percpu", "5 0 18446744073709551615 \n");
	m = read_v1(bed);
	assert_int_equal(m->cpu->throttling->periods, 7);
	assert_int_equal(m->cpu->throttling->throttled_periods, 3);
	assert_int_equal(m->cpu->throttling->throttled_time, 99);
	assert_int_equal(m->cpu->usage->total, 123456789012);
	assert_int_equal(m->cpu->usage->user, 12 * tick);
	assert_int_equal(m->cpu->usage->kernel, 34 * tick);
	assert_int_equal(m->cpu->usage->n_per_cpu, 3);
	assert_int_equal(m->cpu->usage->per_cpu[0], 5);
	assert_true(m->cpu->usage->per_cpu[2] == UINT64_MAX);
	free_v1(m);
}

static void test_v1_memory(void **state)
{
	const struct bed *bed = *state;
	metrics_message_v1 *m;

	write_text(bed->dir, "memory.stat",
		"cache 1\nrss 2\nrss_huge 3\nshmem 999\nmapped_file 4\ndirty 5\nwriteback 6\n"
		"pgpgin 7\npgpgout 8\npgfault 9\npgmajfault 10\ninactive_anon 11\nactive_anon 12\n"
		"inactive_file 13\nactive_file 14\nunevictable 15\n"
		"hierarchical_memory_limit 16\nhierarchical_memsw_limit 17\ntotal_cache 18\n"
		"total_rss 19\ntotal_rss_huge 20\ntotal_mapped_file 21\ntotal_dirty 22\n"
		"total_writeback 23\ntotal_pgpgin 24\ntotal_pgpgout 25\ntotal_pgfault 26\n"
		"total_pgmajfault 27\ntotal_inactive_anon 28\ntotal_active_anon 29\n"
		"total_inactive_file 30\ntotal_active_file 31\ntotal_unevictable 32\n");
	write_text(bed->dir, "memory.usage_in_bytes", "40\n");
	write_text(bed->dir, "memory.max_usage_in_bytes", "41\n");
	write_text(bed->dir, "memory.failcnt", "42\n");
	write_text(bed->dir, "memory.limit_in_bytes", "9223372036854771712\n");
	write_text(bed->dir, "memory.memsw.usage_in_bytes", "43\n");
	write_text(bed->dir, "memory.kmem.limit_in_bytes", "44\n");
	write_text(bed->dir, "memory.kmem.tcp.max_usage_in_bytes", "45\n");
	write_text(bed->dir, "memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n");
	m = read_v1(bed);
	/* the first 32 fields of the message are those, in that order */
	for (unsigned i = 0; i < 32; i++) {
		const ProtobufCFieldDescriptor *f = &m->memory->base.descriptor->fields[i];
		const char *at = (const char *)m->memory + f->offset;

		assert_int_equal(f->id, i + 1);
		assert_int_equal(*(const uint64_t *)(const void *)at, i + 1);
	}
	assert_int_equal(m->memory->usage->usage, 40);
	assert_int_equal(m->memory->usage->max, 41);
	assert_int_equal(m->memory->usage->failcnt, 42);
	assert_int_equal(m->memory->usage->limit, 9223372036854771712);
	assert_int_equal(m->memory->swap->usage, 43);
	assert_int_equal(m->memory->kernel->limit, 44);
	assert_int_equal(m->memory->kernel_tcp->max, 45);
	assert_int_equal(m->memory_oom_control->oom_kill_disable, 0);
	assert_int_equal(m->memory_oom_control->under_oom, 1);
	assert_int_equal(m->memory_oom_control->oom_kill, 2);
	free_v1(m);
}

static void test_v1_pids_hugetlb_rdma(void **state)
{
	const struct bed *bed = *state;
	metrics_message_v1 *m;

	write_text(bed->dir, "pids.current", "3\n");
	write_text(bed->dir, "pids.max", "max\n");
	write_text(bed->dir, "hugetlb.2MB.usage_in_bytes", "1\n");
	write_text(bed->dir, "hugetlb.2MB.max_usage_in_bytes", "2\n");
	write_text(bed->dir, "hugetlb.2MB.failcnt", "3\n");
	write_text(bed->dir, "hugetlb.2MB.rsvd.usage_in_bytes", "77\n");
	write_text(bed->dir, "rdma.current",
		"mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=2 hca_object=1\n");
	write_text(bed->dir, "rdma.max", "mlx4_0 hca_handle=3 hca_object=max\n");
	m = read_v1(bed);
	assert_int_equal(m->pids->current, 3);
	assert_int_equal(m->pids->limit, 0); /* no limit */
	assert_int_equal(m->n_hugetlb, 1);
	assert_string_equal(m->hugetlb[0]->pagesize, "2MB");
	assert_int_equal(m->hugetlb[0]->usage, 1);
	assert_int_equal(m->hugetlb[0]->max, 2);
	assert_int_equal(m->hugetlb[0]->failcnt, 3);
	assert_int_equal(m->rdma->n_current, 2);
	assert_string_equal(m->rdma->current[0]->device, "mlx4_0");
	assert_int_equal(m->rdma->current[0]->hca_objects, 2000);
	assert_int_equal(m->rdma->current[1]->hca_handles, 2);
	assert_int_equal(m->rdma->n_limit, 1);
	assert_true(m->rdma->limit[0]->hca_objects == UINT32_MAX);
	free_v1(m);
}

static void test_v1_blkio(void **state)
{
	const struct bed *bed = *state;
	Io__Containerd__Cgroups__V1__BlkIOEntry *e;
	metrics_message_v1 *m;

	write_text(bed->dir, "blkio.io_service_bytes_recursive", "Total 0\n");
	write_text(bed->dir, "blkio.time_recursive", "8:0 321\n");
	write_text(bed->dir, "blkio.throttle.io_serviced",
		"253:7 Read 11\n253:7 Write 12\n253:7 Total 23\nTotal 23\n");
	write_text(bed->dir, "blkio.throttle.io_service_bytes", "253:7 Read 4096\nTotal 4096\n");
	m = read_v1(bed);
	assert_int_equal(m->blkio->n_io_time_recursive, 1);
	assert_int_equal(m->blkio->io_time_recursive[0]->value, 321);
	assert_string_equal(m->blkio->io_time_recursive[0]->op, "");
	assert_int_equal(m->blkio->n_io_serviced_recursive, 3);
	e = m->blkio->io_serviced_recursive[1];
	assert_int_equal(e->major, 253);
	assert_int_equal(e->minor, 7);
	assert_string_equal(e->op, "Write");
	assert_int_equal(e->value, 12);
	assert_int_equal(m->blkio->n_io_service_bytes_recursive, 1);
	assert_int_equal(m->blkio->io_service_bytes_recursive[0]->value, 4096);
	free_v1(m);
}

/* Where the proportional scheduler counts, what throttling counts is not added to it. */
static void test_v1_blkio_cfq(void **state)
{
	const struct bed *bed = *state;
	metrics_message_v1 *m;

	write_text(bed->dir, "blkio.io_serviced_recursive", "8:16 Sync 5\nTotal 5\n");
	write_text(bed->dir, "blkio.throttle.io_serviced", "8:16 Read 11\nTotal 11\n");
	m = read_v1(bed);
	assert_int_equal(m->blkio->n_io_serviced_recursive, 1);
	assert_string_equal(m->blkio->io_serviced_recursive[0]->op, "Sync");
	free_v1(m);
}

/* What a kernel lacks, and what was removed, is empty and no error; odd lines are passed over. */
static void test_missing_and_odd(void **state)
{
	const struct bed *bed = *state;
	metrics_message_v1 *one;
	metrics_message_v2 *two;

	one = read_v1(bed);
	assert_non_null(one->cpu->usage);
	assert_non_null(one->cpu->throttling);
	assert_null(one->memory);
	assert_null(one->pids);
	free_v1(one);
	two = read_v2(bed);
	assert_int_equal(two->memory->usage, 0);
	assert_null(two->memory->psi);
	assert_int_equal(two->io->n_usage, 0);
	free_v2(two);
	write_text(bed->dir, "memory.stat",
		"\n\nanon\nfile  \nslab -5\nsock x\nanon_thp 99999999999999999999999\n");
	write_text(bed->dir, "io.stat", "\n8:0\nx:y rbytes=1\n8:1 rbytes wbytes=\n");
	write_text(bed->dir, "cpu.pressure", "some avg10=x\nmore\n");
	write_text(bed->dir, "pids.current", "");
	two = read_v2(bed);
	assert_int_equal(two->memory->slab, 0);
	assert_int_equal(two->memory->sock, 0);
	assert_true(two->memory->anon_thp == UINT64_MAX);
	assert_int_equal(two->io->n_usage, 2);
	assert_null(two->cpu->psi->some);
	free_v2(two);
}

/* --- version 2 --- */

static void test_v2_cpu_and_pids(void **state)
{
	const struct bed *bed = *state;
	metrics_message_v2 *m;

	write_text(bed->dir, "pids.current", "4\n");
	write_text(bed->dir, "pids.max", "max\n");
	write_text(bed->dir, "cpu.stat",
		"usage_usec 1\nuser_usec 2\nsystem_usec 3\nnice_usec 77\nnr_periods 4\n"
		"nr_throttled 5\nthrottled_usec 6\nnr_bursts 8\nburst_usec 9\n");
	write_text(bed->dir, "cpu.pressure",
		"some avg10=1.50 avg60=2.25 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=3.75 total=34\n");
	m = read_v2(bed);
	assert_int_equal(m->pids->current, 4);
	assert_true(m->pids->limit == UINT64_MAX); /* no limit */
	assert_int_equal(m->cpu->usage_usec, 1);
	assert_int_equal(m->cpu->user_usec, 2);
	assert_int_equal(m->cpu->system_usec, 3);
	assert_int_equal(m->cpu->nr_periods, 4);
	assert_int_equal(m->cpu->nr_throttled, 5);
	assert_int_equal(m->cpu->throttled_usec, 6);
	assert_int_equal(m->cpu->nr_bursts, 8);
	assert_int_equal(m->cpu->burst_usec, 9);
	assert_true(m->cpu->psi->some->avg10 == 1.5);
	assert_true(m->cpu->psi->some->avg60 == 2.25);
	assert_int_equal(m->cpu->psi->some->total, 12);
	assert_true(m->cpu->psi->full->avg300 == 3.75);
	free_v2(m);
}

static void test_v2_memory(void **state)
{
	/* every line of memory.stat that has a field, with the field's number as its value */
	static const char *const names[] = { "anon", "file", "kernel_stack", "slab", "sock",
		"shmem", "file_mapped", "file_dirty", "file_writeback", "anon_thp", "inactive_anon",
		"active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable",
		"slab_unreclaimable", "pgfault", "pgmajfault", "workingset_refault",
		"workingset_activate", "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal",
		"pgactivate", "pgdeactivate", "pglazyfree", "pglazyfreed", "thp_fault_alloc",
		"thp_collapse_alloc" };
	const struct bed *bed = *state;
	_cleanup_buf_ struct buf text = BUF_INIT;
	metrics_message_v2 *m;

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "%s %u\n", names[i], i + 1);

		assert_int_equal(buf_append(&text, line, (size_t)n), 0);
	}
	assert_int_equal(buf_append(&text, "workingset_refault_anon 39\n", 28), 0);
	write_text(bed->dir, "memory.stat", (const char *)buf_head(&text));
	write_text(bed->dir, "memory.current", "32\n");
	write_text(bed->dir, "memory.max", "max\n");
	write_text(bed->dir, "memory.peak", "36\n");
	write_text(bed->dir, "memory.swap.current", "34\n");
	write_text(bed->dir, "memory.swap.max", "35\n");
	write_text(bed->dir, "memory.swap.peak", "37\n");
	write_text(bed->dir, "memory.events",
		"low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\nsock_throttled 0\n");
	m = read_v2(bed);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const ProtobufCFieldDescriptor *f = &m->memory->base.descriptor->fields[i];
		const char *at = (const char *)m->memory + f->offset;

		assert_string_equal(f->name, names[i]);
		assert_int_equal(*(const uint64_t *)(const void *)at, f->id);
	}
	assert_int_equal(m->memory->workingset_refault_anon, 39);
	assert_int_equal(m->memory->usage, 32);
	assert_true(m->memory->usage_limit == UINT64_MAX);
	assert_int_equal(m->memory->max_usage, 36);
	assert_int_equal(m->memory->swap_usage, 34);
	assert_int_equal(m->memory->swap_limit, 35);
	assert_int_equal(m->memory->swap_max_usage, 37);
	assert_int_equal(m->memory_events->low, 1);
	assert_int_equal(m->memory_events->high, 2);
	assert_int_equal(m->memory_events->max, 3);
	assert_int_equal(m->memory_events->oom, 4);
	assert_int_equal(m->memory_events->oom_kill, 5);
	assert_int_equal(m->memory_events->oom_group_kill, 6);
	free_v2(m);
}

static void test_v2_io_rdma_hugetlb(void **state)
{
	const struct bed *bed = *state;
	metrics_message_v2 *m;

	write_text(bed->dir, "io.stat",
		"8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n253:0 rbytes=7 wbytes=0 rios=0 wios=8\n");
	write_text(bed->dir, "io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
	write_text(bed->dir, "rdma.current", "mlx5_1 hca_handle=1 hca_object=2\n");
	write_text(bed->dir, "rdma.max", "mlx5_1 hca_handle=max hca_object=4\n");
	write_text(bed->dir, "hugetlb.1GB.current", "10\n");
	write_text(bed->dir, "hugetlb.1GB.max", "max\n");
	write_text(bed->dir, "hugetlb.1GB.events", "max 3\n");
	write_text(bed->dir, "hugetlb.1GB.rsvd.current", "77\n");
	m = read_v2(bed);
	assert_int_equal(m->io->n_usage, 2);
	assert_int_equal(m->io->usage[0]->major, 8);
	assert_int_equal(m->io->usage[0]->minor, 16);
	assert_int_equal(m->io->usage[0]->rbytes, 1);
	assert_int_equal(m->io->usage[0]->wbytes, 2);
	assert_int_equal(m->io->usage[0]->rios, 3);
	assert_int_equal(m->io->usage[0]->wios, 4);
	assert_int_equal(m->io->usage[1]->wios, 8);
	assert_int_equal(m->io->psi->some->total, 9);
	assert_null(m->io->psi->full);
	assert_int_equal(m->rdma->current[0]->hca_objects, 2);
	assert_true(m->rdma->limit[0]->hca_handles == UINT32_MAX);
	assert_int_equal(m->n_hugetlb, 1);
	assert_string_equal(m->hugetlb[0]->pagesize, "1GB");
	assert_int_equal(m->hugetlb[0]->current, 10);
	assert_true(m->hugetlb[0]->max == UINT64_MAX);
	assert_int_equal(m->hugetlb[0]->failcnt, 3);
	free_v2(m);
}

/* More than any host has: the message grows, nothing is cut. */
static void test_many_devices(void **state)
{
	const struct bed *bed = *state;
	_cleanup_buf_ struct buf text = BUF_INIT;
	metrics_message_v2 *m;

	for (unsigned i = 0; i < 3000; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "9:%u rbytes=%u\n", i, i * 2);

		assert_int_equal(buf_append(&text, line, (size_t)n), 0);
	}
	assert_int_equal(buf_append(&text, "", 1), 0);
	write_text(bed->dir, "io.stat", (const char *)buf_head(&text));
	m = read_v2(bed);
	assert_int_equal(m->io->n_usage, 3000);
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(m->io->usage[i]->minor, i);
		assert_int_equal(m->io->usage[i]->rbytes, i * 2);
	}
	free_v2(m);
}

static void test_none(void **state)
{
	const struct cgroup_folders none = CGROUP_FOLDERS_INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	const char *type = NULL;

	(void)state;
	assert_int_equal(metrics_read(&none, &bytes, &type, &err), CODE_NOT_FOUND);
	assert_string_equal(error_message(&err), "cgroup does not exist: not found");
	assert_null(type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_v1_cpu),
		bed_test(test_v1_memory),
		bed_test(test_v1_pids_hugetlb_rdma),
		bed_test(test_v1_blkio),
		bed_test(test_v1_blkio_cfq),
		bed_test(test_missing_and_odd),
		bed_test(test_v2_cpu_and_pids),
		bed_test(test_v2_memory),
		bed_test(test_v2_io_rdma_hugetlb),
		bed_test(test_many_devices),
		bed_test(test_none),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
