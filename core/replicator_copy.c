/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A copy's side: it says where it stands, and follows its primary's log.
 *
 * A CUT answers a POSITION, by its number (the stint): only the answer to the last one is heard. That matters, since
 * a cut drops what is prepared here: one that was meant for an earlier time could drop what was acknowledged since.
 */
#include "core/planted.h"
#include "core/replicator_private.h"

/* ---- where we stand ---- */

void replicator_say_position(replicator_t *r, int64_t now_ns) {
  r->position_ns = INT64_MAX;
  if (r->config.primary == 0 || r->config.primary == r->node || r->fetch.wanted) {
    return;
  }
  r->following = false;
  r->stuck = false;
  r->stint = (uint64_t)now_ns > r->stint ? (uint64_t)now_ns : r->stint + 1;
  r->position_ns = now_ns + REPLICATOR_POSITION_NS; /* unless it is answered before */
  wire_message_t position = replicator_message(r, WIRE_PEER_POSITION);
  position.number = r->stint;
  position.state = r->replica == NULL ? WIRE_POSITION_NONE : r->leaving ? WIRE_POSITION_LEAVING : 0;
  if (r->replica != NULL) {
    replica_status_t status;
    replica_status(r->replica, &status);
    position.lineage = status.committed.lineage;
    position.seq = status.committed.seq;
    position.from_epoch = replica_epoch_of(r->replica, status.committed.seq);
    replica_record_t record;
    for (uint64_t seq = status.committed.seq + 1; seq <= status.prepared_seq; seq++) {
      (void)replica_log_record(r->replica, seq, &record);
      r->scratch->elements[position.element_count++] =
          (wire_element_t){.epoch = record.epoch, .seq = seq, .offset = replica_record_digest(&record)};
    }
    position.elements = r->scratch->elements;
  }
  r->sink.send(r->sink.context, r->config.primary, &position, vesta_bytes(NULL, 0));
}

void replicator_leave(replicator_t *r, bool leaves, int64_t now_ns) {
  leaves = leaves && r->replica != NULL && !replicator_is_primary(r);
  if (r->leaving != leaves || (leaves && r->position_ns == INT64_MAX)) { /* the answer may have been of no use */
    r->leaving = leaves;
    replicator_fetch_end(r);
    replicator_say_position(r, now_ns);
  }
}

/* ---- what is to be dropped ---- */

void replicator_cut(replicator_t *r, const wire_message_t *cut, int64_t now_ns) {
  if (cut->number != r->stint || r->fetch.wanted) {
    return;
  }
  if (r->leaving) {
    r->position_ns = INT64_MAX;
    r->sink.judged(r->sink.context, cut->error == VESTA_ERR_DIVERGED);
    return;
  }
  if (r->following && cut->error == VESTA_OK && cut->generation <= r->copy_generation) {
    return; /* it was heard already */
  }
  if (cut->error != VESTA_OK) {
    replicator_fetch_begin(r, cut->error == VESTA_ERR_DIVERGED && r->replica != NULL, now_ns);
    return;
  }
  if (r->replica == NULL) {
    return;
  }
  uint64_t prepared = replica_prepared_seq(r->replica);
  if (cut->seq <= replica_committed(r->replica).seq || cut->seq > prepared + 1) {
    replicator_say_position(r, now_ns);
    return;
  }
  if (cut->seq <= prepared) {
    replica_abort(r->replica, cut->seq);
  }
  replicator_commit(r, cut->commit < cut->seq ? cut->commit : cut->seq - 1); /* what is left is the primary's too */
  r->copy_generation = cut->generation;
  r->following = true;
  r->stuck = false;
  r->position_ns = INT64_MAX;
  r->log_bytes = 0;
  r->ack_due = true;
  replicator_restore_begin(r);
}

/* ---- the log ---- */

static void say_stuck(replicator_t *r, uint64_t seq, vesta_err_t err, uint32_t element, int64_t now_ns) {
  wire_message_t nack = replicator_message(r, WIRE_PEER_NACK);
  nack.number = r->stint;
  nack.generation = r->copy_generation;
  nack.seq = seq;
  nack.error = (uint64_t)err;
  nack.element = element;
  r->stuck = true;
  r->position_ns = now_ns + REPLICATOR_POSITION_NS; /* unless a cut comes before */
  r->sink.send(r->sink.context, r->config.primary, &nack, vesta_bytes(NULL, 0));
}

/* One operation of the primary's. False: it can't be. */
static bool take(replicator_t *r, const replica_op_t *op, uint64_t epoch, uint64_t seq, int64_t now_ns) {
  replica_result_t result = {.element = REPLICA_NO_ELEMENT};
  vesta_err_t err = replica_prepare(r->replica, op, &result);
  if (err != VESTA_OK && !r->config.synchronous) {
    /* It may have been in the way, and nothing may be in flight. */
    replicator_commit(r, replica_prepared_seq(r->replica));
    err = replica_prepare(r->replica, op, &result);
    if (err != VESTA_OK) {
      err = replica_skip(r->replica, op, &result);
      if (err == VESTA_OK) {
        replicator_restore_begin(r);
        r->sink.committed(r->sink.context, result.seq, result.seq);
      }
    }
  }
  if (err == VESTA_OK && (result.seq != seq || result.epoch != epoch)) {
    err = VESTA_ERR_DIVERGED;
    if (result.seq > replica_committed(r->replica).seq) {
      replica_abort(r->replica, result.seq);
    }
  }
  if (err != VESTA_OK) {
    say_stuck(r, seq, err, result.element, now_ns);
  }
  return err == VESTA_OK;
}

void replicator_told(replicator_t *r, uint64_t epoch, uint64_t seq) {
  if (r->replica == NULL || !r->following || replicator_is_primary(r)) {
    return;
  }
  bool in_flight = seq > replica_committed(r->replica).seq && seq <= replica_prepared_seq(r->replica);
  if (in_flight && replica_epoch_of(r->replica, seq) == epoch) {
    replicator_commit(r, seq);
  }
}

static void commit_told(replicator_t *r, const wire_message_t *log) {
  uint64_t prepared = replica_prepared_seq(r->replica);
  replicator_commit(r, log->commit >= prepared || PLANTED(PUBLISHED_EARLY) ? prepared : log->commit);
}

void replicator_log(replicator_t *r, const wire_message_t *log, vesta_bytes_t payload, int64_t now_ns) {
  if (r->replica == NULL || r->fetch.wanted || r->stuck) {
    return;
  }
  uint64_t prepared = replica_prepared_seq(r->replica);
  bool fits = r->following && log->number == r->stint && log->generation == r->copy_generation &&
              log->from_seq == prepared && log->from_epoch == replica_epoch_of(r->replica, prepared);
  fits = fits || (PLANTED(OLD_EPOCH_ACCEPTED) && log->epoch < r->config.epoch && log->from_seq == prepared);
  if (!fits) {
    if (r->following) {
      replicator_say_position(r, now_ns);
    }
    return;
  }
  replicator_records_t records = {.message = log, .payload = payload, .elements = r->scratch->read};
  replica_op_t op;
  vesta_err_t err = VESTA_OK;
  r->ack_due = r->ack_due || log->element_count > 0; /* how far it is committed nobody waits for */
  r->moved_ns = log->element_count > 0 ? now_ns : r->moved_ns;
  while ((err = replicator_records_next(&records, &op)) == VESTA_OK) {
    commit_told(r, log); /* first: the primary had, before it made what follows */
    if (!take(r, &op, records.epoch, records.seq, now_ns)) {
      break;
    }
  }
  if (err == VESTA_ERR_MALFORMED) {
    replicator_say_position(r, now_ns); /* nonsense: from anew */
    return;
  }
  commit_told(r, log);
  r->log_bytes = log->cursor;
}

void replicator_copy_flush(replicator_t *r) {
  bool due = r->ack_due && r->following && r->replica != NULL;
  r->ack_due = false;
  if (!due) {
    return;
  }
  wire_message_t ack = replicator_message(r, WIRE_PEER_ACK);
  ack.number = r->stint;
  ack.generation = r->copy_generation;
  ack.seq = replica_prepared_seq(r->replica);
  ack.cursor = r->log_bytes;
  r->sink.send(r->sink.context, r->config.primary, &ack, vesta_bytes(NULL, 0));
}
