/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Telling changes to those who track them: behind the calls of saCkpt_B_02_03.h and cpsv_papi.h.
 *
 * A checkpoint's trackers are its handles, open for READ, for which TRACK was asked, one by one or for all handles of
 * their session. They stand in a list at the checkpoint, so a change that nobody tracks costs one test. Each is told
 * every operation but its own, as one TRACKED with the elements in the units in which the writer wrote them, on its
 * session's link of callbacks, after the operation was answered. Sections that expire in one step are told together.
 *
 * What can't be told is not kept. A session that has no link of callbacks now misses it (counted), as it misses what
 * a daemon had committed that died before telling it; a link that does not take what is sent is closed, as any
 * other. Whoever must not miss a change uses the change stream. TRACK is not journaled: an agent asks again on every new link.
 */
#include "core/node_cluster.h"

static uint32_t node_tracks(const directory_handle_t *handle) {
  return (handle->flags & VESTA_OPEN_READ) == 0 ? 0 : handle->track | handle->session->track;
}

static void node_track_enlist(node_t *node, directory_handle_t *handle) {
  bool listed = handle->tracker_place != NULL;
  bool wanted = node_tracks(handle) != 0;
  if (wanted && handle->checkpoint->local == NULL) { /* in a cluster: when there is a replica here */
    node_shared_t *shared = node_shared(node, handle->checkpoint);
    if (shared != NULL) {
      node_place_wanted(node, shared, WIRE_REPLICA_FOLLOWER);
    }
  } else if (wanted && !listed) {
    directory_tracker_add(handle, &handle->checkpoint->local->trackers);
  } else if (!wanted) {
    directory_tracker_remove(handle);
  }
}

void node_track(node_t *node, const node_request_t *request) {
  const wire_message_t *message = request->message;
  directory_handle_t *handle = request->handle;
  uint32_t flags = (uint32_t)message->flags;
  vesta_err_t err = VESTA_OK;
  if ((flags & ~(uint32_t)(WIRE_TRACK_ARRIVAL | WIRE_TRACK_CHANGES)) != 0 || message->state > 1) {
    err = VESTA_ERR_INVALID_PARAM;
  } else if (handle != NULL && (handle->flags & VESTA_OPEN_READ) == 0) {
    err = VESTA_ERR_ACCESS;
  } else {
    uint32_t *track = handle != NULL ? &handle->track : &request->session->track;
    *track = message->state == 1 ? *track | flags : *track & ~flags;
    for (directory_handle_t *h = request->session->handles; h != NULL; h = h->next) {
      if (handle == NULL || handle == h) {
        node_track_enlist(node, h);
      }
    }
  }
  (void)node_answer(node, request->event->link, message->number, err, NULL);
}

void node_track_opened(node_t *node, uint64_t id) {
  directory_handle_t *handle = directory_handle(node->directory, id);
  if (handle != NULL) {
    node_track_enlist(node, handle);
  }
}

/* To everybody but who did it. */
static void node_tell(node_t *node, const directory_checkpoint_t *checkpoint, const wire_element_t *elements,
                      uint32_t count, uint32_t whom, const directory_handle_t *by) {
  for (const directory_handle_t *h = checkpoint->local->trackers; h != NULL; h = h->tracker_next) {
    uint32_t flags = node_tracks(h) & whom;
    if (h == by || flags == 0) {
      continue;
    }
    if (h->session->callback_link == 0) {
      node_count(node, NODE_COUNTER_TRACKED_MISSED);
      continue;
    }
    node_count(node, NODE_COUNTER_TRACKED);
    wire_message_t *told = node_answer(node, h->session->callback_link, 0, VESTA_OK, NULL);
    told->kind = WIRE_TRACKED;
    told->handle = h->id;
    told->flags = flags;
    told->elements = elements;
    told->element_count = count;
  }
}

void node_track_changed(node_t *node, const node_request_t *request, const replica_result_t *result) {
  if (request->checkpoint->local->trackers == NULL) {
    return;
  }
  uint32_t count = 0;
  uint32_t whom = WIRE_TRACK_CHANGES;
  for (uint32_t i = 0; i < request->message->element_count; i++) {
    const replica_element_t *from = &node->replica_elements[i];
    if (from->kind == VESTA_KIND_EXPIRY_SET) {
      continue; /* what can be read is the same */
    }
    bool deleted = from->kind == VESTA_KIND_DELETED;
    bool generated = from->kind == VESTA_KIND_CREATED && from->id.size == 0;
    whom |= deleted ? 0 : WIRE_TRACK_ARRIVAL;
    node->tracked[count++] =
        (wire_element_t){.kind = from->kind,
                         .id = generated ? vesta_bytes(result->generated_id, result->generated_id_size) : from->id,
                         .offset = from->kind == VESTA_KIND_WRITTEN ? from->offset : 0,
                         .size = deleted ? 0 : from->data.size};
  }
  if (count > 0) {
    node_tell(node, request->checkpoint, node->tracked, count, whom, request->handle);
  }
}

/* More has happened in one step than can be told. Those who track it get a new link, as they would if they had not read. */
static void node_track_overflow(node_t *node, const directory_checkpoint_t *checkpoint, uint32_t whom) {
  for (const directory_handle_t *h = checkpoint->local->trackers; h != NULL; h = h->tracker_next) {
    directory_session_t *session = h->session;
    if ((node_tracks(h) & whom) != 0 && session->callback_link != 0) {
      node_count(node, NODE_COUNTER_TRACKED_OVERFLOWS);
      node_act(node, NODE_ACTION_CLOSE_LINK)->link = session->callback_link;
      session->callback_link = 0;
    }
  }
}

/* ---- in a cluster ---- */

void node_trackers_again(node_t *node, directory_checkpoint_t *checkpoint) {
  for (directory_handle_t *h = checkpoint->oldest; h != NULL; h = h->newer) {
    if (h->session->node == node->config.node_id) {
      node_track_enlist(node, h);
    }
  }
}

void node_trackers_off(directory_checkpoint_t *checkpoint) {
  while (checkpoint->local->trackers != NULL) {
    directory_tracker_remove(checkpoint->local->trackers);
  }
}

void node_track_record(node_t *node, directory_checkpoint_t *checkpoint, const replica_record_t *record,
                       uint64_t handle) {
  if (checkpoint->local->trackers == NULL) {
    return;
  }
  if (!node_has_room(node)) { /* one message of a primary may bring many */
    node_track_overflow(node, checkpoint, WIRE_TRACK_ARRIVAL | WIRE_TRACK_CHANGES);
    return;
  }
  uint64_t ids = 0;
  replica_record_t walk = *record;
  for (replica_change_t change; replica_record_next(&walk, &change);) {
    ids += change.element.id.size;
  }
  wire_element_t *told = node_arena(node, record->element_count * sizeof *told + ids);
  if (told == NULL) {
    node_count(node, NODE_COUNTER_TRACKED_MISSED);
    return;
  }
  uint8_t *rest = (uint8_t *)(told + record->element_count);
  uint32_t count = 0;
  uint32_t whom = WIRE_TRACK_CHANGES;
  walk = *record;
  for (replica_change_t change; replica_record_next(&walk, &change);) {
    const replica_element_t *e = &change.element;
    bool gone = e->kind == VESTA_KIND_DELETED || e->kind == VESTA_KIND_EXPIRED;
    bool come = e->kind == VESTA_KIND_CREATED || e->kind == VESTA_KIND_WRITTEN || e->kind == VESTA_KIND_OVERWRITTEN;
    if (!gone && !come) {
      continue; /* what can be read is the same */
    }
    whom |= gone ? 0 : WIRE_TRACK_ARRIVAL;
    told[count] = (wire_element_t){.kind = e->kind,
                                   .id = e->id,
                                   .offset = e->kind == VESTA_KIND_WRITTEN ? e->offset : 0,
                                   .size = gone ? 0 : e->data.size};
    if (e->id.size > 0) {
      told[count].id.data = memcpy(rest, e->id.data, e->id.size);
      rest += e->id.size;
    }
    count++;
  }
  if (count > 0) {
    node_tell(node, checkpoint, told, count, whom, directory_handle(node->directory, handle));
  }
}

/* ---- expiry ---- */

void node_track_expiring(node_t *node, const directory_checkpoint_t *checkpoint, vesta_bytes_t id) {
  if (node->cluster == NULL && checkpoint->local->trackers != NULL && node->expired_count < NODE_EXPIRED_MAX) {
    uint8_t *kept = node->expired_ids + (size_t)node->expired_count * VESTA_SECTION_ID_BYTES_MAX;
    memcpy(kept, id.data, id.size);
    node->expired[node->expired_count] = (wire_element_t){.kind = VESTA_KIND_EXPIRED, .id = vesta_bytes(kept, id.size)};
  }
}

void node_track_expired(node_t *node, const directory_checkpoint_t *checkpoint) {
  if (node->cluster != NULL || checkpoint->local->trackers == NULL) {
    return; /* in a cluster it is told when it is committed */
  }
  if (node->expired_count < NODE_EXPIRED_MAX) {
    node->expired_count++;
  } else {
    node_track_overflow(node, checkpoint, WIRE_TRACK_CHANGES); /* a request met them before their time was seen */
  }
}

void node_track_expired_all(node_t *node, const directory_checkpoint_t *checkpoint, uint32_t first) {
  if (node->expired_count > first) {
    node_tell(node, checkpoint, node->expired + first, node->expired_count - first, WIRE_TRACK_CHANGES, NULL);
  }
}
