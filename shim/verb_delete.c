/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `delete`: removes a container whose shim is dead and prints the DeleteResponse, as containerd
 * asks it. The exit is the ledger's, or 255 where nobody can know it.
 */
#include "shim/verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/ids.h"
#include "common/orphan.h"
#include "task.pb-c.h"

#define NS 1000000000

static int print_response(bool found, const struct exit_entry *e)
{
	Containerd__Task__V2__DeleteResponse response = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	_cleanup_free_ uint8_t *data = NULL;
	size_t n;

	response.exit_status = 255;
	if (found) {
		response.pid = (uint32_t)e->pid;
		response.exit_status = e->known ? e->status : 255;
		at.seconds = e->exited_at / NS;
		at.nanos = (int32_t)(e->exited_at % NS);
		response.exited_at = &at;
	}
	n = containerd__task__v2__delete_response__get_packed_size(&response);
	data = malloc(n ? n : 1);
	if (!data)
		return 1;
	containerd__task__v2__delete_response__pack(&response, data);
	return fwrite(data, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : 1;
}

static int delete (const struct verb_options *o, const char *root, bool *ret_found,
	struct exit_entry *ret, struct error *err)
{
	_cleanup_(state_dir_close) struct state_dir dir = STATE_DIR_INIT;
	int r = id_check(o->ns, "namespace", err);

	if (r == 0)
		r = id_check(o->id, "container id", err);
	if (r == 0)
		r = state_dir_open(root, o->ns, o->id, &dir, err);
	if (r == 0)
		r = orphan_exit(&dir, ret_found, ret, err);
	if (r == 0)
		r = orphan_delete(&dir, true, err);
	return r;
}

int verb_delete(const struct verb_options *o)
{
	_cleanup_free_ char *root = o->root ? NULL : state_default_root();
	_cleanup_error_ struct error err = ERROR_INIT;
	struct exit_entry e = { 0 };
	bool found = false;
	int status = 1;

	if (!o->root && !root)
		error_set(&err, CODE_FAILED_PRECONDITION,
			"-root is not given, and XDG_RUNTIME_DIR is not set");
	else if (delete (o, o->root ? o->root : root, &found, &e, &err) == 0)
		status = print_response(found, &e);
	if (err.code != CODE_OK)
		fprintf(stderr, "cleat-shim: %s\n", error_message(&err));
	exit_entry_deinit(&e);
	return status;
}
