/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The directory's inside, shared by directory.c (what operations do) and directory_snapshot.c (how it is written down).
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
  void *spare_session, *spare_handle, *spare_checkpoint, *spare_member;
};

/* Put one in, from the spare; the caller has checked that it may. */
directory_session_t *directory_session_add(directory_t *directory, const wire_message_t *op);
directory_checkpoint_t *directory_checkpoint_add(directory_t *directory, const wire_message_t *op);
void directory_name_link(directory_t *directory, directory_checkpoint_t *checkpoint);
directory_handle_t *directory_handle_add(directory_t *directory, uint64_t id, directory_session_t *session,
                                         directory_checkpoint_t *checkpoint, uint32_t flags);
roles_member_t *directory_member_add(directory_t *directory, directory_checkpoint_t *checkpoint,
                                     const wire_message_t *op);

#endif
