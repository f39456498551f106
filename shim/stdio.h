/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The standard streams of one process: what its stdin, stdout and stderr are (design, section 7),
 * and the copying between them and the ends that the client named. Knows nothing of processes:
 * the owner tells when the runtime has been started, when the process has ended, when the time to
 * drain is over.
 *
 * Needs a process that ignores SIGPIPE and SIGXFSZ (a reader that left, a file size limit).
 *
 * URIs, for each stream alone:
 *   ""               /dev/null
 *   fd:N             the Nth descriptor that came with the call. Without a terminal it is handed to
 *                    the runtime as it is (nothing is copied or counted); with one it is copied
 *   /path            a FIFO. After the last byte our writing end is closed, so that its reader sees
 *                    the end; what is in it stays until stdio_free(), for a reader that has it open
 *                    or opens it with O_NONBLOCK (a plain open waits for a writer)
 *   file:///path     output only: appended; made if missing, with its folders. A write that fails
 *                    (disk full) costs those bytes, told by counters and log, never a wait: the
 *                    next bytes are tried anew. ?direct=1 hands the file itself to the process
 *   binary:///path?k=v, binary-v2://
 *                    output only: a program that reads it (stdio_logger.h). One for both where stderr
 *                    has the same URI as stdout, or (as with containerd) none; else one each
 *   cri:///path?max-size=N&max-files=N, json:///path?...
 *                    output only: records of Kubernetes' or docker's format (log_split.h), rotated at
 *                    max-size (bytes, k, m, g; none or 0: never), with max-files files in all (5). One
 *                    file for both where stderr has the same URI as stdout. Written by a thread
 *                    (stdio_log.h); what cannot be written is lost and told, as with file://
 * With a terminal stderr is not looked at: the terminal is one stream.
 *
 * Errors name stream and URI: CODE_NOT_FOUND (no such FIFO or program), CODE_UNIMPLEMENTED (a scheme that we
 * do not have), CODE_INVALID_ARGUMENT (anything else that cannot be meant).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct event_base;
struct loggers;
struct stdio;
struct stdio_logs;

struct stdio_spec {
	const char *in, *out, *err; /* NULL is "" */
	bool terminal;
	/*
	 * Descriptors sent with the call: not consumed (duplicated or reopened), and their flags
	 * never change: what they stand for is shared with the sender.
	 */
	const int *fds;
	size_t n_fds;
	unsigned io_uid, io_gid; /* who owns the pipes that the process gets; 0: as they are */
	struct loggers *loggers; /* NULL: there are none, CODE_UNIMPLEMENTED */
	struct stdio_logs *logs; /* NULL: there are none, CODE_UNIMPLEMENTED */
	const char *id;		 /* what a logger gets as CONTAINER_ID */
};

/*
 * Bytes read from each stream's source and written to its sink, where they pass through us. Of a
 * logger's without a terminal only those that it did not get: they are in _in.
 */
struct stdio_counters {
	uint64_t in_in, in_out, out_in, out_out, err_in, err_out;
};

/*
 * Opens everything and makes the pipes; nothing is copied before stdio_begin(). spec is not kept.
 * 0, or a code; then nothing is left.
 */
int stdio_open(struct event_base *base, const struct stdio_spec *spec, struct stdio **ret,
	struct error *err);

/*
 * What the runtime is to have as 0, 1, 2: -1 where /dev/null is meant, which with a terminal is
 * all three. Still owned by s, valid until stdio_begin().
 */
void stdio_child_fds(const struct stdio *s, int ret[3]);

/*
 * For a runtime that changes the flags of what it is given: a caller's pipes are opened anew for the
 * child, so that the caller's stay as they are. One that cannot be opened (a FIFO that nobody reads,
 * say) goes as it is.
 */
void stdio_reopen_pipes(struct stdio *s);

/*
 * Starts the loggers. done is called once, from the loop or before this returns: with CODE_OK when all
 * are ready, or have none to be; or with why one is not, and then the others are being ended. Each has
 * patience_ms. To be called before the runtime is run.
 */
void stdio_start_loggers(struct stdio *s, uint32_t patience_ms,
	void (*done)(const struct error *err, void *userdata), void *userdata);

/* There will be no process: loggers see the end of what it has not written. */
void stdio_launch_failed(struct stdio *s);

/*
 * The runtime has been forked with them: closes our copies of the process's ends and starts
 * copying. With a terminal there is nothing to do yet: 0. Called once.
 */
int stdio_begin(struct stdio *s, struct error *err);

/*
 * The terminal's master has come (consumed in any case): applies a size given earlier, starts
 * copying. May come after stdio_exited(). Called once.
 */
int stdio_attach_console(struct stdio *s, int master_take, struct error *err);

/*
 * Sets the terminal's size in characters; before the console is there it is kept for it, after
 * its end it is ignored. CODE_FAILED_PRECONDITION without a terminal, CODE_INVALID_ARGUMENT for
 * more than 65535.
 */
int stdio_resize(struct stdio *s, unsigned width, unsigned height, struct error *err);

/* The size last given to stdio_resize(); false if none was. */
bool stdio_size(const struct stdio *s, unsigned *ret_width, unsigned *ret_height);

/*
 * The process sees the end of its stdin once everything that is queued now, in the FIFO and in our
 * hands, has been written to it; later bytes are not taken, their writer gets EPIPE. Before
 * stdio_begin() it is remembered ("now" is then the beginning). A terminal's input just stops: a
 * terminal has no end to send. Nothing can be done about an fd:N that the process has itself.
 */
void stdio_close_stdin(struct stdio *s);

/*
 * The process has ended: no more stdin is copied. Output goes on to its end. Must be called for a
 * terminal to ever drain: until then we hold its slave open, so that a process which closes its
 * terminal and opens it again loses nothing.
 */
void stdio_exited(struct stdio *s);

/*
 * Every copied output has seen its end and everything that was read has been written, and every
 * logger has read all of it and has ended. At once true where nothing is copied; false with a terminal whose console never came, and after
 * stdio_abandon() if it was before.
 */
bool stdio_is_drained(const struct stdio *s);

/*
 * Calls cb once when drained: from the loop, never from within this call. cb may free s. One at a
 * time; a NULL cb takes it back. Not called after stdio_abandon().
 */
void stdio_on_drained(struct stdio *s, void (*cb)(void *userdata), void *userdata);

/*
 * Stops all copying, whatever is still to come; writers of what the process left get EPIPE. Loggers are
 * told to end, and may have some seconds for it.
 */
void stdio_abandon(struct stdio *s);

/* Whether that came before it was drained: then it never will be. */
bool stdio_is_cut_off(const struct stdio *s);

void stdio_get_counters(const struct stdio *s, struct stdio_counters *ret);

/*
 * Closes everything, the reading ends of the output FIFOs too. A logger that has not ended is told to,
 * and stays with its loggers until it has. Takes NULL.
 */
void stdio_free(struct stdio *s);
