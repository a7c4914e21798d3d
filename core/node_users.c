/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is told to people who look (vesta ls, show, top): which checkpoints there are, who uses one, what is done with
 * them. Nothing here changes anything but what streams say of themselves, which is for people too.
 *
 * Lists are told piece by piece. The cursor is an id, and ids rise in each list, so rows that come and go between two
 * pieces are shown or not, and no other is left out or shown twice.
 *
 * How far a stream is only its application knows: it says so about once a second, when it takes changes or waits for
 * some. `behind` is counted when that arrives, so that a stream that keeps up under load is 0 behind and not a second's
 * worth of writes. Who has not spoken for longer is, at the least, behind by all that was committed since its position.
 */
#include "core/node_cluster.h"

/* ---- all checkpoints ---- */

/* One row a checkpoint. Ids rise, so the cursor is the next id to show. */
void node_list(node_t *node, const node_request_t *request) {
  uint32_t count = 0;
  uint64_t id = request->message->cursor;
  uint64_t end = directory_next_checkpoint(node->directory);
  for (; id < end && count < VESTA_ITERATE_SECTIONS_MAX; id++) {
    const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, id);
    if (checkpoint == NULL) {
      continue;
    }
    replica_status_t status = {0}; /* in a cluster it may be on other nodes only */
    if (checkpoint->local != NULL) {
      replica_status(checkpoint->local->replica, &status);
    }
    node->elements[count++] = (wire_element_t){.kind = checkpoint->unlinked ? VESTA_KIND_UNLINKED : VESTA_KIND_CREATED,
                                               .id = vesta_bytes(checkpoint->name, checkpoint->name_size),
                                               .member = checkpoint->id,
                                               .count = status.section_count,
                                               .offset = status.data_bytes,
                                               .index = checkpoint->open_count,
                                               .expiry_ns = checkpoint->attributes.retention_ns,
                                               .epoch = status.committed.epoch,
                                               .seq = status.committed.seq,
                                               .slot = checkpoint->attributes.creation_flags};
  }
  wire_message_t *reply = node_answer(node, request->event->link, request->message->number, VESTA_OK, NULL);
  reply->elements = node->elements;
  reply->element_count = count;
  reply->cursor = id;
  reply->state = id >= end ? 1 : 0;
}

/* ---- how far somebody is ---- */

#define USERS_FRESH_NS ((int64_t)VESTA_SILENCE_PERIODS * VESTA_BEACON_PERIOD_MS * 1000000)

uint64_t node_behind(const directory_checkpoint_t *checkpoint, vesta_pos_t position) {
  return replica_committed(checkpoint->local->replica).seq - position.seq;
}

/* As of now. `behind` is what it was when it was told. */
static uint64_t users_behind(const node_t *node, const replica_status_t *status, vesta_pos_t position, uint64_t behind,
                             int64_t told_ns) {
  bool fresh = node->steady_ns - told_ns <= USERS_FRESH_NS || status->committed.seq < position.seq;
  return fresh ? behind : status->committed.seq - position.seq;
}

/* ---- who uses one ---- */

static void users_handle(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after,
                         wire_message_t *row) {
  const directory_handle_t *handle = directory_handle_after(node->directory, checkpoint, after);
  if (handle == NULL) {
    return;
  }
  const directory_session_t *session = handle->session;
  bool here = node->cluster == NULL || session->node == node->config.node_id;
  row->state = (here ? session->link == 0 : session->orphan) ? 0 : WIRE_USER_CONNECTED;
  row->cursor = handle->id;
  row->handle = handle->id;
  row->flags = handle->flags;
  row->pid = session->pid;
  row->uid = session->uid;
  row->start = session->start;
  row->text = vesta_bytes(session->program, session->program_size);
  row->node = here ? node->config.node_id : session->node;
}

static bool users_is_active(const roles_group_t *group, const roles_member_t *member) {
  return group->state == ROLES_ACTIVE && group->granted == member->id;
}

static void users_member(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after,
                         wire_message_t *row) {
  const roles_group_t *group = &checkpoint->group;
  const roles_member_t *member = group->members;
  while (member != NULL && member->id <= after) {
    member = member->next;
  }
  if (member == NULL) {
    return;
  }
  bool promoting = group->state == ROLES_PROMOTING && group->granted == member->id;
  row->state = (member->synced ? WIRE_USER_SYNCED : 0U) | (promoting ? WIRE_USER_PROMOTING : 0U) |
               (users_is_active(group, member) ? WIRE_USER_ACTIVE : 0U);
  row->cursor = member->id;
  row->member = member->id;
  row->handle = member->handle;
  row->text = vesta_bytes(member->name, member->name_size);
  row->priority = member->priority;
  row->flags = member->flags;
  row->timeout_ns = member->promote_timeout_ns;
  if (member->applied.epoch != 0 && checkpoint->local != NULL) {
    replica_status_t status;
    replica_status(checkpoint->local->replica, &status);
    row->state |= WIRE_USER_TOLD;
    wire_pos_set(row, member->applied);
    row->size = users_behind(node, &status, member->applied, member->behind, member->told_ns);
    row->time_ns = node->steady_ns - member->told_ns;
  }
}

static void users_stream(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after,
                         wire_message_t *row) {
  const directory_stream_t *stream = checkpoint->streams;
  while (stream != NULL && stream->id <= after) {
    stream = stream->newer;
  }
  if (stream == NULL) {
    return;
  }
  row->state = 0;
  row->cursor = stream->id;
  row->member = stream->id;
  row->handle = stream->handle->id;
  if (stream->position.epoch != 0 && checkpoint->local != NULL) {
    replica_status_t status;
    replica_status(checkpoint->local->replica, &status);
    row->state = WIRE_USER_TOLD;
    wire_pos_set(row, stream->position);
    row->size = users_behind(node, &status, stream->position, stream->behind, stream->told_ns);
    row->time_ns = node->steady_ns - stream->told_ns;
  }
}

/* The cursor is the node's id. Alone there is one. */
static void users_replica(const node_t *node, const directory_checkpoint_t *checkpoint, uint64_t after,
                          wire_message_t *row) {
  if (node->cluster != NULL) {
    node_users_replica(node, checkpoint, after, row);
    return;
  }
  if (after >= node->config.node_id) {
    return;
  }
  replica_status_t status;
  replica_status(checkpoint->local->replica, &status);
  row->state = WIRE_USER_LISTED | WIRE_USER_IN_SYNC | WIRE_USER_PRIMARY | WIRE_USER_TOLD |
               (checkpoint->active_node == node->config.node_id ? WIRE_USER_ACTIVE : 0U);
  row->cursor = node->config.node_id;
  row->node = node->config.node_id;
  row->count = status.section_count;
  row->size = status.data_bytes;
  wire_attributes_set(row, &checkpoint->attributes);
  wire_pos_set(row, status.committed);
}

void node_users(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, message->checkpoint);
  if (checkpoint == NULL) {
    node_refuse(node, request, VESTA_ERR_NOT_EXIST);
    return;
  }
  if (message->state > WIRE_USERS_REPLICAS) {
    node_refuse(node, request, VESTA_ERR_INVALID_PARAM);
    return;
  }
  static void (*const lists[])(const node_t *, const directory_checkpoint_t *, uint64_t,
                               wire_message_t *) = {[WIRE_USERS_HANDLES] = users_handle,
                                                    [WIRE_USERS_MEMBERS] = users_member,
                                                    [WIRE_USERS_STREAMS] = users_stream,
                                                    [WIRE_USERS_REPLICAS] = users_replica};
  wire_message_t *row = node_answer(node, request->event->link, message->number, VESTA_OK, NULL);
  row->state = WIRE_USER_NONE;
  lists[message->state](node, checkpoint, message->cursor, row);
}

/* ---- what is done with all ---- */

/* What the slowest is behind, of those who have said how far they are. The active member follows nobody. */
static uint64_t load_behind_max(const node_t *node, const directory_checkpoint_t *checkpoint,
                                const replica_status_t *status) {
  uint64_t most = 0;
  for (const directory_stream_t *s = checkpoint->streams; s != NULL; s = s->newer) {
    uint64_t behind = s->position.epoch == 0 ? 0 : users_behind(node, status, s->position, s->behind, s->told_ns);
    most = behind > most ? behind : most;
  }
  for (const roles_member_t *m = checkpoint->group.members; m != NULL; m = m->next) {
    bool counts = m->applied.epoch != 0 && !users_is_active(&checkpoint->group, m);
    uint64_t behind = counts ? users_behind(node, status, m->applied, m->behind, m->told_ns) : 0;
    most = behind > most ? behind : most;
  }
  return most;
}

void node_load(node_t *node, const node_request_t *request) {
  uint32_t count = 0;
  uint64_t id = request->message->cursor;
  uint64_t end = directory_next_checkpoint(node->directory);
  for (; id < end && count < VESTA_ITERATE_SECTIONS_MAX; id++) {
    const directory_checkpoint_t *checkpoint = directory_checkpoint(node->directory, id);
    if (checkpoint == NULL || checkpoint->local == NULL) {
      continue;
    }
    replica_status_t status;
    replica_status(checkpoint->local->replica, &status);
    uint64_t behind = load_behind_max(node, checkpoint, &status);
    node->elements[count++] = (wire_element_t){.member = checkpoint->id,
                                               .epoch = status.committed.epoch,
                                               .seq = status.committed.seq,
                                               .offset = checkpoint->local->written_bytes,
                                               .count = checkpoint->stream_count,
                                               .index = checkpoint->group.member_count,
                                               .slot = behind < UINT32_MAX ? (uint32_t)behind : UINT32_MAX};
  }
  wire_message_t *reply = node_answer(node, request->event->link, request->message->number, VESTA_OK, NULL);
  reply->elements = node->elements;
  reply->element_count = count;
  reply->cursor = id;
  reply->state = id >= end ? 1 : 0;
}

/* ---- streams ---- */

/* Numbered by the time, so that a number of the daemon's earlier run, which a stream may come back with, is no other's. */
uint64_t node_stream_opened(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  directory_stream_t *stream = directory_stream(request->handle, message->member, message->number);
  if (stream == NULL) {
    stream = directory_stream_add(node->directory, request->handle, (uint64_t)(node->steady_ns / 1000));
  }
  if (stream == NULL) {
    node_count(node, NODE_COUNTER_STREAMS_UNLISTED);
    return 0;
  }
  stream->request = message->number;
  return stream->id;
}

bool node_progress_is_of_stream(const wire_message_t *progress) {
  return progress->state == WIRE_PROGRESS_STREAM || progress->state == WIRE_PROGRESS_STREAM_END;
}

void node_stream_progress(node_t *node, const node_request_t *request) {
  directory_stream_t *stream = directory_stream(request->handle, request->message->member, 0);
  if (stream == NULL) {
    return; /* it is not listed */
  }
  if (request->message->state == WIRE_PROGRESS_STREAM_END) {
    directory_stream_remove(node->directory, stream);
    return;
  }
  vesta_pos_t position = wire_pos(request->message);
  bool ours = replica_position_check(request->checkpoint->local->replica, position) == VESTA_OK;
  stream->position = ours ? position : (vesta_pos_t){0};
  stream->behind = ours ? node_behind(request->checkpoint, position) : 0;
  stream->told_ns = node->steady_ns;
}
