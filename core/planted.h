/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bugs that are planted to see whether the simulator finds them.
 *
 * Only code that is compiled with VESTA_PLANTED has them, which nothing that ships is: there PLANTED() is a constant. The
 * tests and the simulator choose one by `vesta_planted`; 0 is none.
 */
#ifndef VESTA_CORE_PLANTED_H
#define VESTA_CORE_PLANTED_H

/* name, what is wrong */
#define PLANTED_BUGS(X)                                                                       \
  X(ORDER_NEEDED_ONE, "an operation is stable when one node has it")                          \
  X(ORDER_QUORUM_OF_ANOTHER_RING, "the quorum of another ring is acted on")                   \
  X(ORDER_GHOST_COUNTED, "a member that never spoke counts for the majority")                 \
  X(ORDER_OLD_VIEW, "operations that were sent in a view before are taken in")                \
  X(ORDER_PROPOSALS_TWICE, "proposals are not de-duplicated")                                 \
  X(ORDER_LENGTH_ONLY, "histories of the same length are taken for the same")                 \
  X(ORDER_NO_PROMISE, "a promised term is not remembered")                                    \
  X(ORDER_SHORTEST_SOURCE, "the source is the one with the lowest id, whatever it has")       \
  X(ORDER_LEASE_OF_ONE, "a lease is renewed when a beat is heard by its sender alone")        \
  X(ORDER_LEASE_NOT_TOLD, "leases that others have heard of are not asked for in a new view") \
  X(ACKNOWLEDGED_EARLY, "a change is acknowledged before all replicas have prepared it")      \
  X(PUBLISHED_EARLY, "a replica commits and publishes what its primary has not committed")    \
  X(PREPARED_DROPPED, "what is prepared is dropped at a restart")                             \
  X(REFUSED_EARLY, "an error is answered before all replicas have dropped the operation")     \
  X(SHRUNK_EARLY, "the set in sync shrinks before that is stable")                            \
  X(ELECTED_OUT_OF_SYNC, "a replica that is not in sync becomes primary")                     \
  X(POSITION_BEYOND_EPOCH, "a position beyond the end of its epoch is taken for the past")    \
  X(READ_AFTER_LEASE, "a read is served after the lease")                                     \
  X(OLD_EPOCH_ACCEPTED, "messages of an earlier epoch are taken")                             \
  X(DONE_TWICE, "a request that comes again is done again")                                   \
  X(CANDIDATE_AWAITED, "a candidate that does not confirm is waited for")                     \
  X(EPOCHS_ALIKE, "halves that both go on count epochs alike")

enum planted_bug {
  PLANTED_NONE = 0,
#define PLANTED_ENUM(name, text) PLANTED_##name,
  PLANTED_BUGS(PLANTED_ENUM)
#undef PLANTED_ENUM
      PLANTED_END
};

#ifdef VESTA_PLANTED
extern unsigned vesta_planted;
#define PLANTED(bug) (vesta_planted == PLANTED_##bug)
#else
#define PLANTED(bug) 0
#endif

#endif
