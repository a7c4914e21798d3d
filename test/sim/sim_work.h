/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What applications ask for, and what they make of the answers.
 */
#ifndef VESTA_TEST_SIM_WORK_H
#define VESTA_TEST_SIM_WORK_H

#include "core/order.h"
#include "test/sim/sim_agent.h"
#include "test/sim/sim_network.h"

#define SIM_NAMES 5U
#define SIM_VERSION_MAX 3U /* minor versions of the protocol; nobody has to speak less than 1 */

/* One name that applications use, always with the same attributes. */
typedef struct sim_name {
  char text[8];
  vesta_attributes_t attributes;
  uint32_t ids; /* so many different section ids are used */
  bool of_pair; /* who opens it joins its group */
  bool fenced;  /* its members ask for a fence */
} sim_name_t;

typedef struct sim_plan {
  sim_name_t names[SIM_NAMES];
  int64_t pause_ns_max; /* between two turns of an application */
  uint32_t burst_max;   /* requests of one turn */
  uint32_t handles_per_name;
  bool hangs; /* members of groups say and do nothing, often, and for long */
  /* of a cluster */
  order_policy_t policy;
  uint32_t version_min, version_max[SIM_NODES_MAX];
  uint32_t replicas;
  int64_t session_grace_ns;
} sim_plan_t;

/** Draw what applications do in this run. */
void sim_plan_draw(struct sim_world *world);

/** One turn of an application that is up. */
void sim_work(sim_agent_t *agent);
/** A request was answered. */
void sim_work_answered(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply,
                       vesta_bytes_t payload);

/** The name's text. */
vesta_bytes_t sim_name_text(const sim_name_t *name);

/* ---- sim_change.c ---- */

/** Ask for a change of some sections. */
void sim_change_ask(sim_agent_t *agent, sim_handle_t *handle);
void sim_change_answered(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply);
/** An id of those that are used, likely one of a section that is there: lives until the next call. */
vesta_bytes_t sim_change_id(struct sim_world *world, const sim_handle_t *handle);

/* ---- sim_member.c ---- */

/** Whatever a member has to do now. */
void sim_member_turn(sim_agent_t *agent, sim_handle_t *handle);
/** JOIN, CONFIRM, RESIGN or LEAVE was answered. */
void sim_member_answered(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply);
/** What keeps the groups from being at rest; NULL: nothing does. */
const char *sim_member_restless(struct sim_world *world);
/** An EPOCH operation came in its stream. */
void sim_member_epoch(sim_agent_t *agent, sim_handle_t *handle, vesta_pos_t position, uint64_t member);

#endif
