/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whose turn it is: the requests of subscribers that wait to be answered.
 *
 * A hundred subscribers that come back at once ask for a hundred snapshots. They are let in by turns:
 *
 *   request --ask--> [waiting, by user] --next--> answered --done--> (a walk that goes on keeps its place)
 *
 *   - A walk (SNAPSHOT_GET) needs one of VESTA_STREAM_WALKS_MAX places, which it keeps until its last chunk: few walks at
 *     a time end early, and what ends early has less to catch up with. Who does not ask on for a while loses
 *     the place to who waits, and gets another one when it asks; nothing is lost by that, the cursor is in the request.
 *     Other requests need no place.
 *   - Users have turns, and within a user whoever asked first; so a user with a thousand subscribers and one with a
 *     single one get the same.
 *   - Of everything there is a bound of (waiting requests, places, bytes of answers under way), a user may take as much
 *     as is left free. So one alone may have half, and for another there is always something.
 *   - One request of each sort and subscriber waits: a later one replaces it and keeps its place in the queue. Who has
 *     not repeated its request for VESTA_STREAM_WAIT_MS is gone.
 *
 * Pure. Bytes of answers are counted elsewhere, by share: users have shares, numbers below ANSWER_SHARES, as long as
 * they have anything here. When there are more users than shares some have one in common.
 */
#ifndef VESTA_NOTIFY_ANSWER_TURNS_H
#define VESTA_NOTIFY_ANSWER_TURNS_H

#include "core/error.h"
#include "core/limits.h"
#include "core/types.h"

#define ANSWER_SHARES 64U
#define ANSWER_IDENTITY_BYTES_MAX 255U /* of a ZeroMQ routing id */

typedef struct answer_turns answer_turns_t;

typedef struct answer_request {
  vesta_bytes_t identity; /* whose: 1 to ANSWER_IDENTITY_BYTES_MAX bytes */
  vesta_bytes_t request;
  uint32_t user;
  uint32_t sort; /* not 0: the message's kind */
  bool walk;     /* a SNAPSHOT_GET */
  uint32_t share;
} answer_request_t;

/* Bytes of answers under way: of a share, and of all. */
typedef struct answer_bytes {
  void *context;
  uint64_t (*held)(void *context, uint32_t share);
  uint64_t (*held_all)(void *context);
} answer_bytes_t;

/** @return NULL when out of memory */
answer_turns_t *answer_turns_new(const answer_bytes_t *bytes);
void answer_turns_destroy(answer_turns_t **turns);

/**
 * Take in a request; all of it is copied, `share` is filled in by answer_turns_next().
 * @return OK; NO_RESOURCES when too many wait, of this user or of all; NO_MEMORY
 */
vesta_err_t answer_turns_ask(answer_turns_t *turns, const answer_request_t *request, int64_t steady_ns);

/** The request whose turn it is; it lives until the next call. @return false when none may be answered now */
bool answer_turns_next(answer_turns_t *turns, int64_t steady_ns, answer_request_t *request);

/** That request was answered, or dropped. @param goes_on   it was a walk's, and not the last one */
void answer_turns_done(answer_turns_t *turns, const answer_request_t *request, bool goes_on, int64_t steady_ns);

/** Requests that wait. */
uint32_t answer_turns_waiting(const answer_turns_t *turns);

typedef struct answer_turns_counters {
  uint64_t walks;     /* places taken now */
  uint64_t walks_max; /* ever at once */
  uint64_t waited;    /* walks that could not begin at once */
  uint64_t refused;   /* requests that found no room to wait */
  uint64_t stale;     /* dropped: whoever asked is gone */
  uint64_t evicted;   /* places taken from who did not ask on */
} answer_turns_counters_t;
void answer_turns_counters(const answer_turns_t *turns, answer_turns_counters_t *counters);

#endif
