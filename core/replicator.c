/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Life and configuration of a replicator, and which message goes where. See replicator.h.
 */
#include <stdlib.h>

#include "core/planted.h"
#include "core/replicator_private.h"

replicator_scratch_t *replicator_scratch_new(void) { return calloc(1, sizeof(replicator_scratch_t)); }

void replicator_scratch_destroy(replicator_scratch_t **scratch) {
  if (*scratch != NULL) {
    free((*scratch)->payload);
    free(*scratch);
    *scratch = NULL;
  }
}

vesta_err_t replicator_new(const replicator_sink_t *sink, replicator_scratch_t *scratch, uint32_t node,
                           uint64_t checkpoint, replica_t *replica, replicator_t **out) {
  replicator_t *r = calloc(1, sizeof *r);
  if (r == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  r->sink = *sink;
  r->scratch = scratch;
  r->node = node;
  r->checkpoint = checkpoint;
  r->replica = replica;
  r->position_ns = INT64_MAX;
  r->generation = 1;
  r->restore.again_ns = INT64_MAX;
  r->cut.again_last = &r->cut.again;
  *out = r;
  return VESTA_OK;
}

void replicator_destroy(replicator_t **replicator) {
  replicator_t *r = *replicator;
  if (r != NULL) {
    replicator_primary_end(r);
    replicator_fetch_end(r);
    free(r);
    *replicator = NULL;
  }
}

wire_message_t replicator_message(const replicator_t *r, enum wire_kind kind) {
  return (wire_message_t){.kind = kind, .checkpoint = r->checkpoint, .node = r->node, .epoch = r->config.epoch};
}

void replicator_commit(replicator_t *r, uint64_t seq) {
  uint64_t committed = replica_committed(r->replica).seq;
  if (seq > committed) {
    replica_commit(r->replica, seq);
    r->sink.committed(r->sink.context, committed + 1, seq);
  }
}

void replicator_configure(replicator_t *r, const replicator_config_t *config, int64_t now_ns) {
  bool was_primary = r->config.primary == r->node;
  bool other = r->config.epoch != config->epoch || r->config.primary != config->primary;
  r->config = *config;
  if (was_primary && other && config->primary == r->node) {
    replicator_primary_again(r);
  } else if (was_primary && other) {
    replicator_primary_end(r);
  }
  if (other) {
    r->following = false;
    r->stuck = false;
    r->restore.again_ns = INT64_MAX;
    replicator_fetch_end(r);
  }
  if (replicator_is_primary(r)) {
    replicator_primary_configure(r, now_ns);
  } else if (other || (!r->following && !r->fetch.wanted)) {
    replicator_say_position(r, now_ns); /* the primary may know it only now */
  }
}

void replicator_peer_up(replicator_t *r, uint32_t node, int64_t now_ns) {
  if (replicator_is_primary(r)) {
    replicator_peer_t *peer = replicator_peer(r, node);
    if (peer != NULL) {
      peer->following = false;                                   /* it says where it is, */
      peer->stint = 0;                                           /* it may count from anew, */
      wire_message_t log = replicator_message(r, WIRE_PEER_LOG); /* and this fits nowhere, if it saw no break itself */
      r->sink.send(r->sink.context, node, &log, vesta_bytes(NULL, 0));
    }
  } else if (node == r->config.primary) {
    r->following = false;
    replicator_say_position(r, now_ns);
    replicator_fetch_up(r, now_ns);
  }
}

bool replicator_follows(const replicator_t *r) { return r->replica != NULL && r->following && !r->fetch.wanted; }

bool replicator_is_still(const replicator_t *r, int64_t since_ns) {
  return replicator_follows(r) && r->moved_ns < since_ns;
}

bool replicator_serves(const replicator_t *r) {
  if (!replicator_is_primary(r)) {
    return false;
  }
  return replica_committed(r->replica).epoch == r->config.epoch;
}

void replicator_receive(replicator_t *r, uint32_t from, const wire_message_t *message, vesta_bytes_t payload,
                        int64_t now_ns) {
  bool old = PLANTED(OLD_EPOCH_ACCEPTED) && message->epoch < r->config.epoch;
  if ((message->epoch != r->config.epoch && !old) || from == r->node) {
    return; /* the one who is late learns it from the directory */
  }
  bool primary = replicator_is_primary(r);
  bool from_primary = !primary && (from == r->config.primary || old);
  switch ((enum wire_kind)message->kind) {
    case WIRE_PEER_POSITION:
      if (primary) {
        replicator_position(r, from, message, now_ns);
      }
      return;
    case WIRE_PEER_ACK:
      if (primary) {
        replicator_ack(r, from, message, now_ns);
      }
      return;
    case WIRE_PEER_NACK:
      if (primary) {
        replicator_nack(r, from, message, now_ns);
      }
      return;
    case WIRE_PEER_FETCH:
      if (primary) {
        replicator_fetch_asked(r, from, message, now_ns);
      } else if (from_primary && r->following && r->replica != NULL && message->element_count > 0) {
        replicator_restore_asked(r, from, message);
      }
      return;
    case WIRE_PEER_LOG:
      if (from_primary) {
        replicator_log(r, message, payload, now_ns);
      }
      return;
    case WIRE_PEER_CUT:
      if (from_primary) {
        replicator_cut(r, message, now_ns);
      }
      return;
    case WIRE_PEER_CHUNK:
      if (from_primary) {
        replicator_chunk(r, message, payload, now_ns);
      } else if (primary && message->state == WIRE_TRANSFER_RESTORED) {
        replicator_restored(r, message, payload, now_ns);
      }
      return;
    default: return;
  }
}

void replicator_flush(replicator_t *r, int64_t now_ns) {
  if (replicator_is_primary(r)) {
    replicator_primary_flush(r, now_ns);
  } else {
    replicator_copy_flush(r);
  }
}

void replicator_time(replicator_t *r, int64_t now_ns) {
  if (r->position_ns <= now_ns) {
    replicator_say_position(r, now_ns);
  }
  replicator_fetch_time(r, now_ns);
  replicator_restore_time(r, now_ns);
}

int64_t replicator_wake_ns(const replicator_t *r) {
  int64_t wake_ns = r->position_ns < r->restore.again_ns ? r->position_ns : r->restore.again_ns;
  return r->fetch.wanted && r->fetch.retry_ns < wake_ns ? r->fetch.retry_ns : wake_ns;
}
