/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* containerd.v1.services.shim.Shim: the shim service of 2017, keyed by pid. */

struct shim;

/* Adds the service to shim->server. 0 or -errno. */
int service_shim_register(struct shim *shim);
