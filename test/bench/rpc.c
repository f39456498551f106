/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rpc SOCKET ID ROUNDS`: p50 of a unary call (Task.State) on a shim's socket, and of a bare round
 * trip of as many bytes over a Unix socket between two processes, in turns; in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/ttrpc_client.h"
#include "task.pb-c.h"

#define ECHO_BYTES 64

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void echo(int fd)
{
	char bytes[ECHO_BYTES];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		if (write(fd, bytes, (size_t)n) != n)
			break;
	_exit(0);
}

static int call(struct ttrpc_client *client, char *id)
{
	Containerd__Task__V2__StateRequest message = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = "containerd.task.v2.Task",
		.method = "State",
		.message = &message.base,
		.response = &containerd__task__v2__state_response__descriptor,
	};
	struct error err = ERROR_INIT;
	ProtobufCMessage *answer = NULL;

	message.id = id;
	if (ttrpc_client_call(client, &request, &answer, &err) != 0) {
		fprintf(stderr, "rpc: %s\n", error_message(&err));
		return -1;
	}
	protobuf_c_message_free_unpacked(answer, NULL);
	return 0;
}

static int bounce(int fd)
{
	char bytes[ECHO_BYTES] = { 0 };

	return write(fd, bytes, sizeof(bytes)) == ECHO_BYTES &&
			       read(fd, bytes, sizeof(bytes)) == ECHO_BYTES
		       ? 0
		       : -1;
}

int main(int argc, char **argv)
{
	int rounds = argc == 4 ? atoi(argv[3]) : 0, pair[2];
	double *calls = calloc((size_t)rounds + 1, sizeof(double));
	double *bounces = calloc((size_t)rounds + 1, sizeof(double));
	struct ttrpc_client *client = NULL;
	struct error err = ERROR_INIT;

	if (rounds < 1 || !calls || !bounces || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return 2;
	if (fork() == 0) {
		close(pair[0]);
		echo(pair[1]);
	}
	close(pair[1]);
	if (ttrpc_client_connect(argv[1], NULL, &client, &err) != 0) {
		fprintf(stderr, "rpc: %s\n", error_message(&err));
		return 1;
	}
	for (int i = 0; i < rounds; i++) {
		double at = now_us();

		if (call(client, argv[2]) < 0)
			return 1;
		calls[i] = now_us() - at;
		at = now_us();
		if (bounce(pair[0]) < 0)
			return 1;
		bounces[i] = now_us() - at;
	}
	qsort(calls, (size_t)rounds, sizeof(double), by_size);
	qsort(bounces, (size_t)rounds, sizeof(double), by_size);
	printf("%.2f %.2f\n", calls[rounds / 2], bounces[rounds / 2]);
	ttrpc_client_free(client);
	close(pair[0]);
	wait(NULL);
	free(calls);
	free(bounces);
	return 0;
}
