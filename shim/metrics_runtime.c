/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime's figures as containerd's messages: memory in use, its limit, processes. Never tells
 * processor time: where a container has no cgroup of its own, runsc tells that of the group which
 * it was started in, somebody else's. What is not told is 0, as everywhere in these messages.
 */
#include "shim/metrics_runtime.h"

#include "common/cleanup.h"
#include "metrics_v1.pb-c.h"
#include "metrics_v2.pb-c.h"
#include "shim/cgroup_places.h"

static uint64_t known(uint64_t figure)
{
	return figure == RUNTIME_STAT_UNKNOWN ? 0 : figure;
}

static int pack(const ProtobufCMessage *m, struct buf *ret, const char **ret_type)
{
	uint8_t *room = buf_reserve(ret, protobuf_c_message_get_packed_size(m));

	if (!room)
		return -1;
	buf_commit(ret, protobuf_c_message_pack(m, room));
	*ret_type = m->descriptor->name;
	return 0;
}

/* Clients look into cpu and memory without asking whether they are there. */
static int pack_v1(const struct runtime_stats *s, struct buf *ret, const char **ret_type)
{
	Io__Containerd__Cgroups__V1__Metrics m = IO__CONTAINERD__CGROUPS__V1__METRICS__INIT;
	Io__Containerd__Cgroups__V1__PidsStat pids = IO__CONTAINERD__CGROUPS__V1__PIDS_STAT__INIT;
	Io__Containerd__Cgroups__V1__CPUStat cpu = IO__CONTAINERD__CGROUPS__V1__CPUSTAT__INIT;
	Io__Containerd__Cgroups__V1__CPUUsage time = IO__CONTAINERD__CGROUPS__V1__CPUUSAGE__INIT;
	Io__Containerd__Cgroups__V1__Throttle throttle =
		IO__CONTAINERD__CGROUPS__V1__THROTTLE__INIT;
	Io__Containerd__Cgroups__V1__MemoryStat memory =
		IO__CONTAINERD__CGROUPS__V1__MEMORY_STAT__INIT;
	Io__Containerd__Cgroups__V1__MemoryEntry usage =
		IO__CONTAINERD__CGROUPS__V1__MEMORY_ENTRY__INIT;
	Io__Containerd__Cgroups__V1__BlkIOStat blkio =
		IO__CONTAINERD__CGROUPS__V1__BLK_IOSTAT__INIT;

	pids.current = known(s->pids);
	usage.usage = known(s->memory);
	usage.limit = known(s->memory_limit);
	cpu.usage = &time;
	cpu.throttling = &throttle;
	memory.usage = &usage;
	m.pids = &pids;
	m.cpu = &cpu;
	m.memory = &memory;
	m.blkio = &blkio;
	return pack(&m.base, ret, ret_type);
}

static int pack_v2(const struct runtime_stats *s, struct buf *ret, const char **ret_type)
{
	Io__Containerd__Cgroups__V2__Metrics m = IO__CONTAINERD__CGROUPS__V2__METRICS__INIT;
	Io__Containerd__Cgroups__V2__PidsStat pids = IO__CONTAINERD__CGROUPS__V2__PIDS_STAT__INIT;
	Io__Containerd__Cgroups__V2__CPUStat cpu = IO__CONTAINERD__CGROUPS__V2__CPUSTAT__INIT;
	Io__Containerd__Cgroups__V2__MemoryStat memory =
		IO__CONTAINERD__CGROUPS__V2__MEMORY_STAT__INIT;

	pids.current = known(s->pids);
	memory.usage = known(s->memory);
	memory.usage_limit = known(s->memory_limit);
	m.pids = &pids;
	m.cpu = &cpu;
	m.memory = &memory;
	return pack(&m.base, ret, ret_type);
}

bool metrics_host_is_v2(void)
{
	_cleanup_cgroup_places_ struct cgroup_places own = CGROUP_PLACES_INIT;

	if (cgroup_places_read(0, &own) < 0)
		return true;
	for (size_t i = 0; i < own.n; i++)
		if (!cgroup_place_is_v2(&own.v[i]) && own.v[i].mount &&
			own.v[i].controllers[0] != 'n') /* name=systemd */
			return false;
	return true;
}

int metrics_of_runtime(const struct runtime_stats *stats, bool v2, struct buf *ret,
	const char **ret_type, struct error *err)
{
	int r = v2 ? pack_v2(stats, ret, ret_type) : pack_v1(stats, ret, ret_type);

	if (r < 0)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory for the figures");
	return 0;
}
