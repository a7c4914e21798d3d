/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing a directory down and reading it back: one OP_SNAPSHOT row a thing, the things that are pointed at first.
 *
 *   state  row          fields
 *   1      counters     cursor: next handle, cursor_end: next checkpoint, member: next member
 *   2      session      token, node, flags: 1 orphan, uid, pid, start, text: program
 *   3      answer       token, number, error, handle, checkpoint, member
 *   4      checkpoint   checkpoint, lineage, epoch, name, attributes, node, flags: 1 unlinked, expiry_ns: retained until,
 *                       member and from_epoch: the grant, count: roles_state_t, config, cursor: the primary,
 *                       elements: the replicas (member: node, slot: state, index: 1 claimed, epoch, seq)
 *   5      handle       handle, checkpoint, token, flags
 *   6      member       checkpoint, member, token, handle, text, priority, flags, timeout_ns, expiry_ns: heartbeat,
 *                       count: 1 passed over, 2 absent, added up
 */
#include "core/directory_state.h"

enum {
  ROW_COUNTERS = 1,
  ROW_SESSION = 2,
  ROW_ANSWER = 3,
  ROW_CHECKPOINT = 4,
  ROW_HANDLE = 5,
  ROW_MEMBER = 6,
};

typedef struct row_writer {
  bool (*emit)(void *context, const wire_message_t *row);
  void *context;
} row_writer_t;

static bool row_write(const row_writer_t *writer, wire_message_t *row) {
  row->kind = WIRE_OP_SNAPSHOT;
  return writer->emit(writer->context, row);
}

static bool write_session(const row_writer_t *writer, const directory_session_t *session) {
  wire_message_t row = {.state = ROW_SESSION,
                        .token_hi = session->token.hi,
                        .token_lo = session->token.lo,
                        .node = session->node,
                        .flags = session->orphan ? 1 : 0,
                        .uid = session->uid,
                        .pid = session->pid,
                        .start = session->start,
                        .text = vesta_bytes(session->program, session->program_size)};
  if (!row_write(writer, &row)) {
    return false;
  }
  for (uint32_t i = 0; i < VESTA_SESSION_WINDOW; i++) {
    const directory_answer_t *answer = &session->answers[(session->answer_next + i) % VESTA_SESSION_WINDOW];
    wire_message_t stored = {.state = ROW_ANSWER,
                             .token_hi = session->token.hi,
                             .token_lo = session->token.lo,
                             .number = answer->number,
                             .error = (uint64_t)answer->err,
                             .handle = answer->handle,
                             .checkpoint = answer->checkpoint,
                             .member = answer->member};
    if (answer->number != 0 && !row_write(writer, &stored)) {
      return false;
    }
  }
  return true;
}

static bool write_checkpoint(const row_writer_t *writer, const directory_checkpoint_t *checkpoint) {
  const roles_group_t *group = &checkpoint->group;
  wire_message_t row = {.state = ROW_CHECKPOINT,
                        .checkpoint = checkpoint->id,
                        .lineage = checkpoint->lineage,
                        .epoch = checkpoint->epoch,
                        .name = vesta_bytes(checkpoint->name, checkpoint->name_size),
                        .node = checkpoint->active_node,
                        .flags = checkpoint->unlinked ? 1 : 0,
                        .expiry_ns = checkpoint->retained_until_ns,
                        .member = group->granted,
                        .from_epoch = group->epoch,
                        .count = (uint64_t)group->state,
                        .config = checkpoint->config,
                        .cursor = checkpoint->primary};
  wire_element_t replicas[VESTA_REPLICAS_MAX];
  row.elements = replicas;
  row.element_count = directory_replicas_write(checkpoint, replicas);
  wire_attributes_set(&row, &checkpoint->attributes);
  return row_write(writer, &row);
}

static bool write_members(const row_writer_t *writer, const directory_checkpoint_t *checkpoint) {
  for (const roles_member_t *member = checkpoint->group.members; member != NULL; member = member->next) {
    wire_message_t row = {.state = ROW_MEMBER,
                          .checkpoint = checkpoint->id,
                          .member = member->id,
                          .token_hi = member->session.hi,
                          .token_lo = member->session.lo,
                          .handle = member->handle,
                          .text = vesta_bytes(member->name, member->name_size),
                          .priority = member->priority,
                          .flags = member->flags,
                          .timeout_ns = member->promote_timeout_ns,
                          .expiry_ns = member->heartbeat_ns,
                          .count = (member->passed_over ? 1U : 0U) + (member->absent ? 2U : 0U)};
    if (!row_write(writer, &row)) {
      return false;
    }
  }
  return true;
}

/* Oldest first: that is how they are put into its list again. */
static bool write_handles(const row_writer_t *writer, const directory_checkpoint_t *checkpoint) {
  for (const directory_handle_t *handle = checkpoint->oldest; handle != NULL; handle = handle->newer) {
    wire_message_t row = {.state = ROW_HANDLE,
                          .handle = handle->id,
                          .checkpoint = checkpoint->id,
                          .token_hi = handle->session->token.hi,
                          .token_lo = handle->session->token.lo,
                          .flags = handle->flags};
    if (!row_write(writer, &row)) {
      return false;
    }
  }
  return true;
}

bool directory_snapshot(const directory_t *d, bool (*emit)(void *context, const wire_message_t *row), void *context) {
  row_writer_t writer = {.emit = emit, .context = context};
  wire_message_t counters = {
      .state = ROW_COUNTERS, .cursor = d->next_handle, .cursor_end = d->next_checkpoint, .member = d->next_member};
  bool ok = row_write(&writer, &counters);
  size_t bucket = 0;
  for (directory_session_t *s = NULL; ok && (s = directory_each_session(d, &bucket, s)) != NULL;) {
    ok = write_session(&writer, s);
  }
  bucket = 0;
  for (directory_checkpoint_t *c = NULL; ok && (c = directory_each(d, &bucket, c)) != NULL;) {
    ok = write_checkpoint(&writer, c);
  }
  bucket = 0;
  for (directory_checkpoint_t *c = NULL; ok && (c = directory_each(d, &bucket, c)) != NULL;) {
    ok = write_handles(&writer, c);
  }
  bucket = 0;
  for (directory_checkpoint_t *c = NULL; ok && (c = directory_each(d, &bucket, c)) != NULL;) {
    ok = write_members(&writer, c);
  }
  return ok;
}

/* ---- reading ---- */

static vesta_err_t restore_answer(directory_session_t *session, const wire_message_t *row) {
  const directory_answer_t answer = {.number = row->number,
                                     .err = (vesta_err_t)row->error,
                                     .handle = row->handle,
                                     .checkpoint = row->checkpoint,
                                     .member = row->member};
  directory_answer_keep(session, &answer);
  return VESTA_OK;
}

static vesta_err_t restore_checkpoint(directory_t *d, const wire_message_t *row) {
  if (row->name.size == 0 || row->count > ROLES_ACTIVE || directory_checkpoint(d, row->checkpoint) != NULL ||
      !directory_replicas_sound(row)) {
    return VESTA_ERR_MALFORMED;
  }
  directory_checkpoint_t *checkpoint = directory_checkpoint_add(d, row);
  directory_replicas_read(checkpoint, row);
  checkpoint->retained_until_ns = row->expiry_ns;
  checkpoint->unlinked = row->flags == 1;
  checkpoint->group.granted = row->member;
  checkpoint->group.epoch = row->from_epoch;
  checkpoint->group.state = (roles_state_t)row->count;
  if (!checkpoint->unlinked) {
    directory_name_link(d, checkpoint);
  }
  return VESTA_OK;
}

vesta_err_t directory_restore(directory_t *d, const wire_message_t *row) {
  vesta_err_t err = directory_reserve(d);
  if (err != VESTA_OK) {
    return err;
  }
  directory_session_t *session = directory_session(d, wire_token(row));
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, row->checkpoint);
  switch (row->state) {
    case ROW_COUNTERS:
      d->next_handle = row->cursor;
      d->next_checkpoint = row->cursor_end;
      d->next_member = row->member;
      return VESTA_OK;
    case ROW_SESSION:
      if (session != NULL || row->text.size > VESTA_PROGRAM_BYTES_MAX) {
        return VESTA_ERR_MALFORMED;
      }
      directory_session_add(d, row)->orphan = row->flags == 1;
      return VESTA_OK;
    case ROW_ANSWER: return session == NULL ? VESTA_ERR_MALFORMED : restore_answer(session, row);
    case ROW_CHECKPOINT: return restore_checkpoint(d, row);
    case ROW_HANDLE:
      if (session == NULL || checkpoint == NULL || directory_handle(d, row->handle) != NULL) {
        return VESTA_ERR_MALFORMED;
      }
      (void)directory_handle_add(d, row->handle, session, checkpoint, (uint32_t)row->flags);
      return VESTA_OK;
    case ROW_MEMBER: {
      if (checkpoint == NULL || row->text.size > VESTA_MEMBER_NAME_BYTES_MAX) {
        return VESTA_ERR_MALFORMED;
      }
      roles_member_t *member = directory_member_add(d, checkpoint, row);
      member->passed_over = (row->count & 1) != 0;
      member->absent = (row->count & 2) != 0;
      return VESTA_OK;
    }
    default: return VESTA_ERR_MALFORMED;
  }
}
