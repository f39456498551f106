/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The churn itself: keeps CHURN_CLIENTS clients at work over CHURN_SLOTS containers of a real
 * runtime, kills one of them every now and then, and at the end holds model, shims, ledgers and
 * events against each other, and what the oldest shims hold against what they held at first.
 *
 * Environment: CHURN_SECONDS (20), CHURN_SEED (by the clock). What fails is told by its container's
 * id; CHURN_KEEP leaves the folder, with the shims' logs, as it was then.
 */
#include "test/soak/churn.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/run.h"

#define SETTLE_MS   20000
#define GROWTH_KB   64 /* holes between what stays, and what the ring keeps */
#define KILL_MIN_MS 100
#define KILL_MAX_MS 1000

struct size {
	uint32_t life;
	pid_t shim;
	unsigned n_fds, private_kb;
};

/* --- what a shim holds --- */

static unsigned count_fds(pid_t pid)
{
	_cleanup_free_ char *path = bed_format("/proc/%d/fd", (int)pid);
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	return n;
}

static unsigned private_kb(pid_t pid)
{
	_cleanup_free_ char *path = bed_format("/proc/%d/smaps_rollup", (int)pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[256];
	unsigned kb = 0, n;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Private_%*[A-Za-z]: %u", &n) == 1)
			kb += n;
	return kb;
}

/* With nobody connected but us. */
static void take_size(struct churn *churn, const struct slot *slot, struct size *ret)
{
	struct life *life = &churn->lives[slot->life];
	_cleanup_error_ struct error err = ERROR_INIT;
	const int64_t end = clock_monotonic_ms() + SETTLE_MS;
	struct ttrpc_client *client;
	Cleat__Shim__V1__InfoResponse *info;
	uint32_t n_connections;

	if (ttrpc_client_connect(life->socket, NULL, &client, &err) != 0)
		fail_msg("%s: %s", life->id, error_message(&err));
	do { /* what was closed by others is closed there a moment later; the watcher stays */
		info = churn_info(churn, client, &err);
		assert_non_null(info);
		n_connections = info->connections;
		ret->life = slot->life;
		ret->shim = (pid_t)info->shim_pid;
		bed_free(info);
	} while (n_connections > 2 && clock_monotonic_ms() < end);
	ret->n_fds = count_fds(ret->shim);
	ret->private_kb = private_kb(ret->shim);
	ttrpc_client_free(client);
}

static void check_size(struct churn *churn, const struct slot *slot, const struct size *first)
{
	struct size now;

	take_size(churn, slot, &now);
	assert_int_equal(now.shim, first->shim);
	print_message("# %s: %u then %u descriptors, %u then %u kB private, after %u execs\n",
		churn->lives[slot->life].id, first->n_fds, now.n_fds, first->private_kb,
		now.private_kb, churn->lives[slot->life].n_execs);
	if (now.n_fds != first->n_fds)
		churn_fail(churn, "a shim has %u descriptors, had %u", now.n_fds, first->n_fds);
	if (now.private_kb > first->private_kb + GROWTH_KB)
		churn_fail(churn, "a shim has %u kB of its own, had %u", now.private_kb,
			first->private_kb);
}

/* --- making it --- */

static void make_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void make_bundles(struct churn *churn)
{
	static const char *const args[CHURN_BUNDLES] = {
		"[\"/bin/tool\",\"trap\",\"TERM\",\"7\"]",
		"[\"/bin/tool\",\"trap\",\"TERM\",\"255\"]",
		"[\"/bin/tool\",\"ignore-term\"]",
		"[\"/bin/tool\",\"pause\"]",
	};

	for (size_t i = 0; i < CHURN_BUNDLES; i++) {
		struct bed bed = *churn->bed;

		churn->bundles[i] = bed_format("%s/b%zu", bed.dir, i);
		bed.bundle = churn->bundles[i];
		bed_make_bundle(&bed);
		bed_config(&bed, args[i], false);
	}
}

static struct churn *churn_new(struct bed *bed)
{
	struct churn *churn = mmap(NULL, sizeof(*churn), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(churn != MAP_FAILED);
	churn->bed = bed;
	churn->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(churn->wake >= 0);
	make_bundles(churn);
	for (size_t i = 0; i < CHURN_SLOTS; i++)
		make_lock(&churn->slots[i].lock);
	return churn;
}

/* --- running it --- */

static pid_t fork_one(struct churn *churn, unsigned seed)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (seed == 0)
		churn_watch(churn);
	churn_client(churn, seed);
}

static void begin_all(struct churn *churn)
{
	for (size_t i = 0; i < CHURN_SLOTS && !churn->failed; i++) {
		assert_true(slot_try_lock(&churn->slots[i]));
		life_begin(churn, &churn->slots[i]);
		slot_unlock(&churn->slots[i]);
	}
}

/* 1 if it was killed, as it may be only where that is said. */
static unsigned check_end(int status, const char *who, bool was_killed)
{
	if (was_killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return 1;
	if (status != 0)
		fail_msg("%s ended with status 0x%x", who, status);
	return 0;
}

static unsigned reap(pid_t pid, const char *who, bool was_killed)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return check_end(status, who, was_killed);
}

/* Lets them end what they are at. A Start that met a Pause waits for the Resume, which is ours now. */
static void reap_all(struct churn *churn, pid_t clients[CHURN_CLIENTS])
{
	size_t n_left = CHURN_CLIENTS;
	int status;

	while (n_left > 0) {
		for (size_t i = 0; i < CHURN_SLOTS; i++)
			life_resume(churn, &churn->slots[i]);
		for (size_t i = 0; i < CHURN_CLIENTS; i++) {
			if (!clients[i] || waitpid(clients[i], &status, WNOHANG) != clients[i])
				continue;
			check_end(status, "a client", false);
			clients[i] = 0;
			n_left--;
		}
		poll(NULL, 0, 20);
	}
}

/* Kills one client after another, and starts another in its place. How many were killed. */
static unsigned run(struct churn *churn, unsigned seed, int64_t seconds)
{
	const int64_t end = clock_monotonic_ms() + seconds * 1000;
	pid_t clients[CHURN_CLIENTS];
	unsigned n_killed = 0, random = seed, n = seed;

	for (size_t i = 0; i < CHURN_CLIENTS; i++)
		clients[i] = fork_one(churn, ++n);
	while (clock_monotonic_ms() < end && !churn->stop) {
		size_t i = (size_t)rand_r(&random) % CHURN_CLIENTS;

		poll(NULL, 0, KILL_MIN_MS + rand_r(&random) % (KILL_MAX_MS - KILL_MIN_MS));
		kill(clients[i], SIGKILL);
		n_killed += reap(clients[i], "a client", true);
		clients[i] = fork_one(churn, ++n);
	}
	churn->stop = true;
	reap_all(churn, clients);
	return n_killed;
}

/* Clients at work, and then every process brought to its end. */
static unsigned round_of(struct churn *churn, unsigned seed, int64_t seconds)
{
	unsigned n_killed = churn->failed ? 0 : run(churn, seed, seconds);

	for (size_t i = 0; i < CHURN_SLOTS && !churn->failed; i++)
		churn_settle(churn, &churn->slots[i]);
	churn->stop = churn->failed;
	return n_killed;
}

/* --- the end --- */

static void check_told(struct churn *churn, const struct life *life)
{
	const uint32_t all = LIFE_FOLLOWED | LIFE_TOLD_EXIT | LIFE_TOLD_DELETED | LIFE_TOLD_END;

	/* one that nobody followed was never in use, or its maker was killed in making it */
	if (!(life->told & LIFE_FOLLOWED))
		return;
	if ((life->told & all) != all && !(life->told == (LIFE_FOLLOWED | LIFE_TOLD_END)))
		churn_fail(churn, "%s: its events are %x at the end", life->id, life->told);
	for (uint32_t e = 0; e < CHURN_EXECS; e++) {
		const uint32_t flags = life->execs[e];

		churn->n_checked += flags != 0;
		if ((flags & EXEC_ADDED && !(flags & TOLD_ADDED)) ||
			(flags & EXEC_STARTED && !(flags & TOLD_STARTED)) ||
			(flags & TOLD_STARTED && !(flags & TOLD_EXIT)) ||
			(flags & EXEC_DELETED && !(flags & TOLD_DELETED)) ||
			(flags & TOLD_ADDED && !(flags & EXEC_ADD_TRIED)) ||
			(flags & TOLD_STARTED && !(flags & EXEC_START_TRIED)))
			churn_fail(churn, "%s e%u: done and told are 0x%x", life->id, e, flags);
	}
}

static bool all_told(const struct churn *churn)
{
	for (uint32_t n = 1; n <= churn->n_lives; n++) {
		const uint32_t told = churn->lives[n].told;

		if (told & LIFE_FOLLOWED && !(told & LIFE_TOLD_END))
			return false;
	}
	return true;
}

static void end_all(struct churn *churn)
{
	for (size_t i = 0; i < CHURN_SLOTS; i++) {
		assert_true(slot_try_lock(&churn->slots[i]));
		life_end(churn, &churn->slots[i]);
		slot_unlock(&churn->slots[i]);
	}
}

/* After a failure, as a user would. */
static void remove_all(struct churn *churn)
{
	for (uint32_t n = 1; n <= churn->n_lives; n++) {
		_cleanup_(run_result_deinit) struct run_result run = RUN_RESULT_INIT;
		char *argv[] = { (char *)"cleat", (char *)"--root", churn->bed->root,
			(char *)"delete", (char *)"--force", churn->lives[n].id, NULL };
		const struct run_options options = {
			.argv = argv, .out_limit = 4096, .err_limit = 4096, .deadline_ms = SETTLE_MS
		};

		if (churn->lives[n].phase != LIFE_GONE)
			run_program(&options, &run);
	}
}

static void check_failed(struct churn *churn)
{
	if (!churn->failed)
		return;
	print_error("# %s\n", churn->why);
	if (getenv("CHURN_KEEP"))
		_exit(1);
	remove_all(churn);
	fail_msg("%s", churn->why);
}

static void free_churn(struct churn *churn)
{
	close(churn->wake);
	for (size_t i = 0; i < CHURN_BUNDLES; i++)
		free(churn->bundles[i]);
	munmap(churn, sizeof(*churn));
}

static int64_t number_from(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

static void test_clients_and_their_kills(void **state)
{
	struct churn *churn = churn_new(*state);
	const int64_t seconds = number_from("CHURN_SECONDS", 20);
	const unsigned seed = (unsigned)number_from("CHURN_SEED", clock_now() % 1000000 + 1);
	/* by then a shim has had all that makes it grow once */
	const int64_t first = seconds / 4 < 30 ? seconds / 2 : seconds / 4;
	struct size sizes[CHURN_STEADY];
	unsigned n_killed;
	pid_t watcher = fork_one(churn, 0);

	print_message("# seed %u\n", seed);
	begin_all(churn);
	n_killed = round_of(churn, seed, first);
	for (size_t i = 0; i < CHURN_STEADY && !churn->failed; i++)
		take_size(churn, &churn->slots[i], &sizes[i]);
	n_killed += round_of(churn, seed + 1000, seconds - first);
	for (size_t i = 0; i < CHURN_STEADY && !churn->failed; i++)
		check_size(churn, &churn->slots[i], &sizes[i]);
	if (!churn->failed)
		end_all(churn);
	for (int64_t end = clock_monotonic_ms() + SETTLE_MS;
		!churn->failed && !all_told(churn) && clock_monotonic_ms() < end;)
		poll(NULL, 0, 10);
	kill(watcher, SIGKILL);
	reap(watcher, "the watcher", true);
	for (uint32_t n = 1; n <= churn->n_lives && !churn->failed; n++)
		check_told(churn, &churn->lives[n]);
	print_message("# %d clients over %d containers, %u in all, for %lld s: %llu calls, "
		      "%llu refused, %llu events, %u clients killed; %llu ends compared\n",
		CHURN_CLIENTS, CHURN_SLOTS, churn->n_lives, (long long)seconds,
		(unsigned long long)churn->n_calls, (unsigned long long)churn->n_refused,
		(unsigned long long)churn->n_events, n_killed,
		(unsigned long long)churn->n_checked);
	check_failed(churn);
	assert_true(n_killed > 0 && churn->n_checked > 100);
	free_churn(churn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_clients_and_their_kills, bed_setup_runc, bed_teardown),
	};

	return cmocka_run_group_tests_name("churn", tests, NULL, NULL);
}
