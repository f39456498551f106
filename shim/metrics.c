/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of a cgroup as bytes to send. Never keeps them: each call reads anew. Subtle: reading
 * these files blocks on nothing but the kernel's own locks, so the loop may do it.
 */
#include "shim/metrics.h"

#include "common/cleanup.h"
#include "shim/metrics_reader.h"
#include "shim/metrics_v1.h"
#include "shim/metrics_v2.h"

static int encode(const ProtobufCMessage *m, struct buf *ret)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *room = buf_reserve(ret, n);

	if (!room)
		return -1;
	buf_commit(ret, protobuf_c_message_pack(m, room));
	return 0;
}

int metrics_read(const struct cgroup_folders *folders, struct buf *ret, const char **ret_type,
	struct error *err)
{
	_cleanup_(metrics_reader_deinit) struct metrics_reader r;
	const ProtobufCMessage *m = NULL;

	metrics_reader_init(&r);
	/* containerd's clients know this sentence */
	if (!cgroup_folders_are_there(folders))
		return error_set(err, CODE_NOT_FOUND, "cgroup does not exist: not found");
	if (folders->v2 >= 0)
		m = (const ProtobufCMessage *)metrics_v2(&r, folders);
	else
		m = (const ProtobufCMessage *)metrics_v1(&r, folders);
	if (!m || r.no_memory || encode(m, ret) < 0)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory for the figures");
	*ret_type = m->descriptor->name;
	return 0;
}
