/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The primary's side: its log goes out to the copies, their acknowledgements let it commit, and what one of them can't
 * take is cut off everywhere.
 *
 * A cut:  NACK of seq s  ->  s and all behind it are dropped here, in a new generation; CUT goes to every copy
 *         every required copy acknowledged that generation  ->  the caller of s is refused, what stood behind it is
 *         proposed again under new numbers
 */
#include <stdlib.h>

#include "core/planted.h"
#include "core/replicator_private.h"

replicator_peer_t *replicator_peer(replicator_t *r, uint32_t node) {
  for (uint32_t i = 0; i < r->peer_count; i++) {
    if (r->peers[i].node == node) {
      return &r->peers[i];
    }
  }
  return NULL;
}

static replicator_peer_t *peer_add(replicator_t *r, uint32_t node) {
  replicator_peer_t *peer = replicator_peer(r, node);
  if (peer == NULL && r->peer_count < VESTA_REPLICAS_MAX) {
    peer = &r->peers[r->peer_count++];
    *peer = (replicator_peer_t){.node = node};
  }
  return peer;
}

static void peer_drop(replicator_t *r, replicator_peer_t *peer) { *peer = r->peers[--r->peer_count]; }

static void again_clear(replicator_t *r) {
  while (r->cut.again != NULL) {
    replicator_again_t *again = r->cut.again;
    r->cut.again = again->next;
    free(again);
  }
  r->cut.again_last = &r->cut.again;
}

void replicator_primary_end(replicator_t *r) {
  again_clear(r); /* whoever is primary now has them in its log, or nobody has: they were not acknowledged */
  r->cut.under_way = false;
  r->peer_count = 0;
}

void replicator_primary_again(replicator_t *r) {
  for (uint32_t i = 0; i < r->peer_count; i++) {
    replicator_peer_t *peer = &r->peers[i];
    *peer = (replicator_peer_t){.node = peer->node,
                                .invited = peer->invited,
                                .wanted = peer->wanted,
                                .told = peer->told,
                                .required = peer->required}; /* that it is in sync may be about to be ordered */
  }
}

/* ---- committing ---- */

static bool waits_for_copies(const replicator_t *r) {
  return r->config.synchronous || replica_committed(r->replica).epoch != r->config.epoch;
}

static void cut_finish(replicator_t *r);

static void advance(replicator_t *r) {
  if (r->cut.under_way) {
    cut_finish(r);
  }
  if (r->config.held && r->config.synchronous) {
    return;
  }
  uint64_t upto = replica_prepared_seq(r->replica);
  if (waits_for_copies(r) && !PLANTED(ACKNOWLEDGED_EARLY)) {
    for (uint32_t i = 0; i < r->peer_count; i++) {
      const replicator_peer_t *peer = &r->peers[i];
      uint64_t has = peer->following && peer->generation == r->generation ? peer->acked : 0;
      upto = peer->required && has < upto ? has : upto;
    }
  }
  replicator_commit(r, upto);
}

bool replicator_everywhere(const replicator_t *r, uint64_t seq) {
  for (uint32_t i = 0; i < r->peer_count; i++) {
    const replicator_peer_t *peer = &r->peers[i];
    if (peer->required && (!peer->following || peer->generation != r->generation || peer->acked < seq)) {
      return false;
    }
  }
  return true;
}

/* ---- who follows ---- */

void replicator_primary_configure(replicator_t *r, int64_t now_ns) {
  for (uint32_t i = 0; i < r->peer_count; i++) {
    r->peers[i].member = false;
  }
  for (uint32_t i = 0; i < r->config.member_count; i++) {
    const replicator_member_t *member = &r->config.members[i];
    replicator_peer_t *peer = member->node == r->node ? NULL : peer_add(r, member->node);
    if (peer != NULL) {
      peer->member = true;
      peer->required = member->required || (peer->invited && peer->required);
      peer->invited = peer->invited && !member->required;
      peer->waiting_since_ns =
          peer->required && peer->waiting_since_ns == 0 && !peer->following ? now_ns : peer->waiting_since_ns;
    }
  }
  for (uint32_t i = 0; i < r->peer_count;) {
    if (!r->peers[i].member && !r->peers[i].invited) {
      peer_drop(r, &r->peers[i]);
    } else {
      i++;
    }
  }
  advance(r);
}

/* It follows: what is committed from now on it has, if it is wanted so. */
static void peer_counts(const replicator_t *r, replicator_peer_t *peer) {
  peer->required = peer->required || (peer->invited && peer->wanted);
  peer->catch_seq = replica_committed(r->replica).seq;
}

vesta_err_t replicator_invite(replicator_t *r, uint32_t node, bool required) {
  replicator_peer_t *peer = replicator_is_primary(r) ? peer_add(r, node) : NULL;
  if (peer == NULL) {
    return VESTA_ERR_NO_RESOURCES;
  }
  peer->invited = true;
  peer->told = false;
  peer->wanted = required;
  /* It is waited for only from when it follows and was heard: before that it has nothing that could be lost. */
  if (peer->following && peer->catch_seq != UINT64_MAX) {
    peer_counts(r, peer);
  }
  return VESTA_OK;
}

void replicator_uninvite(replicator_t *r, uint32_t node) {
  replicator_peer_t *peer = replicator_peer(r, node);
  if (peer == NULL || !peer->invited) {
    return;
  }
  peer->invited = false;
  if (!peer->member) {
    peer_drop(r, peer);
  } else {
    peer->required = false;
    for (uint32_t i = 0; i < r->config.member_count; i++) {
      peer->required = peer->required || (r->config.members[i].node == node && r->config.members[i].required);
    }
  }
  advance(r);
}

/* ---- a copy says where it stands ---- */

static void send_cut(replicator_t *r, const replicator_peer_t *peer, uint64_t seq, vesta_err_t err) {
  wire_message_t cut = replicator_message(r, WIRE_PEER_CUT);
  cut.number = peer->stint;
  cut.generation = r->generation;
  cut.seq = seq;
  cut.error = (uint64_t)err;
  cut.commit = replica_committed(r->replica).seq;
  r->sink.send(r->sink.context, peer->node, &cut, vesta_bytes(NULL, 0));
}

/* How much of what it says to have is ours too: the last seq that is, or why its committed part is not. */
static vesta_err_t judge_position(const replicator_t *r, const wire_message_t *position, uint64_t *upto) {
  replica_status_t status;
  replica_status(r->replica, &status);
  if (position->state == WIRE_POSITION_NONE) {
    return VESTA_ERR_LOST;
  }
  uint64_t epoch = replica_epoch_of(r->replica, position->seq);
  bool other = epoch != 0 && epoch != position->from_epoch;
  if (other && PLANTED(POSITION_BEYOND_EPOCH) && position->seq <= status.committed.seq) {
    return VESTA_ERR_LOST; /* the past: it gets what has changed since */
  }
  if (position->lineage != status.committed.lineage || position->seq > status.prepared_seq || other) {
    return VESTA_ERR_DIVERGED;
  }
  if (position->seq + 1 < status.history_first || (epoch == 0 && position->seq > 0)) {
    return VESTA_ERR_LOST;
  }
  *upto = position->seq;
  for (uint32_t i = 0; i < position->element_count; i++) {
    replica_record_t record;
    const wire_element_t *prepared = &position->elements[i];
    if (prepared->seq != *upto + 1 || replica_log_record(r->replica, prepared->seq, &record) != VESTA_OK ||
        record.epoch != prepared->epoch || replica_record_digest(&record) != prepared->offset) {
      break;
    }
    (*upto)++;
  }
  return VESTA_OK;
}

void replicator_position(replicator_t *r, uint32_t from, const wire_message_t *position, int64_t now_ns) {
  replicator_peer_t *peer = replicator_peer(r, from);
  if (position->state == WIRE_POSITION_LEAVING) {
    uint64_t any = 0;
    replicator_peer_t leaving = {.node = from, .stint = position->number};
    if (peer == NULL) { /* else it will learn that it is one of ours */
      vesta_err_t err = judge_position(r, position, &any);
      send_cut(r, &leaving, 1, err == VESTA_ERR_DIVERGED ? err : VESTA_ERR_LOST);
    }
    return;
  }
  if (peer == NULL || position->number <= peer->stint) {
    return; /* not one of ours, or not yet; or it was heard, or it has said something newer */
  }
  peer->stint = position->number;
  uint64_t upto = 0;
  vesta_err_t err = judge_position(r, position, &upto);
  if (err != VESTA_OK) {
    peer->following = false;
    send_cut(r, peer, 1, err);
    return;
  }
  peer->following = true;
  peer->failed = false;
  peer->generation = 0; /* only what it acknowledges to this very position counts */
  peer->sent = upto;
  peer->acked = upto;
  peer->commit_sent = 0;
  peer->bytes_sent = 0;
  peer->bytes_acked = 0;
  peer->catch_seq = UINT64_MAX; /* until it acknowledges something */
  peer->waiting_since_ns = now_ns;
  replicator_restore_begin(r); /* it may know what is lacking here */
  send_cut(r, peer, upto + 1, VESTA_OK);
  advance(r);
}

/* ---- acknowledgements ---- */

static void tell_caught_up(replicator_t *r, replicator_peer_t *peer) {
  bool has = peer->following && peer->generation == r->generation && peer->acked >= peer->catch_seq &&
             (peer->required || !peer->wanted);
  if (peer->invited && !peer->told && has) {
    peer->told = true;
    r->sink.caught_up(r->sink.context, peer->node);
  }
}

void replicator_ack(replicator_t *r, uint32_t from, const wire_message_t *ack, int64_t now_ns) {
  replicator_peer_t *peer = replicator_peer(r, from);
  if (peer == NULL || !peer->following || ack->number != peer->stint || ack->generation != r->generation ||
      ack->seq > peer->sent) {
    return;
  }
  peer->generation = ack->generation;
  peer->acked = ack->seq > peer->acked ? ack->seq : peer->acked;
  peer->bytes_acked = ack->cursor <= peer->bytes_sent ? ack->cursor : peer->bytes_acked;
  peer->waiting_since_ns = now_ns;
  if (peer->catch_seq == UINT64_MAX) {
    peer_counts(r, peer);
  }
  advance(r);
}

static vesta_err_t cut_begin(replicator_t *r, const wire_message_t *nack) {
  replica_record_t record;
  (void)replica_log_record(r->replica, nack->seq, &record);
  uint64_t prepared = replica_prepared_seq(r->replica);
  for (uint64_t seq = nack->seq + 1; seq <= prepared; seq++) {
    replicator_again_t *again = replicator_again_new(r->replica, seq);
    if (again == NULL) {
      again_clear(r);
      return VESTA_ERR_NO_MEMORY;
    }
    *r->cut.again_last = again;
    r->cut.again_last = &again->next;
  }
  r->cut.under_way = true;
  r->cut.session = record.session;
  r->cut.request = record.request;
  r->cut.err = (vesta_err_t)nack->error;
  r->cut.element = (uint32_t)nack->element;
  r->generation++;
  replica_abort(r->replica, nack->seq);
  for (uint32_t i = 0; i < r->peer_count; i++) {
    replicator_peer_t *peer = &r->peers[i];
    if (peer->following) {
      peer->sent = peer->sent < nack->seq ? peer->sent : nack->seq - 1;
      peer->acked = peer->acked < nack->seq ? peer->acked : nack->seq - 1;
      peer->bytes_sent = 0;
      peer->bytes_acked = 0;
      send_cut(r, peer, peer->sent + 1, VESTA_OK);
    }
  }
  return VESTA_OK;
}

/* Everybody who counts has dropped it. */
static void cut_finish(replicator_t *r) {
  for (uint32_t i = 0; i < r->peer_count; i++) {
    bool waits = r->peers[i].required && !PLANTED(REFUSED_EARLY);
    if (waits && (!r->peers[i].following || r->peers[i].generation != r->generation)) {
      return;
    }
  }
  replicator_cut_t cut = r->cut;
  r->cut = (replicator_cut_t){0};
  r->cut.again_last = &r->cut.again;
  r->sink.refused(r->sink.context, cut.session, cut.request, cut.err, cut.element);
  while (cut.again != NULL) {
    replicator_again_t *again = cut.again;
    replica_result_t result = {.element = REPLICA_NO_ELEMENT};
    vesta_err_t err = replica_prepare(r->replica, &again->op, &result);
    if (err != VESTA_OK) { /* what it stood behind would have made room for it */
      r->sink.refused(r->sink.context, again->op.session, again->op.request, err, result.element);
    }
    cut.again = again->next;
    free(again);
  }
}

void replicator_nack(replicator_t *r, uint32_t from, const wire_message_t *nack, int64_t now_ns) {
  replicator_peer_t *peer = replicator_peer(r, from);
  if (peer == NULL || !peer->following || nack->number != peer->stint || nack->generation != r->generation) {
    return;
  }
  replica_record_t record;
  bool in_flight = nack->seq > replica_committed(r->replica).seq && nack->seq <= replica_prepared_seq(r->replica);
  /* What nobody asked for, nobody can be refused, and it would only be made again: it is the copy that has to go. */
  bool asked = in_flight && replica_log_record(r->replica, nack->seq, &record) == VESTA_OK && record.request != 0;
  peer->waiting_since_ns = now_ns;
  if (asked && peer->required && r->config.synchronous && !r->cut.under_way) {
    if (cut_begin(r, nack) == VESTA_OK) {
      advance(r);
      return;
    }
  }
  peer->following = false; /* it begins anew; who can't even do that is taken out */
  if (!peer->failed) {
    peer->failed = true;
    r->sink.failed(r->sink.context, from);
  }
}

/* ---- proposing ---- */

vesta_err_t replicator_propose(replicator_t *r, const replica_op_t *op, replica_result_t *result) {
  if (!replicator_is_primary(r)) {
    return VESTA_ERR_BAD_OPERATION;
  }
  uint64_t in_flight = replica_prepared_seq(r->replica) - replica_committed(r->replica).seq;
  if (r->cut.under_way || in_flight >= REPLICATOR_IN_FLIGHT_MAX) {
    return VESTA_ERR_TRY_AGAIN;
  }
  vesta_err_t err = replica_prepare(r->replica, op, result);
  if (err == VESTA_OK) {
    for (uint32_t i = 0; i < op->element_count; i++) {
      r->proposed_bytes += sizeof op->elements[i] + op->elements[i].data.size;
    }
    advance(r);
  }
  return err;
}

bool replicator_in_flight(const replicator_t *r, vesta_token_t session, uint64_t request) {
  if (r->replica == NULL) {
    return false;
  }
  replica_record_t record;
  uint64_t prepared = replica_prepared_seq(r->replica);
  for (uint64_t seq = replica_committed(r->replica).seq + 1; seq <= prepared; seq++) {
    if (replica_log_record(r->replica, seq, &record) == VESTA_OK && record.request == request &&
        vesta_token_equal(record.session, session)) {
      return true;
    }
  }
  for (const replicator_again_t *again = r->cut.again; again != NULL; again = again->next) {
    if (again->op.request == request && vesta_token_equal(again->op.session, session)) {
      return true;
    }
  }
  return r->cut.under_way && r->cut.request == request && vesta_token_equal(r->cut.session, session);
}

/* ---- the log goes out ---- */

static bool send_log(replicator_t *r, replicator_peer_t *peer, uint64_t last) {
  wire_message_t log = replicator_message(r, WIRE_PEER_LOG);
  vesta_bytes_t payload = {0};
  uint32_t records = 0;
  uint64_t bytes = 0;
  if (peer->sent < last && !replicator_records_write(r, peer->sent + 1, last, &log, &payload, &records, &bytes)) {
    replica_record_t record;
    if (replica_log_record(r->replica, peer->sent + 1, &record) == VESTA_ERR_LOST) {
      peer->following = false; /* too far behind: it is told when it says where it is */
      send_cut(r, peer, 1, VESTA_ERR_LOST);
    }
    return false;
  }
  log.number = peer->stint;
  log.generation = r->generation;
  log.from_epoch = replica_epoch_of(r->replica, peer->sent);
  log.from_seq = peer->sent;
  log.commit = replica_committed(r->replica).seq;
  log.cursor = peer->bytes_sent + bytes;
  r->sink.send(r->sink.context, peer->node, &log, payload);
  peer->sent += records;
  peer->bytes_sent += bytes;
  peer->commit_sent = log.commit;
  return true;
}

/* What nobody waits for goes in one message when the last one was acknowledged: each costs a wake-up at both ends. */
static bool log_may_wait(const replicator_t *r, const replicator_peer_t *peer) {
  return !waits_for_copies(r) && peer->acked < peer->sent &&
         r->proposed_bytes - peer->proposed_bytes < REPLICATOR_HELD_BYTES;
}

void replicator_peer_flush(replicator_t *r, replicator_peer_t *peer, int64_t now_ns) {
  if (peer->following && log_may_wait(r, peer)) {
    return;
  }
  uint64_t prepared = replica_prepared_seq(r->replica);
  peer->proposed_bytes = r->proposed_bytes;
  bool owed = peer->following && peer->acked >= peer->sent; /* nothing was owed until now */
  bool more = true;
  while (more && peer->following && !r->cut.under_way && peer->sent < prepared &&
         peer->bytes_sent - peer->bytes_acked < REPLICATOR_WINDOW_BYTES) {
    more = send_log(r, peer, prepared);
  }
  if (peer->following && peer->commit_sent < replica_committed(r->replica).seq) {
    (void)send_log(r, peer, peer->sent); /* no more than how far it may commit */
  }
  if (owed) {
    peer->waiting_since_ns = now_ns;
  }
}

void replicator_primary_flush(replicator_t *r, int64_t now_ns) {
  for (uint32_t i = 0; i < r->peer_count; i++) {
    replicator_peer_flush(r, &r->peers[i], now_ns);
    tell_caught_up(r, &r->peers[i]);
  }
}

bool replicator_copy(const replicator_t *r, uint32_t node, replicator_copy_status_t *status) {
  const replicator_peer_t *peer = replicator_is_primary(r) ? replicator_peer((replicator_t *)r, node) : NULL;
  if (peer == NULL) {
    return false;
  }
  uint64_t committed = replica_committed(r->replica).seq;
  bool owes = !peer->following || peer->acked < peer->sent || peer->generation != r->generation;
  *status = (replicator_copy_status_t){.following = peer->following,
                                       .required = peer->required,
                                       .acked = peer->acked,
                                       .has = peer->acked < committed ? peer->acked : committed,
                                       .waiting_since_ns = owes ? peer->waiting_since_ns : 0};
  return true;
}
