/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes that are told as callbacks. See agent_track.h.
 */
#include "saf_api/agent_track.h"

#include <stdlib.h>

#include "saf_api/agent_checkpoint.h"

#define TRACK_FRAME_BYTES 128U /* a TRACK needs no more */

/* One callback's worth; the ids follow behind the vector. */
struct agent_tracked {
  struct agent_tracked *next;
  uint64_t remote;                      /* the daemon's number of the checkpoint handle */
  bool arrival;                         /* for the arrival callback, else for the track callback */
  ncsCkptCkptArrivalCallbackT callback; /* set, like the handle, when it is taken: both kinds have one shape */
  SaCkptCheckpointHandleT checkpoint;
  SaUint32T count;
  SaCkptIOVectorElementT vector[];
};

/* ---- registering ---- */

static bool track_is_on(const agent_session_t *session, const agent_checkpoint_t *checkpoint, uint32_t flag) {
  return checkpoint != NULL ? checkpoint->tracks : (session->track & flag) != 0;
}

static void track_put(agent_session_t *session, agent_checkpoint_t *checkpoint, uint32_t flag, bool on) {
  if (checkpoint != NULL) {
    checkpoint->tracks = on;
  } else {
    session->track = on ? session->track | flag : session->track & ~flag;
  }
}

static wire_message_t track_message(const agent_checkpoint_t *checkpoint, uint32_t flags, bool on) {
  return (wire_message_t){
      .kind = WIRE_TRACK, .handle = checkpoint != NULL ? checkpoint->remote : 0, .flags = flags, .state = on ? 1 : 0};
}

/* What is wanted is noted before the daemon is asked, so that a link made meanwhile asks for it too. */
static vesta_err_t track_turn(agent_session_t *session, agent_checkpoint_t *checkpoint, uint32_t flag, bool on) {
  agent_request_t request = {.message = track_message(checkpoint, flag, on), .deadline_ns = agent_call_limit()};
  (void)pthread_mutex_lock(&session->lock);
  bool was = track_is_on(session, checkpoint, flag);
  track_put(session, checkpoint, flag, on);
  vesta_err_t err = on && !was ? agent_link_add_callbacks(session, request.deadline_ns) : VESTA_OK;
  (void)pthread_mutex_unlock(&session->lock);
  if (err == VESTA_OK && on != was) {
    agent_reply_t reply;
    err = agent_call(session, &request, &reply);
    agent_reply_fini(&reply);
  }
  if (err != VESTA_OK) {
    (void)pthread_mutex_lock(&session->lock);
    track_put(session, checkpoint, flag, was);
    (void)pthread_mutex_unlock(&session->lock);
  }
  return err == VESTA_OK && !on && !was ? VESTA_ERR_NOT_EXIST : err;
}

vesta_err_t agent_track_start(agent_session_t *session, agent_checkpoint_t *checkpoint, uint32_t flag) {
  (void)pthread_mutex_lock(&session->track_lock);
  vesta_err_t err = track_turn(session, checkpoint, flag, true);
  (void)pthread_mutex_unlock(&session->track_lock);
  return err;
}

vesta_err_t agent_track_stop(agent_session_t *session, agent_checkpoint_t *checkpoint, uint32_t flag) {
  (void)pthread_mutex_lock(&session->track_lock);
  vesta_err_t err = track_turn(session, checkpoint, flag, false);
  (void)pthread_mutex_unlock(&session->track_lock);
  return err;
}

vesta_err_t agent_track_arrival(agent_session_t *session, ncsCkptCkptArrivalCallbackT callback) {
  (void)pthread_mutex_lock(&session->track_lock);
  ncsCkptCkptArrivalCallbackT before = atomic_exchange(&session->arrival, callback);
  vesta_err_t err = track_turn(session, NULL, WIRE_TRACK_ARRIVAL, true);
  if (err != VESTA_OK) {
    atomic_store(&session->arrival, before);
  }
  (void)pthread_mutex_unlock(&session->track_lock);
  return err;
}

static vesta_err_t track_send(agent_session_t *session, const agent_checkpoint_t *checkpoint, uint32_t flags) {
  wire_message_t message = track_message(checkpoint, flags, true);
  message.number = agent_number(session); /* nobody waits for the answer */
  uint8_t buffer[TRACK_FRAME_BYTES];
  uint8_t *frame;
  size_t frame_bytes;
  vesta_err_t err = agent_frame_encode(&message, 0, buffer, sizeof buffer, &frame, &frame_bytes);
  if (err == VESTA_OK) {
    struct iovec part = {.iov_base = frame, .iov_len = frame_bytes};
    size_t sent = 0;
    err = agent_frame_send(session->calls.fd, &part, 1, 0, &sent);
    if (frame != buffer) {
      free(frame);
    }
  }
  return err;
}

vesta_err_t agent_track_resend(agent_session_t *session) {
  vesta_err_t err = session->track != 0 ? track_send(session, NULL, session->track) : VESTA_OK;
  for (const agent_checkpoint_t *c = session->checkpoints; c != NULL && err == VESTA_OK; c = c->next) {
    if (c->tracks) {
      err = track_send(session, c, WIRE_TRACK_CHANGES);
    }
  }
  return err;
}

/* ---- what came ---- */

static bool track_concerns(const wire_element_t *element, bool arrival) {
  bool data = element->kind == VESTA_KIND_CREATED || element->kind == VESTA_KIND_WRITTEN ||
              element->kind == VESTA_KIND_OVERWRITTEN;
  bool gone = element->kind == VESTA_KIND_DELETED || element->kind == VESTA_KIND_EXPIRED;
  return data || (gone && !arrival);
}

static vesta_err_t track_keep(agent_session_t *session, const wire_message_t *message, bool arrival) {
  size_t count = 0;
  size_t ids_bytes = 0;
  for (uint32_t i = 0; i < message->element_count; i++) {
    if (track_concerns(&message->elements[i], arrival)) {
      count++;
      ids_bytes += message->elements[i].id.size;
    }
  }
  if (count == 0) {
    return VESTA_OK;
  }
  agent_tracked_t *tracked = malloc(sizeof *tracked + count * sizeof tracked->vector[0] + ids_bytes);
  if (tracked == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *tracked = (agent_tracked_t){.remote = message->handle, .arrival = arrival};
  uint8_t *ids = (uint8_t *)(tracked->vector + count);
  for (uint32_t i = 0; i < message->element_count; i++) {
    const wire_element_t *element = &message->elements[i];
    if (track_concerns(element, arrival)) {
      bool named = element->id.size > 0; /* else it is the default section */
      tracked->vector[tracked->count++] =
          (SaCkptIOVectorElementT){.sectionId = {.idLen = (SaUint16T)element->id.size, .id = named ? ids : NULL},
                                   .dataSize = element->size,
                                   .dataOffset = element->offset};
      if (named) {
        memcpy(ids, element->id.data, element->id.size);
        ids += element->id.size;
      }
    }
  }
  *(session->tracked_last != NULL ? &session->tracked_last->next : &session->tracked_first) = tracked;
  session->tracked_last = tracked;
  return VESTA_OK;
}

vesta_err_t agent_track_arrived(agent_session_t *session, const wire_message_t *message) {
  vesta_err_t err = VESTA_OK;
  if ((message->flags & WIRE_TRACK_ARRIVAL) != 0) {
    err = track_keep(session, message, true);
  }
  if (err == VESTA_OK && (message->flags & WIRE_TRACK_CHANGES) != 0) {
    err = track_keep(session, message, false);
  }
  return err;
}

/* ---- to the application ---- */

/* Who is to be called, and with which handle; false: nobody any more. */
static bool track_address(const agent_session_t *session, agent_tracked_t *tracked) {
  const agent_checkpoint_t *checkpoint = session->checkpoints;
  while (checkpoint != NULL && checkpoint->remote != tracked->remote) {
    checkpoint = checkpoint->next;
  }
  if (checkpoint == NULL || agent_handle_is_closed(&checkpoint->object)) {
    return false;
  }
  tracked->checkpoint = checkpoint->object.handle;
  if (tracked->arrival) {
    tracked->callback = atomic_load(&session->arrival);
  } else if (checkpoint->tracks || (session->track & WIRE_TRACK_CHANGES) != 0) {
    tracked->callback = session->callbacks.saCkptCheckpointTrackCallback;
  }
  return tracked->callback != NULL;
}

static agent_tracked_t *track_next(agent_session_t *session) {
  agent_tracked_t *tracked = session->tracked_first;
  if (tracked != NULL) {
    session->tracked_first = tracked->next;
    session->tracked_last = tracked->next == NULL ? NULL : session->tracked_last;
  }
  return tracked;
}

agent_tracked_t *agent_track_take(agent_session_t *session) {
  agent_tracked_t *tracked;
  while ((tracked = track_next(session)) != NULL && !track_address(session, tracked)) {
    free(tracked);
  }
  return tracked;
}

void agent_track_drop_all(agent_session_t *session) {
  agent_tracked_t *tracked;
  (void)pthread_mutex_lock(&session->lock);
  while ((tracked = track_next(session)) != NULL) {
    free(tracked);
  }
  (void)pthread_mutex_unlock(&session->lock);
}

void agent_track_callback(agent_tracked_t *tracked) {
  tracked->callback(tracked->checkpoint, tracked->vector, tracked->count);
  free(tracked);
}
