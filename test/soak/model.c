/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true, and the calls by which it is found out. An exec's fate is its number's, so that
 * a client that was killed needs no heir; only the end of its container may come before it.
 */
#include "test/soak/churn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

struct fate churn_exec_fate(uint32_t exec)
{
	static const uint32_t signals[] = { SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGALRM, 34, 64 };
	const uint32_t n = exec / _FATE_MAX;

	switch (exec % _FATE_MAX) {
	case FATE_EXITS:
		return (struct fate){ FATE_EXITS, 0, n % 256 };
	case FATE_KILLED: {
		const uint32_t signal = signals[n % (sizeof(signals) / sizeof(*signals))];

		return (struct fate){ FATE_KILLED, signal, 128 + signal };
	}
	case FATE_SHOT:
		return (struct fate){ FATE_SHOT, SIGKILL, 128 + SIGKILL };
	case FATE_CLOSED:
		return (struct fate){ FATE_CLOSED, 0, 0 };
	default:
		return (struct fate){ FATE_HUNG_UP, SIGUSR2, 128 + SIGUSR2 };
	}
}

struct fate churn_init_fate(uint32_t life)
{
	static const struct fate fates[CHURN_BUNDLES] = {
		{ FATE_KILLED, SIGTERM, 7 },
		{ FATE_KILLED, SIGTERM, 255 },
		{ FATE_KILLED, SIGKILL, 128 + SIGKILL },
		{ FATE_SHOT, SIGKILL, 128 + SIGKILL },
	};

	return fates[life % CHURN_BUNDLES];
}

bool churn_may_end(const struct life *life, uint32_t exec, uint32_t status)
{
	/* what does not end before its init is killed with it, by the kernel */
	return status == churn_exec_fate(exec).status ||
	       (status == 128 + SIGKILL && life->phase >= LIFE_ENDING);
}

uint32_t churn_exec_number(const char *exec_id)
{
	char *end;
	unsigned long n;

	if (exec_id[0] != 'e' || exec_id[1] < '0' || exec_id[1] > '9')
		return UINT32_MAX;
	n = strtoul(exec_id + 1, &end, 10);
	return *end || n >= CHURN_EXECS ? UINT32_MAX : (uint32_t)n;
}

void churn_fail(struct churn *churn, const char *fmt, ...)
{
	va_list ap;

	if (atomic_exchange(&churn->failed, true))
		return;
	va_start(ap, fmt);
	vsnprintf(churn->why, sizeof(churn->why), fmt, ap);
	va_end(ap);
	churn->stop = true;
}

int churn_call(struct churn *churn, struct ttrpc_client *client, const char *service,
	const char *method, const void *message, const ProtobufCMessageDescriptor *response,
	void *ret, int64_t timeout_ms, struct error *err)
{
	const struct ttrpc_request request = {
		.service = service,
		.method = method,
		.message = message,
		.response = response,
		.timeout_ms = timeout_ms,
	};
	ProtobufCMessage *m = NULL;
	int r = ttrpc_client_call(client, &request, &m, err);

	churn->n_calls++;
	churn->n_refused += r != 0;
	if (r == CODE_DEADLINE_EXCEEDED && strcmp(method, "Wait") != 0)
		churn_fail(churn, "%s was not answered in time: %s", method, error_message(err));
	if (r == 0 && ret)
		*(ProtobufCMessage **)ret = m;
	else
		bed_free(m);
	return r;
}

int churn_kill(struct churn *churn, struct ttrpc_client *client, const struct life *life,
	const char *exec_id, uint32_t signal, bool all, struct error *err)
{
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;

	r.id = (char *)life->id;
	r.exec_id = (char *)exec_id;
	r.signal = signal;
	r.all = all;
	return churn_call(churn, client, TASK, "Kill", &r, EMPTY, NULL, CHURN_CALL_MS, err);
}

int churn_wait(struct churn *churn, struct ttrpc_client *client, const struct life *life,
	const char *exec_id, int64_t timeout_ms, uint32_t *ret_status, struct error *err)
{
	Containerd__Task__V2__WaitRequest r = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	Containerd__Task__V2__WaitResponse *ok = NULL;
	int code;

	r.id = (char *)life->id;
	r.exec_id = (char *)exec_id;
	code = churn_call(churn, client, TASK3, "Wait", &r,
		&containerd__task__v2__wait_response__descriptor, &ok, timeout_ms, err);
	if (code == 0) {
		*ret_status = ok->exit_status;
		bed_free(ok);
	}
	return code;
}

Cleat__Shim__V1__InfoResponse *churn_info(
	struct churn *churn, struct ttrpc_client *client, struct error *err)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *ok = NULL;

	churn_call(churn, client, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor,
		&ok, CHURN_CALL_MS, err);
	return ok;
}
