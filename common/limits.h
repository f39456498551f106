/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every bound on what a peer, a file or a runtime can make us hold (design, section 10). Each has
 * a test at the bound, one above, and far above it.
 */

#define LIMIT_FRAME_DATA	(4u << 20) /* bytes of data in one ttrpc frame */
#define LIMIT_FRAME_FDS		4u	   /* descriptors taken with one frame */
#define LIMIT_BOOTSTRAP		(4u << 20) /* bytes on the stdin of `start`; a Create repeats them */
#define LIMIT_CONNECTIONS	128u	   /* clients of one shim */
#define LIMIT_STREAMS		4096u	   /* open calls of one connection */
#define LIMIT_QUEUED_REPLIES	(8u << 20)  /* bytes waiting to be read by one client */
#define LIMIT_PROCESSES		4096u	    /* execs of one container, with its init */
#define LIMIT_MOUNTS		512u	    /* mounts of one rootfs */
#define LIMIT_ID		76u	    /* bytes of an id or namespace */
#define LIMIT_PID_VALUE		(1 << 22)   /* no pid is above: the kernel's PID_MAX_LIMIT */
#define LIMIT_RUNTIME_STDERR	(64u << 10) /* bytes kept of what a runtime prints as errors */
#define LIMIT_RUNTIME_JSON	(16u << 20) /* bytes of a runtime's answer */
#define LIMIT_RUNTIME_EVENT	(1u << 20)  /* bytes of one line of a runtime's events */
#define LIMIT_RUNTIME_ROWS	65536u	    /* lines of a runtime's table of processes */
#define LIMIT_RESOURCES_JSON	(1u << 20)  /* bytes of an update's document */
#define LIMIT_ANNOTATIONS	(64u << 10) /* bytes of what updates annotate a container with */
#define LIMIT_RUNTIMES_JSON	(1u << 20)  /* bytes of runtimes.json */
#define LIMIT_OPTIONS_JSON	(1u << 20)  /* bytes of options.json in a bundle */
#define LIMIT_CONFIG_JSON	(4u << 20)  /* bytes of a bundle's config.json */
#define LIMIT_STATE_JSON	(4u << 20)  /* bytes of a state file of ours */
#define LIMIT_RING_EVENTS	4096u /* events kept for subscribers that are slow in reading them */
#define LIMIT_RING_BYTES	(256u << 10)
#define LIMIT_HUB_EVENTS	16384u /* the same of a supervisor, of all its shims */
#define LIMIT_HUB_BYTES		(8u << 20)
#define LIMIT_HUB_EVENT		(1u << 20) /* bytes of one event: few push out the others */
#define LIMIT_FILTER		4096u	   /* bytes of one filter, */
#define LIMIT_FILTERS		64u	   /* filters of one subscriber, */
#define LIMIT_FILTER_CONDITIONS 256u	   /* and in all of them together: conditions, */
#define LIMIT_FILTER_STATES	512u	   /* states of regular expressions */
#define LIMIT_FILTER_VALUE	4096u /* bytes of a value that a regular expression is held against */
#define LIMIT_LOGGER_PAIRS	256u	    /* arguments of a logging program, with a value each */
#define LIMIT_LOG_PART		(16u << 10) /* bytes of a line in one record of a formatted log, */
#define LIMIT_LOG_FILES		1000u	    /* files of one, with those it was rotated to, */
#define LIMIT_LOG_SIZE_MIN	4096u	    /* bytes of one of them, at the least */
#define LIMIT_EXEC_LOG_URI	300u	    /* bytes of an exec's log's URI that a state file has */
#define LIMIT_LEDGER		(256u << 10) /* bytes of an exit ledger before it is rewritten */
#define LIMIT_CLEATD_JSON	(1u << 20)   /* bytes of cleatd.json */

/* Processes that run, or whose exit containerd has not taken: one more is not started. */
#define LIMIT_OWED_EXITS 8192u

/*
 * Events that are kept though everyone has read them, for who comes later or comes back. Enough for
 * a client that connects again, and few enough for a busy container to have filled it with its
 * first hundred execs (four events each): what a shim holds then it holds for the rest of its life.
 * Exits are in the ledger all the same.
 */
#define RING_TAIL_EVENTS 256u
#define RING_TAIL_BYTES	 (32u << 10)

/* The same of a supervisor: two events of each of a thousand containers. */
#define HUB_TAIL_EVENTS 2048u
#define HUB_TAIL_BYTES	(512u << 10)

#define SUPERVISOR_CONNECTIONS 1024u /* clients of cleatd, where its configuration does not say */
#define SHIM_ANSWER_MS	       50u /* a shim that has not answered by then is shown from its files */
#define RUNTIME_DEADLINE_MS    60000u /* a runtime call without a deadline of its own */
#define DRAIN_DEADLINE_MS      10000u /* a Delete waits this long for the streams' last byte */
#define CONSOLE_DEADLINE_MS    10000u /* a runtime that has ended owes us a terminal this long */
#define LOGGER_READY_MS	       30000u /* a logging program says that it is ready in this time */
#define LOGGER_TERM_MS	       12000u /* between its SIGTERM and KILL, as containerd has it */
#define LOGGER_RETRY_MS	       100u /* one that died is started again after that; doubled each time */
#define LOGGER_RETRY_MAX_MS    5000u
#define LOGGER_TRIES	       8u     /* in a row, none of which lived long: then it is given up */
#define LOGGER_STEADY_MS       10000u /* long */
#define KILL_PATIENCE_MS       5000u /* a child killed at its deadline is left to itself after that */
#define MOUNT_DEADLINE_MS      30000u /* a child that mounts or unmounts */
#define MOUNT_BUSY_MS	       2000u  /* a mount in use is waited for before it is detached */
#define IDLE_AFTER_DELETE_MS   10000u
#define IDLE_WITHOUT_CREATE_MS 60000u
#define STOP_GRACE_MS	       10000u /* between the stop signal and KILL when a shim is told to end */
#define FORWARD_DEADLINE_MS    30000u /* containerd has an event this long before it is sent again */
#define FORWARD_RETRY_MS       100u /* the first wait after one could not be sent; doubled each time */
#define FORWARD_RETRY_MAX_MS   5000u
