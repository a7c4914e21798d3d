/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A process that uses a checkpoint library: one session, a calls link, requests in flight. It does what libSaCkpt has
 * to do: when its link ends it connects again, resumes its session, and sends again what was not answered, under the
 * same numbers.
 *
 *   DEAD --born--> AWAY --connect--> GREETING --HELLO answered--> UP --link ends--> AWAY
 *     ^--- killed, from any state
 *
 * Rule LATE, while everything goes wrong around it: what it asks is answered within SIM_LATE_NS_MAX of what its node could
 * act in. That is the time since it was sent, over the link that there is, and since the node was stopped last; for what
 * all nodes have to agree on, since one of them was stopped, away, or in no usable view.
 */
#ifndef VESTA_TEST_SIM_AGENT_H
#define VESTA_TEST_SIM_AGENT_H

#include "core/wire.h"
#include "test/sim/sim_link.h"
#include "test/sim/sim_table.h"

struct sim_world;
struct sim_subscriber;

#define SIM_HANDLES_MAX 6U
/* A node keeps a call for VESTA_CALL_LIMIT_MS until it can begin with it, and waits as long for others then. */
#define SIM_LATE_NS_MAX (2 * (VESTA_CALL_LIMIT_MS + 1000) * INT64_C(1000000))

typedef enum sim_agent_state { SIM_AGENT_DEAD, SIM_AGENT_AWAY, SIM_AGENT_GREETING, SIM_AGENT_UP } sim_agent_state_t;

/* A request that was not answered yet. */
typedef struct sim_request {
  uint64_t number;
  enum wire_kind kind;
  uint32_t handle;           /* place in handles[] */
  uint32_t name;             /* OPEN, UNLINK */
  uint64_t epoch;            /* CONFIRM */
  int64_t asked_ns, sent_ns; /* sent: the last time */
  uint64_t
      floor_seq; /* READ: what it has written itself was acknowledged so far. SYNCHRONIZE: what was committed. CONFIRM: what it
                         * has; UINT64_MAX: not all, it says */
  uint32_t cuts;        /* SYNCHRONIZE: how often the checkpoint had gone back */
  uint32_t wall_jumps;  /* when it was asked */
  bool callback;        /* the answer is to go to the callback link */
  bool resubscribes;    /* STREAM: for a subscriber that is there already */
  sim_packet_t *packet; /* as it was sent, to be sent again */
} sim_request_t;

/* One member of a group, see sim_member.c. */
typedef enum sim_role {
  SIM_ROLE_NONE,
  SIM_ROLE_JOINING,
  SIM_ROLE_STANDBY,
  SIM_ROLE_CANDIDATE,
  SIM_ROLE_ACTIVE
} sim_role_t;

typedef struct sim_member {
  sim_role_t role;
  uint64_t id;
  int64_t joined_ns;
  uint32_t flags;
  uint64_t epoch;        /* of the last grant heard of, whoever got it */
  uint64_t barrier;      /* its seq, if it is ours; 0: not known */
  bool hurries;          /* it has asked for the role, and takes it without everything if need be */
  bool asking;           /* CONFIRM, RESIGN or JOIN is under way */
  bool ask;              /* a resync may have swallowed a grant: it asks, even if it is active */
  int64_t heartbeat_ns;  /* 0: gives no signs of life */
  int64_t mute_until_ns; /* does not confirm, and as active says nothing: hung */
  int64_t due_ns;        /* when to say how far it is, and to ask how things are */
} sim_member_t;

typedef struct sim_iteration {
  bool under_way;
  uint32_t chosen;
  uint64_t cursor, epoch, as_of;
  uint32_t cuts; /* of the history, when it began */
  uint32_t wall_jumps;
  sim_table_t seen;
} sim_iteration_t;

typedef struct sim_handle {
  struct sim_agent *agent;
  bool open;    /* known to be */
  bool closing; /* its end was asked for */
  uint64_t id, checkpoint;
  int64_t opened_ns;
  uint32_t name, flags;
  sim_member_t member;
  sim_iteration_t iteration;
  struct sim_subscriber *subscriber; /* NULL: none */
  bool subscribing;
} sim_handle_t;

typedef struct sim_agent {
  struct sim_world *world;
  uint32_t index;
  uint32_t home; /* its node, by index */
  sim_agent_state_t state;
  uint32_t pid;
  uint64_t start;
  bool watched;
  vesta_token_t token; /* none: no session yet */
  int64_t session_ns;  /* since when */
  uint64_t number_last;
  sim_link_t *link;
  sim_link_t *callbacks;
  bool callbacks_up;
  sim_request_t in_flight[VESTA_SESSION_WINDOW];
  uint32_t in_flight_count, in_flight_max;
  bool finalizing;
  bool confused;         /* one of its handles is another one in the half that goes on: it has to begin anew */
  uint32_t handles_lost; /* opened, and there was no room to note it; or maybe opened */
  sim_handle_t handles[SIM_HANDLES_MAX];
  int64_t due_ns;
  int64_t stopped_until_ns; /* as by SIGSTOP; past: it was */
  int64_t greeted_ns;       /* GREETING: since then */
} sim_agent_t;

void sim_agent_init(sim_agent_t *agent, struct sim_world *world, uint32_t index);
void sim_agent_fini(sim_agent_t *agent);

/** The rule LATE. */
void sim_agent_in_time(const sim_agent_t *agent);
bool sim_agent_stopped(const sim_agent_t *agent);
void sim_agent_wake(sim_agent_t *agent);
void sim_agent_kill(sim_agent_t *agent);

/** What arrives on a link of it. */
void sim_agent_receive(sim_agent_t *agent, sim_link_t *link, const sim_packet_t *packet);
void sim_agent_link_ended(sim_agent_t *agent, sim_link_t *link);

/** May it ask for more now? */
bool sim_agent_may_ask(const sim_agent_t *agent);
/** Send a request; its number is filled in. The rest of the request is the caller's to set. */
sim_request_t *sim_agent_ask(sim_agent_t *agent, wire_message_t *message, vesta_bytes_t payload);
/** Send what is not answered. */
void sim_agent_tell(sim_agent_t *agent, const wire_message_t *message);

/** A handle is no more. */
void sim_handle_end(sim_agent_t *agent, sim_handle_t *handle);

#endif
