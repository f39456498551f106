/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The seventeen calls of Task, to a box's shim, and their answers as text. */

#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

#include "common/ttrpc_client.h"
#include "task.pb-c.h"
#include "test/conformance/box.h"

enum task_call {
	CALL_STATE,
	CALL_CREATE,
	CALL_START,
	CALL_DELETE,
	CALL_PIDS,
	CALL_PAUSE,
	CALL_RESUME,
	CALL_CHECKPOINT,
	CALL_KILL,
	CALL_EXEC,
	CALL_RESIZE_PTY,
	CALL_CLOSE_IO,
	CALL_UPDATE,
	CALL_WAIT,
	CALL_STATS,
	CALL_CONNECT,
	CALL_SHUTDOWN,
	_CALL_MAX,
};

/* Zero is the usual: about the box's own container, and its exec where who says so. */
struct ask {
	enum task_call call;
	enum who who;
	const char *id, *exec_id; /* others than the usual ones */
	uint32_t signal;	  /* of Kill; 0: SIGKILL, UINT32_MAX: none, which is 0 */
	bool all;
	bool no_streams; /* Create, Exec */
	const char *log; /* the same: where output goes, instead of the FIFOs */
	const char *bundle;
	const char *json; /* Exec: the process; Update: the resources */
};

struct answer {
	struct box *box;
	bool done;
	int code;
	char *words; /* of a failure, with names that change from run to run replaced */
	ProtobufCMessage *message;
	struct ttrpc_pending *pending;
};

#define _cleanup_answer_ __attribute__((cleanup(answer_deinit)))
/* Gives up on a call that was not answered. */
void answer_deinit(struct answer *a);

const char *call_name(enum task_call call);

/* Begins a call; *a is filled as the loop turns, and must stay where it is. */
void ask_begin(struct box *box, const struct ask *ask, struct answer *a);
/* Waits for an answer that was begun; false when none came in time. */
bool ask_await(struct box *box, struct answer *a, int64_t timeout_ms);
/* Both. The code; DEADLINE_EXCEEDED where none came. */
int ask(struct box *box, const struct ask *ask, struct answer *a);
/* The same for calls whose answer does not matter. */
int ask_for(struct box *box, enum task_call call, enum who who);

/* "OK" and the answer's fields, or the code and the words. */
void answer_print(struct box *box, const struct answer *a, FILE *f);
/* A process's status in a word, or the code's name. */
const char *ask_status(struct box *box, enum who who);
