/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Protobuf messages as JSON, by the names of their fields. */

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "google/protobuf/any.pb-c.h"

/*
 * An object with every field of the message by its proto name, unset ones as well. Timestamps
 * become RFC 3339 strings, messages that are not there null, enums their names,
 * numbers past 2^63 (the largest one stands for "no limit") null. NULL without
 * memory.
 */
json_t *proto_json(const ProtobufCMessage *m);

/*
 * The content of an Any whose type is one of types (which ends with NULL). NULL if it is of
 * another type or broken.
 */
json_t *proto_json_any(
	const Google__Protobuf__Any *any, const ProtobufCMessageDescriptor *const *types);
