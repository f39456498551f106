/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls of the echo service through the client, for its tests. A header, since each test is one
 * program of one file.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/ttrpc_client.h"
#include "test/unit/ttrpc_echo.h"
#include "ttrpc.pb-c.h"

static inline int call(struct ttrpc_client *client, const char *method, const char *key,
	const char *value, int64_t timeout_ms, Ttrpc__KeyValue **ret, struct error *err)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = method,
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.timeout_ms = timeout_ms,
	};

	m.key = (char *)key;
	m.value = (char *)value;
	return ttrpc_client_call(client, &request, (ProtobufCMessage **)ret, err);
}

static inline void assert_echo(struct ttrpc_client *client, const char *value)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;

	if (call(client, "Echo", "k", value, 10000, &answer, &err) != 0)
		fail_msg("%s", error_message(&err));
	assert_string_equal(answer->key, "k");
	assert_string_equal(answer->value, value);
	ttrpc__key_value__free_unpacked(answer, NULL);
}

static inline void assert_fails(int code, int expected, const struct error *err, const char *part)
{
	assert_int_equal(code, expected);
	assert_int_equal(err->code, expected);
	if (!strstr(error_message(err), part))
		fail_msg("\"%s\" is not in \"%s\"", part, error_message(err));
}

static inline uint32_t stream(struct ttrpc_client *client, const char *method, const char *key,
	const char *value, int64_t timeout_ms)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = method,
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.timeout_ms = timeout_ms,
	};
	uint32_t id = 0;

	m.key = (char *)key;
	m.value = (char *)value;
	if (ttrpc_client_stream(client, &request, &id, &err) != 0)
		fail_msg("%s", error_message(&err));
	return id;
}

static inline void assert_next(struct ttrpc_client *client, uint32_t id, const char *key)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *message = NULL;

	if (ttrpc_client_next(client, id, 10000, &message, &err) != 0)
		fail_msg("%s", error_message(&err));
	if (!key) {
		assert_null(message);
		return;
	}
	assert_non_null(message);
	assert_string_equal(((Ttrpc__KeyValue *)message)->key, key);
	protobuf_c_message_free_unpacked(message, NULL);
}
