/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A model of group communication and quorum as corosync does them: CPG and votequorum.
 *
 * Each node has an engine; processes join the group through theirs. Engines that can reach each other form a *ring*, which
 * puts messages into one order; every engine delivers what it has received, in that order, to its process.
 *
 *     process --multicast--> outbox --ring's order--> entries --received, in order--> queue --> process
 *
 * What makes it worth while is how it behaves when a ring breaks:
 *
 *   - each engine has received another part of the last entries. Those that go on to the next ring together give each
 *     other what they have, and deliver the same before the new view; who goes elsewhere delivers more, or less;
 *   - where none of them has an entry they go on behind the hole, with what is from one of them: two parts of a ring can
 *     have different messages at the same place;
 *   - what was not ordered yet may be delivered early, before the new view, among those that go on together; or in the
 *     new ring;
 *   - an engine may form a ring of its own for a moment, a view that nobody else sees; rings may follow each other fast;
 *   - quorum news has a way of its own: before or after the view it belongs to; quorum may be lost and come back within
 *     a ring (votes are set, a qdevice is away);
 *   - multicast is refused at times;
 *   - processes that join or leave make a new view in the same ring. A process that crashed and is back has the same node
 *     id. One that never says anything is a member all the same;
 *   - a stopped process gets its events later.
 *
 * Virtual time comes from outside. Every choice is drawn from the random numbers given.
 */
#ifndef VESTA_TEST_SIM_GROUP_H
#define VESTA_TEST_SIM_GROUP_H

#include <stddef.h>

#include "test/sim/sim_random.h"

#define SIM_GROUP_NODES_MAX 8U

typedef struct sim_group sim_group_t;

typedef struct sim_group_config {
  uint32_t nodes;        /* their ids are 1 to nodes */
  bool half_is_quorate;  /* as with two_node; otherwise a majority is needed */
  int64_t delay_ns_max;  /* of a message */
  int64_t detect_ns_max; /* until a change of the network makes a new ring */
  int64_t news_ns_max;   /* of quorum news and of views */
  uint32_t busy;         /* a multicast is refused, in a million */
  uint32_t alone;        /* a new ring begins with a view that one node alone sees, in a million */
  uint32_t flicker;      /* quorum is lost for a moment some time after it was told, in a million */
  uint32_t early;        /* what is not ordered yet is delivered before the new view, in a million */
} sim_group_config_t;

typedef enum sim_group_kind { SIM_GROUP_VIEW, SIM_GROUP_QUORUM, SIM_GROUP_MESSAGE } sim_group_kind_t;

typedef struct sim_group_event {
  sim_group_kind_t kind;
  uint32_t node; /* whose process is told */
  uint64_t ring_seq;
  uint32_t ring_node;
  uint32_t members[SIM_GROUP_NODES_MAX]; /* VIEW: ascending */
  uint32_t count;
  bool quorate; /* QUORUM */
  uint32_t expected;
  uint32_t from; /* MESSAGE */
  const uint8_t *bytes;
  size_t size;
} sim_group_event_t;

/** `random` is borrowed. All engines run, all reach each other, nobody has joined. */
sim_group_t *sim_group_new(const sim_group_config_t *config, sim_random_t *random, int64_t now_ns);
void sim_group_destroy(sim_group_t **group);

/** A process of that node joins. It had left, or never joined. */
void sim_group_join(sim_group_t *group, uint32_t node, int64_t now_ns);
/** It leaves, or dies: it gets nothing any more; what it had multicast may still go out. */
void sim_group_leave(sim_group_t *group, uint32_t node, int64_t now_ns);
bool sim_group_joined(const sim_group_t *group, uint32_t node);
/** @return false: not now */
bool sim_group_multicast(sim_group_t *group, uint32_t node, const void *bytes, size_t size, int64_t now_ns);

/** The engine, or the machine, is off or on. Off: its process must have left. */
void sim_group_power(sim_group_t *group, uint32_t node, bool on, int64_t now_ns);
/** Nodes of the same side reach each other; sides[0] is node 1's. */
void sim_group_sides(sim_group_t *group, const uint8_t *sides, int64_t now_ns);
bool sim_group_reach(const sim_group_t *group, uint32_t a, uint32_t b);
/** A ring breaks and forms again although nothing has changed. */
void sim_group_flap(sim_group_t *group, int64_t now_ns);
/** The process takes no events for a while. */
void sim_group_hold(sim_group_t *group, uint32_t node, bool held);
/** Nothing odd happens from now on: short delays, no refusals. */
void sim_group_calm(sim_group_t *group);

/** When something is to be done next; INT64_MAX: never. */
int64_t sim_group_wake_ns(const sim_group_t *group);
/** The next event that is due. Its bytes live until the next call. @return false: none is */
bool sim_group_take(sim_group_t *group, int64_t now_ns, sim_group_event_t *event);

#endif
