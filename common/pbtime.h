/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Moments as protobuf's Timestamp, both ways. */

#include "common/clock.h"
#include "google/protobuf/timestamp.pb-c.h"

/* Fills *t, which the caller owns, and returns it; NULL for "none" (0), as an unset field is. */
Google__Protobuf__Timestamp *pbtime_set(Google__Protobuf__Timestamp *t, moment m);

/* 0 for NULL, and for what no moment can hold. */
moment pbtime_get(const Google__Protobuf__Timestamp *t);
