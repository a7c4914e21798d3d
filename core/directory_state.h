/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The directory's inside, shared by directory.c (what operations do), directory_snapshot.c (how it is written down) and
 * directory_users.c (lists of who uses a checkpoint).
 */
#ifndef VESTA_CORE_DIRECTORY_STATE_H
#define VESTA_CORE_DIRECTORY_STATE_H

#include "core/directory.h"

struct directory {
  table_t sessions;                                   /* by token.lo */
  table_t handles;                                    /* by id */
  table_t checkpoints;                                /* by id, unlinked ones too */
  table_t names;                                      /* checkpoints by name, not unlinked */
  uint64_t next_checkpoint, next_handle, next_member; /* never reused */
  uint64_t last_stream;                               /* the node's own */
  uint32_t stream_count;
  void *spare_session, *spare_handle, *spare_checkpoint, *spare_member;
};

/* Put one in, from the spare; the caller has checked that it may. */
directory_session_t *directory_session_add(directory_t *directory, const wire_message_t *op);
/* In the place of the oldest one. */
void directory_answer_keep(directory_session_t *session, const directory_answer_t *answer);
directory_checkpoint_t *directory_checkpoint_add(directory_t *directory, const wire_message_t *op);
void directory_name_link(directory_t *directory, directory_checkpoint_t *checkpoint);
directory_handle_t *directory_handle_add(directory_t *directory, uint64_t id, directory_session_t *session,
                                         directory_checkpoint_t *checkpoint, uint32_t flags);
/* Out of its checkpoint's list, its streams too; the rest is the caller's. */
void directory_handle_unlink(directory_t *directory, directory_handle_t *handle);
/* Into its checkpoint's list. */
void directory_handle_link(directory_handle_t *handle);
roles_member_t *directory_member_add(directory_t *directory, directory_checkpoint_t *checkpoint,
                                     const wire_message_t *op);

/* ---- directory.c ---- */
void directory_touch(directory_outcome_t *outcome, directory_checkpoint_t *checkpoint);
void directory_session_end(directory_t *directory, directory_session_t *session, int64_t now_ns,
                           directory_outcome_t *outcome);

/* ---- directory_replicas.c: where replicas are, who is primary, nodes that come and go ---- */

/** Make that node the primary, in a new epoch. False: it may not be now, and nothing is changed. */
bool directory_hand_over(directory_checkpoint_t *checkpoint, uint32_t node);

vesta_err_t directory_do_replica(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_primary_lost(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_claim(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_primary(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_recover(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_node_gone(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_node_back(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);
vesta_err_t directory_do_node_end(directory_t *directory, const wire_message_t *op, directory_outcome_t *outcome);

/** Write the replicas into a row; does a row make sense as such; read them from it. */
uint32_t directory_replicas_write(const directory_checkpoint_t *checkpoint,
                                  wire_element_t elements[VESTA_REPLICAS_MAX]);
bool directory_replicas_sound(const wire_message_t *row);
void directory_replicas_read(directory_checkpoint_t *checkpoint, const wire_message_t *row);

#endif
