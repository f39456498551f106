/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The promise of protobuf's strings, which protobuf-c does not look at: they are valid UTF-8. And they
 * are without NUL, at which a C string would end before the sender's does, and equal another.
 */

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/*
 * Whether every string of a message of that type is, at any depth. What is in bytes (an Any's value) is
 * not looked into. data: n bytes that protobuf_c_message_unpack() has taken; false for what it would not.
 */
bool pbtext_is_valid(const ProtobufCMessageDescriptor *type, const void *data, size_t n);
