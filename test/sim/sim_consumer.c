/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_consumer.h.
 *
 *   mode        word or change      next mode
 *   BEGINNING   RESYNC_BEGIN        RESYNC
 *               SYNCED              FOLLOWING
 *   FOLLOWING   a live change       FOLLOWING: the next one, nothing else
 *               SYNCED              FOLLOWING
 *               LOST                LOST
 *   LOST        RESYNC_BEGIN        RESYNC
 *               LOST                LOST
 *   RESYNC      a change of it      RESYNC
 *               RESYNC_BEGIN, full  RESYNC, from the start
 *               LOST                LOST
 *               RESYNC_END          FOLLOWING
 *   any         GONE                OVER
 */
#include "test/sim/sim_consumer.h"

#include <inttypes.h>

#include "test/sim/sim_world.h"

#define subscriber_number(s) ((uint32_t)((s) - (s)->world->subscribers))
#define ORDER "STREAM-ORDER"
#define STATE "STREAM-STATE"

static void staged_drop(sim_subscriber_t *s) {
  if (s->has_staged) {
    sim_table_fini(&s->staged);
    s->has_staged = false;
  }
}

void sim_consumer_fini(sim_subscriber_t *s) {
  staged_drop(s);
  sim_table_fini(&s->table);
}

/* ---- checks ---- */

static void must(const sim_subscriber_t *s, bool holds, const char *rule, const char *why,
                 const notify_change_t *change) {
  if (!holds) {
    sim_fail(s->world, rule,
             "subscriber %" PRIu32 ", %s: kind %" PRIu32 " seq %" PRIu64 " epoch %" PRIu64 " index %" PRIu32
             ", it is at seq %" PRIu64 " epoch %" PRIu64 " index %" PRIu32 " of %" PRIu64 ", mode %d",
             subscriber_number(s), why, change->kind, change->position.seq, change->position.epoch, change->index,
             s->position.seq, s->position.epoch, s->index, s->history->count, (int)s->mode);
  }
}

static bool sum_is(const sim_subscriber_t *s, vesta_pos_t position) {
  const sim_record_t *record = sim_history_record(s->history, position.epoch, position.seq);
  return (record != NULL && record->sum_unknown) || s->table.sum == sim_history_sum(s->history, position);
}

static void must_be_state(const sim_subscriber_t *s, const notify_change_t *change) {
  must(s, sim_history_has(s->history, change->position), ORDER, "a position that is not in the history", change);
  must(s, !s->has_table || sum_is(s, change->position), STATE, "its table is not the state at that position", change);
}

static sim_change_t plain(const notify_change_t *change) {
  return (sim_change_t){.kind = (vesta_kind_t)change->kind,
                        .id = change->id,
                        .offset = change->offset,
                        .data = change->data,
                        .expiry_ns = change->expiry_ns,
                        .member = change->member,
                        .time_ns = change->time_ns};
}

/* ---- changes ---- */

static void take_live(sim_subscriber_t *s, const notify_change_t *change) {
  const sim_history_t *history = s->history;
  uint64_t seq = s->position.seq + 1;
  must(s, s->mode == SIM_STREAM_FOLLOWING, ORDER, "a live change out of place", change);
  must(s, change->position.lineage == history->lineage && change->position.seq == seq && change->index == s->index,
       ORDER, "a live change is not the next one", change);
  const sim_record_t *record = sim_history_record(history, change->position.epoch, seq);
  must(s, record != NULL, ORDER, "a change was handed out before it was committed", change);
  bool still = seq <= history->count && record == &history->records[seq - 1];
  must(s, !still || sim_history_has_still(history, s->position), ORDER, "a change of another way than its position",
       change);
  sim_change_t made = plain(change);
  must(s,
       change->count == record->count && change->position.epoch == record->epoch &&
           change->time_ns == record->time_ns && sim_change_digest(&made) == record->digests[change->index],
       ORDER, "a live change is not what was committed", change);
  sim_section_t *section;
  must(s, !s->has_table || sim_table_apply(&s->table, &made, &section), STATE,
       "a change of a section that it does not have", change);
  s->index++;
  if (s->index == record->count) {
    s->index = 0;
    s->position = change->position;
  }
}

static void take_resync(sim_subscriber_t *s, const notify_change_t *change) {
  must(s, s->mode == SIM_STREAM_RESYNC, ORDER, "a change of a resync out of place", change);
  sim_change_t made = plain(change);
  sim_section_t *section;
  must(s, !s->has_staged || sim_table_apply(&s->staged, &made, &section), STATE,
       "in a resync, a change of a section that it does not have", change);
}

/* ---- words ---- */

static void take_resync_begin(sim_subscriber_t *s, const notify_change_t *change) {
  bool again = s->mode == SIM_STREAM_RESYNC;
  must(s, s->mode == SIM_STREAM_BEGINNING || s->mode == SIM_STREAM_LOST || (again && change->full), ORDER,
       "a resync begins out of place", change);
  must(s, change->full || vesta_pos_equal(change->from, s->position), ORDER, "a resync begins from where it is not",
       change);
  staged_drop(s);
  s->mode = SIM_STREAM_RESYNC;
  if (change->full || s->has_table) {
    s->has_staged = true;
    sim_table_init(&s->staged);
  }
  if (!change->full && s->has_table) {
    sim_table_copy(&s->staged, &s->table);
  }
}

static void take_resync_end(sim_subscriber_t *s, const notify_change_t *change) {
  must(s, s->mode == SIM_STREAM_RESYNC, ORDER, "a resync ends out of place", change);
  if (s->has_staged) {
    sim_table_fini(&s->table);
    s->table = s->staged;
    s->has_staged = false;
    s->has_table = true;
  }
  s->mode = SIM_STREAM_FOLLOWING;
  s->position = change->position;
  s->index = 0;
  must_be_state(s, change);
}

static void take_synced(sim_subscriber_t *s, const notify_change_t *change) {
  must(s, s->mode == SIM_STREAM_BEGINNING || s->mode == SIM_STREAM_FOLLOWING, ORDER, "SYNCED out of place", change);
  must(s, s->mode == SIM_STREAM_BEGINNING || (s->index == 0 && vesta_pos_equal(change->position, s->position)), ORDER,
       "SYNCED at a position where it is not", change);
  s->mode = SIM_STREAM_FOLLOWING;
  s->position = change->position;
  s->synced = true;
  s->handle->member.ask = true;
  must_be_state(s, change);
}

static void take_lost(sim_subscriber_t *s, const notify_change_t *change) {
  bool here = s->mode != SIM_STREAM_FOLLOWING || vesta_pos_equal(change->from, s->position);
  must(s, s->index == 0 && here, ORDER, "LOST from where it is not", change);
  staged_drop(s);
  s->mode = SIM_STREAM_LOST;
  s->synced = false;
}

static void take_gone(sim_subscriber_t *s, const notify_change_t *change) {
  const sim_node_t *node = sim_home(s->agent);
  bool knows =
      node->node != NULL && node_caught_up(node->node); /* else it was told by an earlier life, see node_emit() */
  bool allowed = knows && node_stream_check(node->node, s->agent->token, s->history->id) != VESTA_ERR_ACCESS;
  must(s, s->history->removed || !allowed, "STREAM-GONE", "it is told to be gone and is not", change);
  s->mode = SIM_STREAM_OVER;
}

static void take_one(sim_subscriber_t *s, const notify_change_t *change) {
  sim_say(s->world, "subscriber %" PRIu32 " takes kind %" PRIu32 " %" PRIu64 "-%" PRIu64 "%s", subscriber_number(s),
          change->kind, change->position.epoch, change->position.seq, change->resync ? " (resync)" : "");
  switch (change->kind) {
    case NOTIFY_SYNCED: take_synced(s, change); return;
    case NOTIFY_LOST: take_lost(s, change); return;
    case NOTIFY_RESYNC_BEGIN: take_resync_begin(s, change); return;
    case NOTIFY_RESYNC_END: take_resync_end(s, change); return;
    case NOTIFY_GONE: take_gone(s, change); return;
    default: break;
  }
  if (change->resync) {
    take_resync(s, change);
  } else {
    take_live(s, change);
  }
  if (change->kind == VESTA_KIND_EPOCH) {
    sim_member_epoch(s->agent, s->handle, change->position, change->member);
  }
}

bool sim_consumer_take(sim_subscriber_t *s, uint32_t takes_max) {
  notify_change_t change;
  uint32_t taken = 0;
  while (taken < takes_max && s->mode != SIM_STREAM_OVER && subscriber_next(s->subscriber, &change)) {
    take_one(s, &change);
    taken++;
  }
  subscriber_status_t status;
  subscriber_status(s->subscriber, &status);
  if (s->mode == SIM_STREAM_FOLLOWING && s->index == 0 && !vesta_pos_equal(status.handed_out, s->position)) {
    sim_fail(s->world, ORDER, "subscriber %" PRIu32 " says it is at seq %" PRIu64 " and is at seq %" PRIu64,
             subscriber_number(s), status.handed_out.seq, s->position.seq);
  }
  return taken == takes_max;
}
