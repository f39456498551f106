/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a real shim makes of input that is broken, and of more than it allows (design, section 10):
 * a code and a sentence for whoever sent it, at worst the end of its connection, and nothing for
 * anybody else. Each limit at the bound, one above, and far above.
 * deadline: 300
 */
#include "test/integration/bed.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/limits.h"
#include "test/unit/ttrpc_raw.h"

#define ALIVE "[\"/bin/tool\",\"pause\"]"

/* --- frames --- */

static int raw_connect(struct bed *bed)
{
	struct ttrpc_client *client = bed_connect(bed);
	int fd = fcntl(ttrpc_client_fd(client), F_DUPFD_CLOEXEC, 0);

	/* the socket outlives its client */
	ttrpc_client_free(client);
	assert_true(fd >= 0);
	return fd;
}

/* A request whose payload is as it is. */
static void put_request(struct buf *to, uint32_t stream, const char *service, const char *method,
	const void *payload, size_t n)
{
	Ttrpc__Request r = TTRPC__REQUEST__INIT;
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;

	r.service = (char *)service;
	r.method = (char *)method;
	r.payload.data = (uint8_t *)payload;
	r.payload.len = n;
	size = ttrpc__request__get_packed_size(&r);
	data = malloc(size + 1);
	ttrpc__request__pack(&r, data);
	raw_put(to, (uint32_t)size, stream, TTRPC_REQUEST, TTRPC_REMOTE_CLOSED, data, size);
}

static void put_connect(struct buf *to, uint32_t stream)
{
	put_request(to, stream, TASK, "Connect", "", 0);
}

static void expect_answer(int fd, uint32_t stream, int code, const char *sentence)
{
	struct raw_frame frame;
	Ttrpc__Response *response;

	assert_int_equal(raw_recv(NULL, fd, &frame), RAW_FRAME);
	assert_int_equal(frame.header.type, TTRPC_RESPONSE);
	assert_int_equal(frame.header.stream, stream);
	response = ttrpc__response__unpack(NULL, frame.header.length, frame.data);
	assert_non_null(response);
	assert_int_equal(response->status ? response->status->code : 0, code);
	if (sentence)
		assert_string_equal(response->status->message, sentence);
	ttrpc__response__free_unpacked(response, NULL);
	raw_frame_free(&frame);
}

static void expect_closed(int fd)
{
	struct raw_frame frame;

	assert_int_equal(raw_recv(NULL, fd, &frame), RAW_EOF);
	raw_frame_free(&frame);
}

static void send_buf(int fd, struct buf *b)
{
	assert_true(raw_send_buf(NULL, fd, b));
	*b = BUF_INIT;
}

static void test_not_ttrpc(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\n\r\n";
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);

	assert_true(raw_send(NULL, fd, http, sizeof(http)));
	expect_closed(fd);
	bed_assert_alive(bed);
}

static void test_half_a_frame(void **state)
{
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf b = BUF_INIT;

	put_connect(&b, 1);
	assert_true(raw_send(NULL, fd, buf_head(&b), b.len - 3));
	bed_assert_alive(bed); /* nobody waits for the rest but its sender */
	assert_true(raw_send(NULL, fd, buf_head(&b) + b.len - 3, 3));
	expect_answer(fd, 1, 0, NULL);
	assert_true(raw_send(NULL, fd, buf_head(&b), 12));
	buf_deinit(&b);
	fd_close(&fd);
	bed_assert_alive(bed);
}

static void test_wrong_streams(void **state)
{
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf b = BUF_INIT;

	put_connect(&b, 2);
	put_connect(&b, 7);
	put_connect(&b, 5);
	put_connect(&b, 9);
	send_buf(fd, &b);
	expect_answer(fd, 2, CODE_INVALID_ARGUMENT, NULL);
	expect_answer(fd, 7, 0, NULL);
	expect_answer(fd, 5, CODE_INVALID_ARGUMENT, NULL);
	expect_answer(fd, 9, 0, NULL);
	bed_assert_alive(bed);
}

static void test_unknown(void **state)
{
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf b = BUF_INIT;

	raw_put(&b, 3, 1, 77, 0, "abc", 3); /* a type that nobody knows yet: no answer */
	put_request(&b, 3, "no.such.Service", "Do", "", 0);
	put_request(&b, 5, TASK, "Undo", "", 0);
	put_request(&b, 7, TASK, "State", "\x0f\xff", 2);
	put_request(&b, 9, MONITOR, "Subscribe", "\x0f\xff", 2);
	raw_put(&b, 4, 11, TTRPC_REQUEST, TTRPC_REMOTE_CLOSED, "\xff\xff\xff\xff", 4);
	put_connect(&b, 13);
	send_buf(fd, &b);
	expect_answer(fd, 3, CODE_UNIMPLEMENTED, "service no.such.Service");
	expect_answer(fd, 5, CODE_UNIMPLEMENTED, "method Undo");
	expect_answer(fd, 7, CODE_INVALID_ARGUMENT, NULL);
	expect_answer(fd, 9, CODE_INVALID_ARGUMENT, NULL);
	expect_answer(fd, 11, CODE_INVALID_ARGUMENT, NULL);
	expect_answer(fd, 13, 0, NULL);
	bed_assert_alive(bed);
}

/* A request that fills its frame up to n bytes: an exec spec, which the container then refuses. */
static void put_sized(struct buf *to, uint32_t stream, size_t n)
{
	_cleanup_free_ char *spaces = malloc(n);
	struct buf probe = BUF_INIT;
	size_t around;

	memset(spaces, ' ', n);
	/* unknown fields are passed over: field 15, bytes */
	put_request(&probe, stream, TASK, "Connect", spaces, n - 1024);
	around = probe.len - TTRPC_HEADER - (n - 1024);
	buf_deinit(&probe);
	spaces[0] = 15 << 3 | 2;
	for (size_t i = 0, left = n - around - 5; i < 4; i++, left >>= 7)
		spaces[1 + i] = (char)((left & 127) | (i < 3 ? 128 : 0));
	put_request(to, stream, TASK, "Connect", spaces, n - around);
}

static void test_frame_size(void **state)
{
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf b = BUF_INIT;
	_cleanup_free_ char *far = calloc(1, 16u << 20);

	put_sized(&b, 1, LIMIT_FRAME_DATA);
	assert_int_equal(b.len, LIMIT_FRAME_DATA + TTRPC_HEADER);
	send_buf(fd, &b);
	expect_answer(fd, 1, 0, NULL);
	put_sized(&b, 3, LIMIT_FRAME_DATA + 1);
	assert_int_equal(b.len, LIMIT_FRAME_DATA + 1 + TTRPC_HEADER);
	put_connect(&b, 5);
	send_buf(fd, &b);
	expect_answer(fd, 3, CODE_RESOURCE_EXHAUSTED,
		"stream 3: a frame of 4194305 bytes is over the limit of 4194304");
	expect_answer(fd, 5, 0, NULL); /* what follows is understood */
	raw_put(&b, (16u << 20) - 1, 7, TTRPC_REQUEST, TTRPC_REMOTE_CLOSED, far, (16u << 20) - 1);
	put_connect(&b, 9);
	send_buf(fd, &b);
	expect_answer(fd, 7, CODE_RESOURCE_EXHAUSTED, NULL);
	expect_answer(fd, 9, 0, NULL);
	bed_assert_alive(bed);
}

/* --- connections, streams, descriptors --- */

static bool is_closed(int fd)
{
	struct raw_frame frame;
	struct buf b = BUF_INIT;
	enum raw_result r = RAW_EOF;

	put_connect(&b, 1);
	if (raw_send_buf(NULL, fd, &b))
		r = raw_recv(NULL, fd, &frame);
	if (r == RAW_FRAME)
		raw_frame_free(&frame);
	assert_true(r != RAW_NOTHING);
	return r == RAW_EOF;
}

static void test_connections(void **state)
{
	struct bed *bed = *state;
	int fds[2 * LIMIT_CONNECTIONS];
	size_t n = sizeof(fds) / sizeof(*fds);

	for (size_t i = 0; i < n; i++) {
		fds[i] = raw_connect(bed);
		/* the bed's own is one of them */
		assert_int_equal(is_closed(fds[i]), i + 1 >= LIMIT_CONNECTIONS);
	}
	bed_assert_alive(bed);
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
	/* those that are gone have made room; the shim may see it a moment later */
	for (int tries = 0;; tries++) {
		_cleanup_close_ int fd = raw_connect(bed);

		if (!is_closed(fd))
			break;
		assert_true(tries < 1000);
	}
}

static void put_wait(struct buf *b, const struct bed *bed, uint32_t stream)
{
	Containerd__Task__V2__WaitRequest r = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	uint8_t bytes[256];

	r.id = bed->id;
	put_request(b, stream, TASK, "Wait", bytes,
		containerd__task__v2__wait_request__pack(&r, bytes));
}

/* As many Waits as there may be on one connection: all of them are answered, those above at once. */
static void test_streams(void **state)
{
	const uint32_t n = LIMIT_STREAMS, above = 100;
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf b = BUF_INIT;

	bed_create(bed, false);
	bed_start(bed, "");
	for (uint32_t i = 0; i < n + above; i++)
		put_wait(&b, bed, 2 * i + 1);
	send_buf(fd, &b);
	for (uint32_t i = n; i < n + above; i++)
		expect_answer(fd, 2 * i + 1, CODE_RESOURCE_EXHAUSTED, NULL);
	bed_assert_alive(bed);
	bed_kill(bed, "", SIGKILL);
	for (uint32_t i = 0; i < n; i++)
		expect_answer(fd, 2 * i + 1, 0, NULL);
	put_wait(&b, bed, 2 * (n + above) + 1);
	send_buf(fd, &b);
	expect_answer(fd, 2 * (n + above) + 1, 0, NULL);
	bed_delete(bed, "");
}

static size_t count_fds(const struct bed *bed)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	size_t n = 0;

	if (asprintf(&path, "/proc/%d/fd", bed->shim.pid) < 0)
		abort();
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

/* What came with a frame and was not asked for is closed with its call. */
static void test_descriptors(void **state)
{
	static const size_t n_sent[] = { 1, LIMIT_FRAME_FDS, LIMIT_FRAME_FDS + 1, 64 };
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf first = BUF_INIT;
	int fds[64];
	size_t before;

	put_connect(&first, 1);
	send_buf(fd, &first);
	expect_answer(fd, 1, 0, NULL); /* it was accepted */
	before = count_fds(bed);
	for (size_t i = 0; i < 64; i++)
		fds[i] = STDIN_FILENO;
	for (uint32_t i = 0; i < 4; i++) {
		struct buf b = BUF_INIT;

		put_connect(&b, 2 * i + 3);
		assert_true(raw_send_fds(fd, buf_head(&b), b.len, fds, n_sent[i]));
		buf_deinit(&b);
		expect_answer(fd, 2 * i + 3, 0, NULL);
		/* closed after the answer, not before it */
		for (int tries = 0; count_fds(bed) != before; tries++) {
			assert_true(tries < 2000);
			poll(NULL, 0, 1);
		}
	}
}

/* --- a config.json of every size, and answers as large as that --- */

static void pad_config(struct bed *bed, size_t n)
{
	_cleanup_free_ char *path = NULL, *spaces = malloc(n);
	_cleanup_close_ int fd = -1;
	off_t size;

	bed_config(bed, ALIVE, false);
	if (asprintf(&path, "%s/config.json", bed->bundle) < 0)
		abort();
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	size = lseek(fd, 0, SEEK_END);
	memset(spaces, ' ', n);
	assert_int_equal(fd_write_all(fd, spaces, n - (size_t)size), 0);
}

static size_t spec_size(struct bed *bed)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *ok =
		bed_ok(bed, MONITOR, "Info", &r, &cleat__shim__v1__info_response__descriptor);
	size_t n = ok->spec.len;

	assert_string_equal(ok->status, "created");
	bed_free(ok);
	return n;
}

static void test_config_at_limit(void **state)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	struct bed *bed = *state;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.options = bed_options(bed, room, &any);
	pad_config(bed, LIMIT_CONFIG_JSON + 1);
	bed_refused_like(bed, TASK, "Create", &r,
		&containerd__task__v2__create_task_response__descriptor, CODE_RESOURCE_EXHAUSTED,
		"");
	pad_config(bed, LIMIT_CONFIG_JSON);
	bed_create(bed, false);
	/* it does not fit into a frame with the rest, and the rest is told all the same */
	assert_int_equal(spec_size(bed), 0);
	pad_config(bed, LIMIT_CONFIG_JSON - 8192);
	assert_int_equal(spec_size(bed), LIMIT_CONFIG_JSON - 8192);
	bed_finish(bed);
}

/* A client that asks and does not read is given up; nobody else notices. */
static void test_client_does_not_read(void **state)
{
	struct bed *bed = *state;
	_cleanup_close_ int fd = raw_connect(bed);
	struct buf b = BUF_INIT;
	char sink[65536];
	size_t n = 0;
	ssize_t r;

	pad_config(bed, 3u << 20);
	bed_create(bed, false);
	for (uint32_t i = 0; i < 10; i++)
		put_request(&b, 2 * i + 1, MONITOR, "Info", "", 0);
	send_buf(fd, &b);
	for (int i = 0; i < 20; i++)
		bed_assert_alive(bed);
	while ((r = read(fd, sink, sizeof(sink))) > 0 || (r < 0 && errno == EAGAIN)) {
		n += r > 0 ? (size_t)r : 0;
		if (r < 0)
			raw_turn(NULL, fd, POLLIN);
	}
	/* at most what the queue and the socket hold, and less than was asked for */
	assert_true(n < 10 * (3u << 20));
	bed_finish(bed);
}

/* --- a runtime that talks nonsense --- */

static void pids_refused(struct bed *bed, const char *script, int code, const char *beginning)
{
	Containerd__Task__V2__PidsRequest r = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;

	bed_script(bed, script);
	r.id = bed->id;
	bed_refused_like(bed, TASK, "Pids", &r, &containerd__task__v2__pids_response__descriptor,
		code, beginning);
}

static void test_answers_of_runtime(void **state)
{
	struct bed *bed = *state;

	bed_create(bed, false);
	bed_start(bed, "");
	pids_refused(bed, "ps print hello world\n", CODE_INTERNAL,
		"runc ps: not the JSON that was expected: hello world");
	pids_refused(bed, "ps print {\"a\": 1}\n", CODE_INTERNAL,
		"runc ps: not the JSON that was expected: {\"a\": 1}");
	pids_refused(
		bed, "ps half-json\n", CODE_INTERNAL, "runc ps: not the JSON that was expected: ");
	pids_refused(bed, "ps print\n", CODE_INTERNAL, "runc ps: not the JSON that was expected");
	pids_refused(bed, "ps stdout-noise 100000\n", CODE_INTERNAL,
		"runc ps: not the JSON that was expected: ");
	pids_refused(bed, "ps stdout-noise 40000000\n", CODE_INTERNAL, "runc ps: ");
	pids_refused(bed, "ps fail no such luck\n", CODE_UNKNOWN, "runc ps: no such luck");
	pids_refused(bed, "ps crash\n", CODE_UNKNOWN, "runc ps: ");
	bed_script(bed, "");
	bed_finish(bed);
}

/* What a failing runtime prints is quoted, never all of it, and never its bytes. */
static void test_noise_of_runtime(void **state)
{
	static const char *const scripts[] = { "create stderr-noise 1000\ncreate exit 1\n",
		"create stderr-noise 65536\ncreate exit 1\n",
		"create stderr-noise 65537\ncreate exit 1\n",
		"create stderr-noise 40000000\ncreate exit 1\n",
		"create log-noise 100000\ncreate exit 1\n",
		"create stdout-noise 40000000\ncreate exit 1\n" };
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	struct bed *bed = *state;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = bed->id;
	r.bundle = bed->bundle;
	r.options = bed_options(bed, room, &any);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		_cleanup_error_ struct error err = ERROR_INIT;
		const struct ttrpc_request request = {
			.service = TASK,
			.method = "Create",
			.message = &r.base,
			.response = &containerd__task__v2__create_task_response__descriptor,
			.timeout_ms = CALL_MS,
		};
		ProtobufCMessage *m = NULL;

		bed_script(bed, scripts[i]);
		assert_int_not_equal(ttrpc_client_call(bed->client, &request, &m, &err), 0);
		assert_null(m);
		assert_true(strlen(error_message(&err)) < 5000);
		assert_null(strpbrk(error_message(&err), "\n\t\033"));
		bed_assert_alive(bed);
	}
	bed_script(bed, "");
	bed_create(bed, false);
	bed_finish(bed);
}

int main(void)
{
#define FAKE(name) cmocka_unit_test_setup_teardown(name, bed_setup_fake, bed_teardown)
	static const struct CMUnitTest tests[] = {
		FAKE(test_not_ttrpc),
		FAKE(test_half_a_frame),
		FAKE(test_wrong_streams),
		FAKE(test_unknown),
		FAKE(test_frame_size),
		FAKE(test_connections),
		FAKE(test_streams),
		FAKE(test_descriptors),
		FAKE(test_config_at_limit),
		FAKE(test_client_does_not_read),
		FAKE(test_answers_of_runtime),
		FAKE(test_noise_of_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
