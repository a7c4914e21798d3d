/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vestad is around the node director: it takes events to the node and carries out its actions, one by one, with a
 * crash possible between any two of them. What dies with it is in here; what does not is in sim_disk_t.
 */
#ifndef VESTA_TEST_SIM_NODE_H
#define VESTA_TEST_SIM_NODE_H

#include "core/node.h"
#include "core/order.h"
#include "notify/publisher.h"
#include "test/sim/sim_disk.h"
#include "test/sim/sim_group.h"
#include "test/sim/sim_link.h"

struct sim_world;
struct sim_subscriber;

#define SIM_WATCHES_MAX 256U

/* A process that the node wants to know the death of. */
typedef struct sim_watch {
  vesta_token_t session; /* none: free */
  uint32_t pid;
  uint64_t start;
  int64_t gone_ns; /* when its death is noticed; INT64_MAX: it lives */
} sim_watch_t;

/* What was done on a node between then is no more: its half was given up (sim_side.h). */
typedef struct sim_given_up {
  int64_t from_ns, to_ns;
} sim_given_up_t;

#define SIM_GIVEN_UP_MAX 16U

typedef struct sim_node {
  struct sim_world *world;
  uint32_t id;
  struct sim_side *side; /* what is known of the cluster that it is in */
  sim_disk_t disk;
  node_t *node; /* NULL: not running */
  publisher_t *publisher;
  stream_server_t *server;
  wire_decoder_t *decoder;
  wire_decoder_t *emitted; /* for what it publishes */
  int64_t start_ns;        /* when it is started again */
  int64_t rewrite_ns;      /* when the journal is written anew */
  sim_pipe_t queue;        /* ordered, or refused, and not given to the node yet */
  sim_watch_t watches[SIM_WATCHES_MAX];
  uint32_t stores_left; /* until it dies; 0: it does not */
  /* about the step that was made last, for the oracle */
  bool memory_failed, disk_failed;
  uint64_t crashes;
  bool swept; /* what an earlier life has left is gone */
  /* of a cluster */
  uint64_t incarnations;
  int64_t held_until_ns; /* stopped as by SIGSTOP */
  int64_t went_on_ns;    /* when it was not any more, or started */
  int64_t join_ns;       /* when it joins the group; INT64_MAX: it is in it, or not up */
  int64_t busy_ns;       /* when what the group did not take is tried again; INT64_MAX: there is none */
  sim_pipe_t outbox;     /* to the group */
  bool removes;          /* it says now that a checkpoint is gone */
  bool falls_out;        /* the journal failed in this turn */
  bool journal_broken;   /* a row could not be appended: it is written anew before it joins again */
  order_ring_t quorate;  /* its quorum service said so of that ring last, and nothing else since */
  uint32_t known_dead;   /* it was told so of these, and has not seen them since: a mask of places */
  bool blank;            /* it has lost its files, and was in no activated view since */
  int64_t usable_ns;     /* when it was in a usable view last */
  int64_t trouble_ns;    /* when it was down, stopped, or in no usable view last */
  struct sim_side *left; /* the half that it has given up, until that is in its journal */
  bool alone;            /* two that trust: it has gone on by itself, and was not in a view with the other since */
  sim_given_up_t given_up[SIM_GIVEN_UP_MAX]; /* the last times that its half was */
  uint32_t given_up_count;                   /* of all */
  uint64_t fetched;                          /* times that it has taken the state of the other, in this life */
  int64_t wiped_ns;
  int64_t away_long_ns; /* when it was back from a time without that was longer than the grace */
} sim_node_t;

void sim_node_init(sim_node_t *node, struct sim_world *world, uint32_t id);
void sim_node_fini(sim_node_t *node);

/** It dies, now. */
void sim_node_crash(sim_node_t *node, const char *why);

/** When it has something to do by itself; INT64_MAX: not at all. */
int64_t sim_node_due_ns(const sim_node_t *node);
void sim_node_time(sim_node_t *node);

/** Its machine is switched off and on again: its processes and its files are gone. */
void sim_node_wipe(sim_node_t *node);
/** It is stopped; what starts with its files is a program that speaks the next minor version of the protocol as well. */
void sim_node_upgrade(sim_node_t *node);
/** It is stopped for a while, as by SIGSTOP; it goes on. */
void sim_node_hold(sim_node_t *node, int64_t until_ns);
void sim_node_go_on(sim_node_t *node);

/** What arrives in a cluster. */
void sim_node_group_event(sim_node_t *node, const sim_group_event_t *event);
void sim_node_peer(sim_node_t *node, uint32_t from, const sim_packet_t *packet);
void sim_node_peer_up(sim_node_t *node, uint32_t peer);
void sim_node_fenced(sim_node_t *node, uint32_t peer);
/** Is it fit to be in the group? */
bool sim_node_may_join(sim_node_t *node);

/** What arrives. */
void sim_node_request(sim_node_t *node, const sim_link_t *link, const sim_packet_t *packet);
void sim_node_link_gone(sim_node_t *node, uint64_t link);
void sim_node_process_died(sim_node_t *node, uint32_t pid, uint64_t start);
/** At the stream's sockets: a subscription begins or ends; a question, whose answer is put into `answer`. */
void sim_node_subscription(sim_node_t *node, vesta_bytes_t message);
sim_packet_t *sim_node_question(sim_node_t *node, const sim_packet_t *packet);

#endif
