/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The sequence proof: writers, subscribers and a daemon as processes of their own, and whatever a seed makes happen to
 * the latter two: subscribers killed, stopped and continued, slowed, disconnected and closed; the daemon killed and
 * restarted, stopped and continued; now and then more data than the history holds.
 *
 * What was committed stands in memory that all share: each writer notes its operations by their seq. What each
 * subscriber saw stands there as well, word for word. When nothing happens any more and everybody has caught up, a judge
 * goes through both. Each subscriber must have seen the committed order, every operation whole and none left out, or
 * have been told where it was not; and whenever the stream said that a state is consistent, it was exactly the state of
 * that position.
 *
 * A subscriber that was killed begins again where it was, as an application would: with the table and the position that
 * it had kept, or with nothing.
 *
 * The subscribers may be guests, who are over TCP and know two servers, which are two ways through a network to the one
 * there is. Then it is connections in that network that are cut, lost without a word, or held up. Nothing may end their
 * streams.
 *
 * The processes are not on a virtual clock, so a seed gives the same actions but not the same interleaving; test/sim and
 * stream_model_test do that.
 */
#ifndef VESTA_TEST_SUPPORT_STREAM_CHAOS_H
#define VESTA_TEST_SUPPORT_STREAM_CHAOS_H

typedef enum stream_chaos_way { STREAM_CHAOS_LOCAL, STREAM_CHAOS_TCP, STREAM_CHAOS_TCP_KEYS } stream_chaos_way_t;

typedef struct stream_chaos_plan {
  unsigned seed;
  stream_chaos_way_t way; /* of its subscribers */
  unsigned actions;
  unsigned pause_ms; /* between two actions, at most */
} stream_chaos_plan_t;

/** Fails the test that calls it. */
void stream_chaos_run(const stream_chaos_plan_t *plan);

#endif
