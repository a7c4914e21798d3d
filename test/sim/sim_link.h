/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages on their way: encoded, in order, each with the time of its arrival. And a link of an agent: two such ways
 * and what each side knows of its end.
 */
#ifndef VESTA_TEST_SIM_LINK_H
#define VESTA_TEST_SIM_LINK_H

#include "core/wire.h"

typedef struct sim_packet {
  struct sim_packet *next;
  int64_t at_ns;
  int tag, error; /* its sender's */
  vesta_bytes_t head, payload;
  uint8_t bytes[];
} sim_packet_t;

typedef struct sim_pipe {
  sim_packet_t *first, *last;
  uint32_t count;
  int64_t last_ns; /* nothing overtakes */
} sim_pipe_t;

/** Both parts are copied. */
sim_packet_t *sim_packet_new(vesta_bytes_t head, vesta_bytes_t payload);
/** A message is encoded; its fields must be within their bounds. */
sim_packet_t *sim_packet_encode(const wire_message_t *message, vesta_bytes_t payload);

/** Arrives at at_ns, or when the one before it does if that is later. */
void sim_pipe_put(sim_pipe_t *pipe, sim_packet_t *packet, int64_t at_ns);
/** The first one, if it has arrived; the caller frees it. NULL: none. */
sim_packet_t *sim_pipe_take(sim_pipe_t *pipe, int64_t now_ns);
/** When the first one arrives; INT64_MAX: none is under way. */
int64_t sim_pipe_due_ns(const sim_pipe_t *pipe);
void sim_pipe_clear(sim_pipe_t *pipe);
/** Only the first so many still arrive. */
void sim_pipe_cut(sim_pipe_t *pipe, uint32_t keep);

/* An agent's link. It ends for each side on its own: what was sent before the end still arrives. */
typedef struct sim_link {
  struct sim_link *next;
  uint64_t number;
  uint32_t agent; /* its process, by index */
  uint32_t node;  /* by index */
  uint32_t pid;   /* which process that was when it was made */
  uint64_t start;
  bool watched;
  bool callbacks;                          /* a callback link */
  sim_pipe_t up, down;                     /* to the node, to the agent */
  bool agent_closed;                       /* the node hears of it after what is in `up` */
  bool node_closed;                        /* the agent hears of it after what is in `down` */
  int64_t agent_closed_ns, node_closed_ns; /* when the other side may notice, at the earliest */
} sim_link_t;

/** When something reaches the node on it, its end included; INT64_MAX: never. */
int64_t sim_link_up_due_ns(const sim_link_t *link);
/** The same for the agent. */
int64_t sim_link_down_due_ns(const sim_link_t *link);

#endif
