/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A subscriber: the receiver of notify/subscriber.h, the sockets around it, and a consumer that builds a table of what
 * it is handed and knows what it must be.
 *
 * Rules it checks:
 *   STREAM-ORDER   a live change is the next one of the committed history; only LOST and a whole resync may jump
 *   STREAM-STATE   at RESYNC_END and SYNCED the table is the state as of that position; no change is of a section that
 *                  the consumer does not have
 *   STREAM-GONE    GONE comes only when the checkpoint, or the right to read it, is gone
 */
#ifndef VESTA_TEST_SIM_SUBSCRIBER_H
#define VESTA_TEST_SIM_SUBSCRIBER_H

#include "notify/publisher.h"
#include "notify/subscriber.h"
#include "test/sim/sim_link.h"
#include "test/sim/sim_table.h"

struct sim_world;
struct sim_node;
struct sim_agent;
struct sim_handle;
struct sim_history;

typedef enum sim_stream_mode {
  SIM_STREAM_BEGINNING, /* nothing was handed out yet */
  SIM_STREAM_FOLLOWING, /* everything up to `position` */
  SIM_STREAM_LOST,      /* a resync must follow */
  SIM_STREAM_RESYNC,    /* between BEGIN and END */
  SIM_STREAM_OVER,
} sim_stream_mode_t;

typedef struct sim_subscriber {
  struct sim_agent *agent; /* NULL: unused */
  struct sim_handle *handle;
  struct sim_world *world;
  struct sim_history *history;
  subscriber_t *subscriber;
  bool renew_wanted, renew_asked; /* a new token, and new sockets */
  /* the SUB socket and the DEALER */
  bool connected;     /* the node knows the subscription */
  int64_t connect_ns; /* when it will; INT64_MAX: not */
  sim_pipe_t published, questions, answers;
  /* the consumer */
  int64_t due_ns;
  int64_t pause_ns_max; /* 0: takes everything at once */
  uint32_t takes_max;
  sim_stream_mode_t mode;
  vesta_pos_t position; /* of the last whole operation */
  uint32_t index;       /* of the next change of the operation behind it */
  bool has_table;       /* it began with a state, so the table is whole */
  sim_table_t table;
  bool has_staged;
  sim_table_t staged; /* during a resync */
  bool synced;        /* SYNCED was handed out and no LOST since */
} sim_subscriber_t;

/** A STREAM request was answered: subscribe. */
void sim_subscriber_begin(struct sim_agent *agent, struct sim_handle *handle, const wire_message_t *reply);
/** A STREAM request for one that had fallen silent was answered. */
void sim_subscriber_renew(sim_subscriber_t *subscriber, const wire_message_t *reply);
void sim_subscriber_end(sim_subscriber_t *subscriber);

int64_t sim_subscriber_due_ns(const sim_subscriber_t *subscriber);
/** Whatever is due: what arrived goes in, changes come out, questions are asked. */
void sim_subscriber_turn(sim_subscriber_t *subscriber);

/** A node publishes: whoever subscribed there to that topic gets it, unless it is lost. */
void sim_subscribers_publish(struct sim_node *node, const uint8_t topic[NOTIFY_TOPIC_BYTES], vesta_bytes_t head,
                             vesta_bytes_t payload);
/** Its connection breaks; the socket makes it anew by itself. */
void sim_subscriber_disconnect(sim_subscriber_t *subscriber, bool node_lives);

/** Is it in step: synced, at the last position, with the very same state? */
bool sim_subscriber_in_step(const sim_subscriber_t *subscriber);

#endif
