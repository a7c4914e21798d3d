/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The director's state machine; see directory.h. This file holds the tables and what each operation does to them; how the
 * whole is written down and read back is in directory_snapshot.c.
 */
#include "core/directory.h"

#include <stdlib.h>

#include "core/directory_state.h"

/* Retention shorter than this counts as none (clients pass a few microseconds for "at once"). */
#define DIRECTORY_RETENTION_NS_MIN 1000000

vesta_err_t directory_new(directory_t **out) {
  directory_t *directory = calloc(1, sizeof *directory);
  if (directory == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  directory->next_checkpoint = 1;
  directory->next_handle = 1;
  directory->next_member = 1;
  if (!table_init(&directory->sessions) || !table_init(&directory->handles) || !table_init(&directory->checkpoints) ||
      !table_init(&directory->names)) {
    directory_destroy(&directory);
    return VESTA_ERR_NO_MEMORY;
  }
  *out = directory;
  return VESTA_OK;
}

static void directory_free_members(directory_checkpoint_t *checkpoint) {
  while (checkpoint->group.members != NULL) {
    roles_member_t *member = checkpoint->group.members;
    roles_remove(&checkpoint->group, member);
    free(member);
  }
}

void directory_destroy(directory_t **directory) {
  directory_t *d = *directory;
  if (d == NULL) {
    return;
  }
  size_t bucket = 0;
  for (table_link_t *link = NULL, *next = table_each(&d->handles, &bucket, NULL); (link = next) != NULL;) {
    next = table_each(&d->handles, &bucket, link);
    directory_handle_t *handle = TABLE_ENTRY(link, directory_handle_t, by_id);
    directory_handle_unlink(d, handle);
    free(handle);
  }
  bucket = 0;
  for (table_link_t *link = NULL, *next = table_each(&d->sessions, &bucket, NULL); (link = next) != NULL;) {
    next = table_each(&d->sessions, &bucket, link);
    free(TABLE_ENTRY(link, directory_session_t, by_token));
  }
  bucket = 0;
  for (table_link_t *link = NULL, *next = table_each(&d->checkpoints, &bucket, NULL); (link = next) != NULL;) {
    next = table_each(&d->checkpoints, &bucket, link);
    directory_checkpoint_t *checkpoint = TABLE_ENTRY(link, directory_checkpoint_t, by_id);
    directory_free_members(checkpoint);
    free(checkpoint);
  }
  table_fini(&d->handles);
  table_fini(&d->sessions);
  table_fini(&d->checkpoints);
  table_fini(&d->names);
  free(d->spare_session);
  free(d->spare_handle);
  free(d->spare_checkpoint);
  free(d->spare_member);
  free(d);
  *directory = NULL;
}

static bool directory_spare(void **spare, size_t size) {
  if (*spare == NULL) {
    *spare = calloc(1, size);
  }
  return *spare != NULL;
}

vesta_err_t directory_reserve(directory_t *d) {
  bool all = directory_spare(&d->spare_session, sizeof(directory_session_t)) &&
             directory_spare(&d->spare_handle, sizeof(directory_handle_t)) &&
             directory_spare(&d->spare_checkpoint, sizeof(directory_checkpoint_t)) &&
             directory_spare(&d->spare_member, sizeof(roles_member_t));
  return all ? VESTA_OK : VESTA_ERR_NO_MEMORY;
}

static void *directory_take(void **spare) {
  void *taken = *spare;
  VESTA_ASSERT(taken != NULL); /* directory_reserve() was to be called before the operation was asked for */
  *spare = NULL;
  return taken;
}

/* ---- looking up ---- */

directory_session_t *directory_session(const directory_t *d, vesta_token_t token) {
  for (table_link_t *link = table_find(&d->sessions, token.lo); link != NULL; link = table_find_next(link)) {
    directory_session_t *session = TABLE_ENTRY(link, directory_session_t, by_token);
    if (vesta_token_equal(session->token, token)) {
      return session;
    }
  }
  return NULL;
}

directory_handle_t *directory_handle(const directory_t *d, uint64_t id) {
  for (table_link_t *link = table_find(&d->handles, table_hash_number(id)); link != NULL;
       link = table_find_next(link)) {
    directory_handle_t *handle = TABLE_ENTRY(link, directory_handle_t, by_id);
    if (handle->id == id) {
      return handle;
    }
  }
  return NULL;
}

directory_checkpoint_t *directory_checkpoint(const directory_t *d, uint64_t id) {
  table_link_t *link = table_find(&d->checkpoints, table_hash_number(id));
  for (; link != NULL; link = table_find_next(link)) {
    directory_checkpoint_t *checkpoint = TABLE_ENTRY(link, directory_checkpoint_t, by_id);
    if (checkpoint->id == id) {
      return checkpoint;
    }
  }
  return NULL;
}

static bool directory_retention_over(const directory_checkpoint_t *checkpoint, int64_t now_ns) {
  return checkpoint->open_count == 0 && checkpoint->retained_until_ns <= now_ns;
}

/* By name, whether or not its retention has run out. */
static directory_checkpoint_t *directory_named(const directory_t *d, vesta_bytes_t name) {
  table_link_t *link = table_find(&d->names, table_hash_bytes(name));
  for (; link != NULL; link = table_find_next(link)) {
    directory_checkpoint_t *checkpoint = TABLE_ENTRY(link, directory_checkpoint_t, by_name);
    if (vesta_bytes_equal(vesta_bytes(checkpoint->name, checkpoint->name_size), name)) {
      return checkpoint;
    }
  }
  return NULL;
}

directory_checkpoint_t *directory_name(const directory_t *d, vesta_bytes_t name, int64_t now_ns) {
  directory_checkpoint_t *checkpoint = directory_named(d, name);
  return checkpoint != NULL && !directory_retention_over(checkpoint, now_ns) ? checkpoint : NULL;
}

vesta_err_t directory_open_check(const directory_checkpoint_t *checkpoint, const wire_message_t *open) {
  if ((open->flags & VESTA_OPEN_CREATE) == 0) {
    return VESTA_OK;
  }
  vesta_attributes_t have = checkpoint->attributes;
  vesta_attributes_t want = wire_attributes(open);
  bool same = have.creation_flags == want.creation_flags && have.checkpoint_bytes == want.checkpoint_bytes &&
              have.sections_max == want.sections_max && have.section_bytes_max == want.section_bytes_max &&
              have.section_id_bytes_max == want.section_id_bytes_max;
  if ((open->flags & WIRE_FLAG_COMPARE_RETENTION) != 0) {
    same = same && have.retention_ns == want.retention_ns;
  }
  return same ? VESTA_OK : VESTA_ERR_EXIST;
}

const directory_answer_t *directory_answer(const directory_session_t *session, uint64_t number) {
  bool may_be = number != 0 && number <= session->answered_last;
  for (uint32_t i = 0; may_be && i < VESTA_SESSION_WINDOW; i++) {
    if (session->answers[i].number == number) {
      return &session->answers[i];
    }
  }
  return NULL;
}

void directory_answer_keep(directory_session_t *session, const directory_answer_t *answer) {
  session->answers[session->answer_next] = *answer;
  session->answer_next = (session->answer_next + 1) % VESTA_SESSION_WINDOW;
  session->answered_last = answer->number > session->answered_last ? answer->number : session->answered_last;
}

uint64_t directory_next_checkpoint(const directory_t *d) { return d->next_checkpoint; }
uint32_t directory_session_count(const directory_t *d) { return (uint32_t)d->sessions.count; }
uint32_t directory_handle_count(const directory_t *d) { return (uint32_t)d->handles.count; }
uint32_t directory_checkpoint_count(const directory_t *d) { return (uint32_t)d->checkpoints.count; }

directory_checkpoint_t *directory_each(const directory_t *d, size_t *bucket, const directory_checkpoint_t *checkpoint) {
  table_link_t *link = table_each(&d->checkpoints, bucket, checkpoint == NULL ? NULL : &checkpoint->by_id);
  return link == NULL ? NULL : TABLE_ENTRY(link, directory_checkpoint_t, by_id);
}

directory_session_t *directory_each_session(const directory_t *d, size_t *bucket, const directory_session_t *session) {
  table_link_t *link = table_each(&d->sessions, bucket, session == NULL ? NULL : &session->by_token);
  return link == NULL ? NULL : TABLE_ENTRY(link, directory_session_t, by_token);
}

/* ---- putting in and taking out ---- */

directory_session_t *directory_session_add(directory_t *d, const wire_message_t *op) {
  directory_session_t *session = directory_take(&d->spare_session);
  session->token = wire_token(op);
  session->node = (uint32_t)op->node;
  session->uid = (uint32_t)op->uid;
  session->pid = (uint32_t)op->pid;
  session->start = op->start;
  if (op->text.size > 0) {
    memcpy(session->program, op->text.data, op->text.size);
    session->program_size = op->text.size;
  }
  table_insert(&d->sessions, &session->by_token, session->token.lo);
  return session;
}

directory_checkpoint_t *directory_checkpoint_add(directory_t *d, const wire_message_t *op) {
  directory_checkpoint_t *checkpoint = directory_take(&d->spare_checkpoint);
  checkpoint->id = op->checkpoint;
  checkpoint->lineage = op->lineage;
  checkpoint->epoch = op->epoch;
  memcpy(checkpoint->name, op->name.data, op->name.size);
  checkpoint->name_size = op->name.size;
  checkpoint->attributes = wire_attributes(op);
  checkpoint->active_node = (uint32_t)op->node;
  checkpoint->retained_until_ns = VESTA_TIME_END;
  table_insert(&d->checkpoints, &checkpoint->by_id, table_hash_number(checkpoint->id));
  return checkpoint;
}

void directory_name_link(directory_t *d, directory_checkpoint_t *checkpoint) {
  vesta_bytes_t name = vesta_bytes(checkpoint->name, checkpoint->name_size);
  table_insert(&d->names, &checkpoint->by_name, table_hash_bytes(name));
}

directory_handle_t *directory_handle_add(directory_t *d, uint64_t id, directory_session_t *session,
                                         directory_checkpoint_t *checkpoint, uint32_t flags) {
  directory_handle_t *handle = directory_take(&d->spare_handle);
  handle->id = id;
  handle->session = session;
  handle->checkpoint = checkpoint;
  handle->flags = flags;
  directory_handle_link(handle);
  handle->next = session->handles;
  session->handles = handle;
  session->handle_count++;
  checkpoint->open_count++;
  table_insert(&d->handles, &handle->by_id, table_hash_number(id));
  return handle;
}

roles_member_t *directory_member_add(directory_t *d, directory_checkpoint_t *checkpoint, const wire_message_t *op) {
  roles_member_t *member = directory_take(&d->spare_member);
  member->id = op->member;
  member->session = wire_token(op);
  member->handle = op->handle;
  const directory_session_t *session = directory_session(d, member->session);
  member->node = session == NULL ? 0 : session->node;
  member->name_size = op->text.size;
  memcpy(member->name, op->text.data, op->text.size);
  member->priority = (uint32_t)op->priority;
  member->flags = (uint32_t)op->flags;
  member->promote_timeout_ns = op->timeout_ns;
  member->heartbeat_ns = op->expiry_ns;
  roles_add(&checkpoint->group, member);
  return member;
}

void directory_tracker_add(directory_handle_t *handle, directory_handle_t **trackers) {
  handle->tracker_next = *trackers;
  handle->tracker_place = trackers;
  if (*trackers != NULL) {
    (*trackers)->tracker_place = &handle->tracker_next;
  }
  *trackers = handle;
}

void directory_tracker_remove(directory_handle_t *handle) {
  if (handle->tracker_place != NULL) {
    *handle->tracker_place = handle->tracker_next;
    if (handle->tracker_next != NULL) {
      handle->tracker_next->tracker_place = handle->tracker_place;
    }
    handle->tracker_place = NULL;
  }
}

void directory_touch(directory_outcome_t *outcome, directory_checkpoint_t *checkpoint) {
  if (!checkpoint->touched && !checkpoint->removed) {
    checkpoint->touched = true;
    checkpoint->next = outcome->touched;
    outcome->touched = checkpoint;
  }
}

static void directory_remove(directory_t *d, directory_outcome_t *outcome, directory_checkpoint_t *checkpoint) {
  VESTA_ASSERT(checkpoint->open_count == 0);
  if (checkpoint->touched) {
    directory_checkpoint_t **at = &outcome->touched;
    while (*at != checkpoint) {
      at = &(*at)->next;
    }
    *at = checkpoint->next;
    checkpoint->touched = false;
  }
  if (!checkpoint->unlinked) {
    table_remove(&d->names, &checkpoint->by_name);
  }
  table_remove(&d->checkpoints, &checkpoint->by_id);
  checkpoint->removed = true;
  checkpoint->next = outcome->removed;
  outcome->removed = checkpoint;
  if (outcome->checkpoint == checkpoint) {
    outcome->checkpoint = NULL;
  }
}

void directory_bury(directory_t *d, directory_checkpoint_t *checkpoint) {
  (void)d;
  VESTA_ASSERT(checkpoint->removed);
  directory_free_members(checkpoint);
  free(checkpoint);
}

static int64_t directory_retained_until(const directory_checkpoint_t *checkpoint, int64_t now_ns) {
  int64_t retention_ns = checkpoint->attributes.retention_ns;
  if (retention_ns == VESTA_TIME_END || retention_ns > VESTA_TIME_END - now_ns) {
    return VESTA_TIME_END;
  }
  return now_ns + retention_ns;
}

/* One opener less; the last one starts the retention or ends the checkpoint. */
static void directory_close(directory_t *d, directory_outcome_t *outcome, directory_handle_t *handle, int64_t now_ns) {
  directory_checkpoint_t *checkpoint = handle->checkpoint;
  directory_session_t *session = handle->session;
  roles_member_t *member = roles_member_of(&checkpoint->group, session->token);
  if (member != NULL && member->handle == handle->id) {
    roles_remove(&checkpoint->group, member);
    free(member);
  }
  directory_handle_t **at = &session->handles;
  while (*at != handle) {
    at = &(*at)->next;
  }
  *at = handle->next;
  session->handle_count--;
  directory_tracker_remove(handle);
  directory_handle_unlink(d, handle);
  table_remove(&d->handles, &handle->by_id);
  free(handle);
  directory_touch(outcome, checkpoint);
  if (--checkpoint->open_count > 0) {
    return;
  }
  checkpoint->retained_until_ns = directory_retained_until(checkpoint, now_ns);
  if (checkpoint->unlinked || checkpoint->attributes.retention_ns < DIRECTORY_RETENTION_NS_MIN) {
    directory_remove(d, outcome, checkpoint);
  }
}

/* ---- the operations ---- */

/* The checkpoint of that name for an ordered operation; one whose retention has run out goes now. */
static directory_checkpoint_t *directory_judge_name(directory_t *d, const wire_message_t *op,
                                                    directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_named(d, op->name);
  if (checkpoint != NULL && directory_retention_over(checkpoint, op->time_ns)) {
    directory_remove(d, outcome, checkpoint);
    return NULL;
  }
  return checkpoint;
}

static vesta_err_t directory_do_session_begin(directory_t *d, const wire_message_t *op) {
  if (directory_session(d, wire_token(op)) != NULL) {
    return VESTA_ERR_EXIST;
  }
  if (op->text.size > VESTA_PROGRAM_BYTES_MAX) {
    return VESTA_ERR_MALFORMED;
  }
  if (d->sessions.count >= VESTA_CLIENTS_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  (void)directory_session_add(d, op);
  return VESTA_OK;
}

void directory_session_end(directory_t *d, directory_session_t *session, int64_t now_ns, directory_outcome_t *outcome) {
  while (session->handles != NULL) {
    directory_close(d, outcome, session->handles, now_ns);
  }
  table_remove(&d->sessions, &session->by_token);
  free(session);
}

static vesta_err_t directory_do_session_end(directory_t *d, const wire_message_t *op, directory_session_t *session,
                                            directory_outcome_t *outcome) {
  if (session == NULL) {
    return VESTA_ERR_BAD_HANDLE;
  }
  directory_session_end(d, session, op->time_ns, outcome);
  return VESTA_OK;
}

static vesta_err_t directory_do_open(directory_t *d, const wire_message_t *op, directory_session_t *session,
                                     directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_judge_name(d, op, outcome);
  if (d->handles.count >= VESTA_HANDLES_MAX || session->handle_count >= VESTA_HANDLES_PER_SESSION_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (checkpoint != NULL) {
    vesta_err_t err = directory_open_check(checkpoint, op);
    if (err != VESTA_OK) {
      return err;
    }
  } else {
    if ((op->flags & VESTA_OPEN_CREATE) == 0) {
      return VESTA_ERR_NOT_EXIST;
    }
    if (op->checkpoint != 0 && op->checkpoint < d->next_checkpoint) {
      return VESTA_ERR_TRY_AGAIN; /* its maker did not know of another one made meanwhile */
    }
    if (d->checkpoints.count >= VESTA_CHECKPOINTS_MAX) {
      return VESTA_ERR_NO_RESOURCES;
    }
    wire_message_t made = *op;
    made.checkpoint = op->checkpoint != 0 ? op->checkpoint : d->next_checkpoint;
    checkpoint = directory_checkpoint_add(d, &made);
    checkpoint->config = 1;
    checkpoint->primary = session->node;
    checkpoint->replicas[0] = (directory_replica_t){.node = session->node, .state = WIRE_REPLICA_IN_SYNC};
    checkpoint->replica_count = 1;
    directory_name_link(d, checkpoint);
    d->next_checkpoint = checkpoint->id + 1;
    outcome->created = true;
  }
  uint32_t mode = (uint32_t)op->flags & (VESTA_OPEN_READ | VESTA_OPEN_WRITE);
  directory_handle_t *handle = directory_handle_add(d, d->next_handle++, session, checkpoint, mode);
  outcome->answer.handle = handle->id;
  outcome->answer.checkpoint = checkpoint->id;
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_close(directory_t *d, const wire_message_t *op, directory_session_t *session,
                                      directory_outcome_t *outcome) {
  directory_handle_t *handle = directory_handle(d, op->handle);
  if (handle == NULL || handle->session != session) {
    return VESTA_ERR_BAD_HANDLE;
  }
  directory_close(d, outcome, handle, op->time_ns);
  return VESTA_OK;
}

static vesta_err_t directory_do_unlink(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_judge_name(d, op, outcome);
  if (checkpoint == NULL || (op->checkpoint != 0 && op->checkpoint != checkpoint->id)) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (checkpoint->open_count == 0) {
    directory_remove(d, outcome, checkpoint);
    return VESTA_OK;
  }
  table_remove(&d->names, &checkpoint->by_name);
  checkpoint->unlinked = true;
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_retention(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  if (checkpoint == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  if (checkpoint->unlinked) {
    return VESTA_ERR_BAD_OPERATION;
  }
  checkpoint->attributes.retention_ns = op->retention_ns;
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_active(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  if (checkpoint == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  bool moves = checkpoint->primary != op->node;
  if (moves && (op->epoch != checkpoint->epoch || !directory_hand_over(checkpoint, (uint32_t)op->node))) {
    return VESTA_ERR_TRY_AGAIN; /* not to a replica in sync, or drained in another epoch */
  }
  checkpoint->active_node = (uint32_t)op->node;
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

/* A checkpoint whose memory is gone: nobody can have it open any longer. */
static void directory_lose(directory_t *d, const wire_message_t *op, directory_checkpoint_t *checkpoint,
                           directory_outcome_t *outcome) {
  checkpoint->attributes.retention_ns = 0; /* so the last close removes it */
  while (!checkpoint->removed && checkpoint->oldest != NULL) {
    directory_close(d, outcome, checkpoint->oldest, op->time_ns);
  }
  if (!checkpoint->removed) {
    directory_remove(d, outcome, checkpoint);
  }
}

static vesta_err_t directory_do_remove(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  if (checkpoint != NULL && op->state == WIRE_REMOVE_LOST) {
    directory_lose(d, op, checkpoint, outcome);
    return VESTA_OK;
  }
  if (checkpoint == NULL || !directory_retention_over(checkpoint, op->time_ns)) {
    return VESTA_ERR_BAD_OPERATION; /* opened again in between */
  }
  directory_remove(d, outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_join(directory_t *d, const wire_message_t *op, directory_session_t *session,
                                     directory_outcome_t *outcome) {
  directory_handle_t *handle = directory_handle(d, op->handle);
  if (handle == NULL || handle->session != session) {
    return VESTA_ERR_BAD_HANDLE;
  }
  directory_checkpoint_t *checkpoint = handle->checkpoint;
  if (checkpoint->group.member_count >= VESTA_GROUP_MEMBERS_MAX) {
    return VESTA_ERR_NO_RESOURCES;
  }
  if (roles_member_of(&checkpoint->group, session->token) != NULL) {
    return VESTA_ERR_EXIST;
  }
  wire_message_t join = *op;
  join.member = d->next_member++;
  outcome->answer.member = directory_member_add(d, checkpoint, &join)->id;
  outcome->answer.checkpoint = checkpoint->id;
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_leave(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  roles_member_t *member = checkpoint == NULL ? NULL : roles_member(&checkpoint->group, op->member);
  if (member == NULL) {
    return VESTA_ERR_NOT_EXIST;
  }
  roles_remove(&checkpoint->group, member);
  free(member);
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_promote(directory_t *d, const wire_message_t *op, const directory_session_t *session,
                                        directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  const roles_member_t *member = checkpoint == NULL ? NULL : roles_member(&checkpoint->group, op->member);
  if (checkpoint == NULL || op->epoch <= checkpoint->epoch || (op->member != 0 && (member == NULL || member->absent))) {
    return VESTA_ERR_BAD_OPERATION; /* decided on something that has changed since */
  }
  checkpoint->epoch = op->epoch;
  roles_promote(&checkpoint->group, op->member, op->epoch);
  bool collocated = (checkpoint->attributes.creation_flags & VESTA_CREATE_COLLOCATED) != 0;
  bool has_active = (checkpoint->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) == 0;
  if (op->member != 0 && collocated && has_active && checkpoint->active_node == 0) {
    checkpoint->active_node = checkpoint->primary; /* it moves to where the member is when that has all there is */
  }
  const roles_member_t *asker = session == NULL ? NULL : roles_member_of(&checkpoint->group, session->token);
  if (asker != NULL && asker->id == op->member) { /* who asked for the role itself is told how it stands */
    outcome->answer.member = op->member;
    outcome->answer.checkpoint = checkpoint->id;
  }
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do_activate(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  directory_checkpoint_t *checkpoint = directory_checkpoint(d, op->checkpoint);
  if (checkpoint == NULL || checkpoint->group.state != ROLES_PROMOTING || checkpoint->group.epoch != op->epoch ||
      checkpoint->group.granted != op->member) {
    return VESTA_ERR_FENCED;
  }
  roles_activate(&checkpoint->group);
  outcome->answer.member = op->member;
  outcome->checkpoint = checkpoint;
  directory_touch(outcome, checkpoint);
  return VESTA_OK;
}

static vesta_err_t directory_do(directory_t *d, const wire_message_t *op, directory_session_t *session,
                                directory_outcome_t *outcome) {
  switch (op->kind) {
    case WIRE_OP_SESSION_BEGIN: return directory_do_session_begin(d, op);
    case WIRE_OP_SESSION_END: return directory_do_session_end(d, op, session, outcome);
    case WIRE_OP_OPEN: return session == NULL ? VESTA_ERR_BAD_HANDLE : directory_do_open(d, op, session, outcome);
    case WIRE_OP_CLOSE: return session == NULL ? VESTA_ERR_BAD_HANDLE : directory_do_close(d, op, session, outcome);
    case WIRE_OP_UNLINK: return directory_do_unlink(d, op, outcome);
    case WIRE_OP_RETENTION: return directory_do_retention(d, op, outcome);
    case WIRE_OP_ACTIVE: return directory_do_active(d, op, outcome);
    case WIRE_OP_REMOVE: return directory_do_remove(d, op, outcome);
    case WIRE_OP_JOIN: return session == NULL ? VESTA_ERR_BAD_HANDLE : directory_do_join(d, op, session, outcome);
    case WIRE_OP_LEAVE: return directory_do_leave(d, op, outcome);
    case WIRE_OP_PROMOTE: return directory_do_promote(d, op, session, outcome);
    case WIRE_OP_ACTIVATE: return directory_do_activate(d, op, outcome);
    case WIRE_OP_REPLICA: return directory_do_replica(d, op, outcome);
    case WIRE_OP_PRIMARY_LOST: return directory_do_primary_lost(d, op, outcome);
    case WIRE_OP_CLAIM: return directory_do_claim(d, op, outcome);
    case WIRE_OP_PRIMARY: return directory_do_primary(d, op, outcome);
    case WIRE_OP_RECOVER: return directory_do_recover(d, op, outcome);
    case WIRE_OP_NODE_GONE: return directory_do_node_gone(d, op, outcome);
    case WIRE_OP_NODE_BACK: return directory_do_node_back(d, op, outcome);
    case WIRE_OP_NODE_END: return directory_do_node_end(d, op, outcome);
    default: return VESTA_ERR_MALFORMED;
  }
}

void directory_apply(directory_t *d, const wire_message_t *op, directory_outcome_t *outcome) {
  *outcome = (directory_outcome_t){0};
  directory_session_t *session = directory_session(d, wire_token(op));
  const directory_answer_t *stored = session == NULL ? NULL : directory_answer(session, op->number);
  if (stored != NULL) {
    outcome->answer = *stored;
    return;
  }
  outcome->answer.number = op->number;
  outcome->answer.err = directory_do(d, op, session, outcome);
  bool session_lives = session != NULL && op->kind != WIRE_OP_SESSION_END;
  if (session_lives && op->number != 0) {
    directory_answer_keep(session, &outcome->answer);
  }
}
