/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a client of the churn is made of: its connections, and its calls about execs. */

#include "test/soak/churn.h"

struct link {
	uint32_t life; /* whose; 0: none */
	struct ttrpc_client *client;
};

struct client {
	struct churn *churn;
	unsigned seed;
	struct link links[CHURN_SLOTS];
	/* of the call that is being made */
	struct slot *slot;
	struct life *life;
	struct link *link;
};

/* Below n. */
uint32_t client_below(struct client *c, uint32_t n);
/* Task v2 or v3. */
const char *client_task(struct client *c);
/* Whether the container may be gone, or going: then it may refuse whatever it likes. */
bool client_is_ending(const struct client *c);
/* A refusal; fine says that it has its reason. The link of a container that ends is dropped. */
void client_refused(struct client *c, bool fine, const char *what, const char *exec_id,
	const struct error *err);

/* One that was given away, the newer the likelier; false where there is none. */
bool client_choose_exec(struct client *c, uint32_t *ret);
void client_add_exec(struct client *c);
void client_start_exec(struct client *c, uint32_t exec);
void client_delete_exec(struct client *c, uint32_t exec);
/* For a moment. */
void client_wait_for(struct client *c, uint32_t exec);
/* Brings about what is laid down for it, if that needs anybody. */
void client_fulfil(struct client *c, uint32_t exec);
void client_resize(struct client *c, uint32_t exec);
void client_state_of(struct client *c, uint32_t exec);
/* Until it has ended as it must: every process of the model can. */
void client_see_it_end(struct client *c, uint32_t exec);
