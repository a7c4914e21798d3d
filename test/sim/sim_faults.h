/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What goes wrong, and how often. Every likelihood is itself drawn from the seed, so that some runs have one kind of
 * fault in plenty and others none of it.
 *
 * What needs several rare things in a row is hardly ever met that way, so half of the clusters have a *climate*: a few
 * kinds of fault that go together, often, and applications that do what these strike.
 */
#ifndef VESTA_TEST_SIM_FAULTS_H
#define VESTA_TEST_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct sim_world;

/* In a million, of each occasion. */
typedef struct sim_odds {
  uint32_t crash_between;  /* the node dies between two actions */
  uint32_t crash_at_store; /* it dies at a store into a region, within a step */
  uint32_t memory;         /* an allocation of a step, or of a subscriber, fails */
  uint32_t disk;           /* a reservation, a region's creation, an append to the journal fails */
  uint32_t drop_published; /* a published message is lost on the way to one subscriber */
  uint32_t lose_request;   /* of a subscriber */
  uint32_t lose_answer;
  uint32_t withhold; /* the publisher's queue seems too long */
  int64_t delay_ns_max;
  uint32_t queue_max; /* published messages that wait for one subscriber; more are lost */
} sim_odds_t;

#define SIM_FAULT_KINDS_ALONE 9U /* the first ones */
#define SIM_FAULT_KINDS 19U

typedef enum sim_climate {
  SIM_CLIMATE_NONE,   /* whatever was drawn */
  SIM_CLIMATE_FULL,   /* a disk is full now and then, so that what others can do one replica can't */
  SIM_CLIMATE_SPLITS, /* rings form and break, quorum news comes late, members say nothing */
  SIM_CLIMATE_LATE,   /* what one node sends to another comes very late, and nodes stand still */
  SIM_CLIMATE_ALONE,  /* primaries that answer for themselves alone are cut off, die and come back */
  SIM_CLIMATES
} sim_climate_t;

/* Those that strike at a time, one after the other. */
typedef struct sim_faults {
  uint32_t weights[SIM_FAULT_KINDS];
  uint32_t weight_sum; /* 0: none */
  int64_t pause_ns_max;
  int64_t due_ns;
  int64_t full_until_ns; /* the disk */
  bool of_disk;          /* it is full at times, or fails */
} sim_faults_t;

/** What kind of run it is, by its seed. */
sim_climate_t sim_climate_of(uint64_t seed);
/** Draw what this run will suffer. */
void sim_faults_draw(struct sim_world *world);
/** They cease. */
void sim_faults_cease(struct sim_world *world);
/** The next one strikes. */
void sim_faults_strike(struct sim_world *world);

#endif
