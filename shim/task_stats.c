/* SPDX-License-Identifier: Apache-2.0 */
/* Stats as Task tells them. Reads the cgroup itself; the runtime is not asked. */
#include "shim/task_stats.h"

#include "shim/metrics.h"
#include "task.pb-c.h"

int task_stats_reply(struct ttrpc_call *call, const struct container *c, struct error *err)
{
	Containerd__Task__V2__StatsResponse response = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_buf_ struct buf metrics = BUF_INIT;
	const char *type;
	int r = metrics_read(&c->cgroup.folders, &metrics, &type, err);

	if (r != 0)
		return r;
	any.type_url = (char *)type;
	any.value.data = buf_head(&metrics);
	any.value.len = metrics.len;
	response.stats = &any;
	ttrpc_call_reply(call, &response.base);
	return 0;
}
