/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where a checkpoint's replicas are, whose orders its log, and what becomes of both when nodes come and go.
 *
 * The replicas of a checkpoint are a numbered configuration: every operation here says on which number (or epoch) it
 * was decided, and does nothing when that is not what is there any more.
 *
 *   primary   | operation                             | then
 *   ----------+---------------------------------------+------------------------------------------------------------
 *   a node    | PRIMARY_LOST, of this node and epoch  | none; nobody has claimed anything
 *             | ACTIVE, to a replica in sync          | that node, in a new epoch
 *   none      | CLAIM by a node that was in sync      | none; the claim is noted
 *             | PRIMARY, of one in sync, later epoch  | that node, in that epoch
 *   any       | RECOVER                               | the node that the operator named; it alone is in sync
 *
 * Only a replica that is in sync can become the primary: it has all that was ever acknowledged.
 */
#include "core/directory_state.h"
#include "core/planted.h"

directory_replica_t *directory_replica(const directory_checkpoint_t *checkpoint, uint32_t node) {
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    if (checkpoint->replicas[i].node == node) {
      return (directory_replica_t *)&checkpoint->replicas[i];
    }
  }
  return NULL;
}

uint32_t directory_replica_count(const directory_checkpoint_t *checkpoint, uint32_t state) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    count += checkpoint->replicas[i].state == state;
  }
  return count;
}

static bool directory_in_sync(const directory_checkpoint_t *checkpoint, uint32_t node) {
  const directory_replica_t *replica = directory_replica(checkpoint, node);
  return replica != NULL && (replica->state == WIRE_REPLICA_IN_SYNC || PLANTED(ELECTED_OUT_OF_SYNC));
}

bool directory_hand_over(directory_checkpoint_t *checkpoint, uint32_t node) {
  if (checkpoint->primary == 0 || !directory_in_sync(checkpoint, node)) {
    return false;
  }
  checkpoint->primary = node;
  checkpoint->epoch++;
  checkpoint->config++; /* what the primary before had decided and not got ordered is void */
  return true;
}

/* ---- operations on one checkpoint ---- */

static vesta_err_t directory_replica_add(directory_checkpoint_t *checkpoint, uint32_t node, uint32_t state) {
  directory_replica_t *replica = directory_replica(checkpoint, node);
  if (replica == NULL) {
    if (checkpoint->replica_count == VESTA_REPLICAS_MAX) {
      return VESTA_ERR_NO_RESOURCES;
    }
    replica = &checkpoint->replicas[checkpoint->replica_count++];
    *replica = (directory_replica_t){.node = node};
  }
  if (node == checkpoint->primary && state != WIRE_REPLICA_IN_SYNC) {
    return VESTA_ERR_BAD_OPERATION;
  }
  replica->state = state;
  return VESTA_OK;
}

static vesta_err_t directory_replica_remove(directory_checkpoint_t *checkpoint, uint32_t node) {
  directory_replica_t *replica = directory_replica(checkpoint, node);
  bool last = replica != NULL && replica->state == WIRE_REPLICA_IN_SYNC &&
              directory_replica_count(checkpoint, WIRE_REPLICA_IN_SYNC) == 1;
  if (node == checkpoint->primary || last) {
    return VESTA_ERR_BAD_OPERATION;
  }
  if (replica == NULL) {
    return VESTA_OK; /* that it was to become one is void now: the number rises */
  }
  *replica = checkpoint->replicas[--checkpoint->replica_count];
  return VESTA_OK;
}

vesta_err_t directory_do_replica(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  if (checkpoint == NULL || checkpoint->config != op->config || (op->epoch != 0 && op->epoch != checkpoint->epoch) ||
      op->state > WIRE_REPLICA_IN_SYNC) {
    return VESTA_ERR_BAD_OPERATION; /* decided on something that has changed since */
  }
  vesta_err_t err = op->state == WIRE_REPLICA_NONE
                        ? directory_replica_remove(checkpoint, (uint32_t)op->node)
                        : directory_replica_add(checkpoint, (uint32_t)op->node, (uint32_t)op->state);
  if (err == VESTA_OK) {
    checkpoint->config++;
    outcome->checkpoint = checkpoint;
    directory_touch(outcome, checkpoint);
  }
  return err;
}

vesta_err_t directory_do_primary_lost(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  for (uint32_t i = 0; i < op->element_count; i++) {
    directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->elements[i].member);
    if (checkpoint == NULL || checkpoint->primary != op->node || checkpoint->epoch != op->elements[i].epoch) {
      continue;
    }
    checkpoint->primary = 0;
    checkpoint->config++; /* what it had decided and not got ordered is void */
    for (uint32_t r = 0; r < checkpoint->replica_count; r++) {
      checkpoint->replicas[r].claimed = false;
    }
    directory_touch(outcome, checkpoint);
  }
  return VESTA_OK;
}

vesta_err_t directory_do_claim(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  for (uint32_t i = 0; i < op->element_count; i++) {
    directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->elements[i].member);
    directory_replica_t *replica =
        checkpoint == NULL || checkpoint->primary != 0 ? NULL : directory_replica(checkpoint, (uint32_t)op->node);
    bool now = replica != NULL && op->elements[i].offset == checkpoint->epoch; /* and not when there was none before */
    if (!now || !directory_in_sync(checkpoint, (uint32_t)op->node)) {
      continue;
    }
    replica->claimed = true;
    replica->claim_epoch = op->elements[i].epoch;
    replica->claim_seq = op->elements[i].seq;
    directory_touch(outcome, checkpoint);
  }
  return VESTA_OK;
}

static void directory_primary_is(directory_checkpoint_t *checkpoint, uint32_t node, uint64_t epoch,
                                 directory_outcome_t *outcome) {
  checkpoint->primary = node;
  checkpoint->epoch = epoch;
  checkpoint->config++;
  if (checkpoint->active_node != 0) {
    checkpoint->active_node = node;
  }
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
}

vesta_err_t directory_do_primary(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  uint64_t from_epoch = op->from_epoch != 0 ? op->from_epoch : op->epoch - 1; /* who does not say it means that */
  if (checkpoint == NULL || checkpoint->primary != 0 || from_epoch != checkpoint->epoch ||
      op->epoch <= checkpoint->epoch || !directory_in_sync(checkpoint, (uint32_t)op->node)) {
    return VESTA_ERR_BAD_OPERATION;
  }
  directory_primary_is(checkpoint, (uint32_t)op->node, op->epoch, outcome);
  return VESTA_OK;
}

vesta_err_t directory_do_recover(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  if (checkpoint == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (checkpoint->primary != 0) {
    return VESTA_ERR_BAD_OPERATION; /* it waits for nobody */
  }
  checkpoint->replicas[0] = (directory_replica_t){.node = (uint32_t)op->node, .state = WIRE_REPLICA_IN_SYNC};
  checkpoint->replica_count = 1;
  directory_primary_is(checkpoint, (uint32_t)op->node,
                       op->epoch > checkpoint->epoch ? op->epoch : checkpoint->epoch + 1, outcome);
  return VESTA_OK;
}

/* ---- nodes ---- */

/* Its sessions are orphans, or not any more; members among them have no role while they are. */
static void directory_orphans(directory_t *d, uint32_t node, bool orphan, directory_outcome_t *outcome) {
  size_t bucket = 0;
  for (directory_session_t *session = NULL; (session = directory_each_session(d, &bucket, session)) != NULL;) {
    if (session->node != node || session->orphan == orphan) {
      continue;
    }
    session->orphan = orphan;
    for (const directory_handle_t *handle = session->handles; handle != NULL; handle = handle->next) {
      roles_member_t *member = roles_member_of(&handle->checkpoint->group, session->token);
      if (member != NULL && member->absent != orphan) {
        roles_absent(&handle->checkpoint->group, member, orphan);
        directory_touch(outcome, handle->checkpoint);
      }
    }
  }
}

vesta_err_t directory_do_node_gone(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_orphans(d, (uint32_t)op->node, true, outcome);
  return VESTA_OK;
}

vesta_err_t directory_do_node_back(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_orphans(d, (uint32_t)op->node, false, outcome);
  return VESTA_OK;
}

vesta_err_t directory_do_node_end(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  size_t bucket = 0;
  directory_session_t *session = directory_each_session(d, &bucket, NULL);
  while (session != NULL) {
    directory_session_t *next = directory_each_session(d, &bucket, session);
    if (session->node == op->node && session->orphan) {
      directory_session_end(d, session, op->time_ns, outcome);
    }
    session = next;
  }
  return VESTA_OK;
}

/* ---- written down ---- */

uint32_t directory_replicas_write(const directory_checkpoint_t *checkpoint,
                                  wire_element_t elements[VESTA_REPLICAS_MAX]) {
  for (uint32_t i = 0; i < checkpoint->replica_count; i++) {
    const directory_replica_t *replica = &checkpoint->replicas[i];
    elements[i] = (wire_element_t){.member = replica->node,
                                   .slot = replica->state,
                                   .index = replica->claimed ? 1 : 0,
                                   .epoch = replica->claim_epoch,
                                   .seq = replica->claim_seq};
  }
  return checkpoint->replica_count;
}

bool directory_replicas_sound(const wire_message_t *row) {
  bool sound = row->element_count <= VESTA_REPLICAS_MAX && row->cursor <= UINT32_MAX;
  for (uint32_t i = 0; sound && i < row->element_count; i++) {
    sound = row->elements[i].member <= UINT32_MAX && row->elements[i].slot <= WIRE_REPLICA_IN_SYNC;
  }
  return sound;
}

void directory_replicas_read(directory_checkpoint_t *checkpoint, const wire_message_t *row) {
  checkpoint->config = row->config;
  checkpoint->primary = (uint32_t)row->cursor;
  checkpoint->replica_count = row->element_count;
  for (uint32_t i = 0; i < row->element_count; i++) {
    const wire_element_t *from = &row->elements[i];
    checkpoint->replicas[i] = (directory_replica_t){.node = (uint32_t)from->member,
                                                    .state = (uint32_t)from->slot,
                                                    .claimed = from->index != 0,
                                                    .claim_epoch = from->epoch,
                                                    .claim_seq = from->seq};
  }
}
