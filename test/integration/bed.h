/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What tests of a real shim stand on: a private folder with a bundle in it, a shim started as every
 * client starts one, a blocking client on its socket, and a teardown that ends all of it in order
 * and fails the test when anything is left: a process, a mount, a cgroup, a folder, a socket.
 *
 * The runtime is a real one, runc, crun or runsc after RUNTIME in the environment (runc without it),
 * or the scripted one (test/fault/fake_runtime.c), whose script may be changed at any time. All run
 * the multi-tool as /bin/tool. "runc" in names of tests and functions stands for the real one. Where
 * RUNTIME is another than runc, only tests with "(runc)" in their names run: those over the scripted
 * one have been run over it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"
#include "common/pidref.h"
#include "common/ttrpc_client.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "monitor.pb-c.h"
#include "shim2017.pb-c.h"
#include "task.pb-c.h"

#define TASK	"containerd.task.v2.Task"
#define TASK3	"containerd.task.v3.Task"
#define SHIM	"containerd.v1.services.shim.Shim"
#define MONITOR "cleat.shim.v1.Monitor"
#define EMPTY	(&google__protobuf__empty__descriptor)

#define CALL_MS 30000 /* no call of a test takes longer, whatever it waits for */

struct bed {
	bool fake;	 /* the runtime is the scripted one */
	char *fake_kind; /* which it is taken for; NULL: runc, whose ways it has */
	char *dir, *root, *bundle, *script, *runtime_root;
	char *fake_path; /* the scripted runtime: a link in dir, with its script beside it */
	char *real_path; /* a script that is the real one, with the options that it needs here */
	char *command;	 /* in place of the real runtime; the bed frees it; NULL: that itself */
	char *out;	 /* the init's stdout: a file's URI */
	char *id;
	char *socket;
	char *sink; /* where the shim forwards events to, if it does; nobody listens there yet */
	bool forwards;
	struct ttrpc_client *client;
	struct pidref shim;
	uint32_t deadline_ms; /* of runtime calls; 0: the default */
	bool run;	      /* Create is to start it, too */
	bool runsc;	      /* the runtime is runsc */
	char *checkpoint;     /* Create is to restore from it; NULL: a new container */
};

/* The real runtime: runc, crun or runsc. */
const char *bed_runtime(void);
/* Skips the test, by the runtime's name, if that is it: it has no such thing by its nature. */
void bed_lacks(const struct bed *bed, const char *runtime, const char *words);

/* A string of malloc's. */
char *bed_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Fails the test where something of the bed is left. */
void bed_check_leftovers(const struct bed *bed);
/* The shim's log, for whoever looks why a test failed. */
void bed_print_log(const struct bed *bed);

/* For cmocka. The bed is *state; its id is on the whole machine its own. */
int bed_setup_fake(void **state);
int bed_setup_runc(void **state);
/* *state is NULL where there is no runsc. */
int bed_setup_runsc(void **state);
/* The same, with a shim that forwards its events to bed->sink. */
int bed_setup_forwarding_fake(void **state);
int bed_setup_forwarding_runc(void **state);
int bed_teardown(void **state);

/* Makes bed->bundle; the setup has done so. */
void bed_make_bundle(struct bed *bed);
/* Writes config.json: args is a JSON array. Until then it is ["/bin/tool", "pause"]. */
void bed_config(struct bed *bed, const char *args, bool terminal);
/* Makes text the runtime's script. */
void bed_script(struct bed *bed, const char *text);

/* Starts a shim for the bed's container and connects: fills socket, client and shim. */
void bed_start_shim(struct bed *bed);
/* Another connection; freed by the caller. */
struct ttrpc_client *bed_connect(struct bed *bed);
/* Waits until the shim's process is gone. */
void bed_await_end(struct bed *bed);
/* Whether the shim still answers. */
void bed_assert_alive(struct bed *bed);

/* The Any for Create's options that makes the shim use the bed's runtime; owned by the bed. */
Google__Protobuf__Any *bed_options(
	struct bed *bed, uint8_t room[static 1024], Google__Protobuf__Any *any);

/* A sentence with a number in it, in static storage. */
const char *bed_sentence(const char *fmt, uint32_t n) __attribute__((format(printf, 1, 0)));

/* --- calls: a failed expectation fails the test --- */

/* The answer, which must be a success; freed with bed_free(). */
void *bed_ok(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response);
void bed_free(void *message);
/* For what answers nothing. */
void bed_done(struct bed *bed, const char *service, const char *method, const void *message);
/* The call must fail with code and exactly that sentence, in which "ID" stands for the id. */
void bed_refused(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, int code, const char *sentence);
/* As bed_refused(), but the sentence must begin so. */
void bed_refused_like(struct bed *bed, const char *service, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, int code, const char *beginning);

/* --- the usual ones, by Task --- */

uint32_t bed_create(struct bed *bed, bool terminal);
uint32_t bed_start(struct bed *bed, const char *exec_id);
/* Waits until the init, started with a tool that says so, has written "ready". */
void bed_await_ready(struct bed *bed);
/* Waits until that is in what the init has written. */
void bed_await_text(struct bed *bed, const char *text);
/* Waits for an exec of 2017, by the name that it has for Task. Its exit status. */
uint32_t bed_wait_pid(struct bed *bed, uint32_t pid);
/* args: a JSON array */
void bed_exec(struct bed *bed, const char *exec_id, const char *args, bool terminal);
void bed_kill(struct bed *bed, const char *exec_id, uint32_t signal);
uint32_t bed_wait(struct bed *bed, const char *exec_id); /* its exit status */
uint32_t bed_delete(struct bed *bed, const char *exec_id);
Containerd__V1__Types__Status bed_status(struct bed *bed, const char *exec_id);
/* Kills, waits for and deletes the init. */
void bed_finish(struct bed *bed);

/* A process object as JSON in static storage. */
const char *bed_spec(const char *args, bool terminal);

/* --- events --- */

uint32_t bed_subscribe(struct bed *bed, uint64_t since);
/* The next event; its topic must be that. Its message is put into *ret if ret is not NULL. */
void bed_expect_event(struct bed *bed, uint32_t stream, const char *topic, void *ret,
	const ProtobufCMessageDescriptor *descriptor);
/* Nothing may come for a moment that is long enough for what has happened already. */
void bed_expect_quiet(struct bed *bed, uint32_t stream);
