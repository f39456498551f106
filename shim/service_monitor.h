/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cleat.shim.v1.Monitor: Info, Subscribe and ExitRecords, over the core. */

struct shim;

/* Adds the service to shim->server. 0 or -errno. */
int service_monitor_register(struct shim *shim);
