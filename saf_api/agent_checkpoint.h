/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What checkpoint and iteration handles stand for, and what the calls on them share.
 *
 * An object holds a reference on its parent, so a call that is under way keeps all it needs however many handles other
 * threads close meanwhile. Which checkpoints a session has and which iterations a checkpoint has is kept in lists under
 * the session's lock, so that closing the parent makes the children's handles bad.
 */
#ifndef VESTA_SAF_API_AGENT_CHECKPOINT_H
#define VESTA_SAF_API_AGENT_CHECKPOINT_H

#include "saf_api/agent_region.h"
#include "saf_api/agent_session.h"

struct agent_iteration;

typedef enum agent_map_state { AGENT_MAP_NOT_YET, AGENT_MAP_READY, AGENT_MAP_NEVER } agent_map_state_t;

typedef struct agent_checkpoint {
  agent_object_t object;
  agent_session_t *session;
  struct agent_checkpoint *previous, *next; /* in the session's list; `listed` says whether it is there */
  bool listed;
  struct agent_iteration *iterations; /* under the session's lock */
  bool tracks;                        /* under the session's lock: saCkptCheckpointTrack() was called for it */

  /* what the daemon said when it was opened */
  uint64_t remote; /* its number of this handle */
  uint32_t flags;  /* VESTA_OPEN_... */
  vesta_attributes_t attributes;

  /* local reads (agent_read.c) */
  pthread_mutex_t map_lock;
  _Atomic agent_map_state_t map_state;
  agent_region_t region;
  _Atomic uint32_t map_misses;   /* reads for which there was no region, since it was asked for */
  _Atomic uint32_t map_patience; /* it is asked for after so many */
} agent_checkpoint_t;

/** A checkpoint object whose handle nobody finds yet. @return OK; NO_MEMORY; NO_RESOURCES */
vesta_err_t agent_checkpoint_new(agent_session_t *session, uint32_t flags, agent_checkpoint_t **out);
/** The daemon has opened it: fill in what it said and publish the handle. */
void agent_checkpoint_opened(agent_checkpoint_t *checkpoint, const wire_message_t *reply);
/** The object of a handle, with a reference; NULL: the handle is bad. */
agent_checkpoint_t *agent_checkpoint_acquire(SaCkptCheckpointHandleT handle);
static inline void agent_checkpoint_release(agent_checkpoint_t *checkpoint) {
  agent_handle_release(&checkpoint->object);
}
/** Its handle and those of its iterations are bad from now on; pending callbacks of it are dropped. */
void agent_checkpoint_shut(agent_checkpoint_t *checkpoint);

/** A call for it, with the usual limit of time: kind and fields are set in `message`, its handle is filled in. */
vesta_err_t agent_checkpoint_call(agent_checkpoint_t *checkpoint, wire_message_t *message, const struct iovec *payload,
                                  size_t payload_parts, agent_reply_t *reply);

/**
 * Read from a section, locally if that is possible.
 * @return OK; NOT_EXIST; INVALID_PARAM when offset is beyond the section's size; the errors of a call
 */
vesta_err_t agent_checkpoint_read(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t offset, void *to,
                                  size_t size, size_t *read_size);
/** The same into new memory, all there is from `offset` on. *to is NULL when that is nothing. Also NO_MEMORY. */
vesta_err_t agent_checkpoint_read_rest(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t offset, void **to,
                                       size_t *read_size);
/** The size of a section as the local replica has it now, which was there as of `seq`.
 *  @return OK; NOT_EXIST; TRY_AGAIN when it can't be told locally, or not yet */
vesta_err_t agent_checkpoint_section_size(agent_checkpoint_t *checkpoint, vesta_bytes_t id, uint64_t seq,
                                          uint64_t *size);
/** The next of these that finds no local replica asks for one, however often that was in vain. */
void agent_checkpoint_map_soon(agent_checkpoint_t *checkpoint);
/** Undo the mapping; nobody reads any more. */
void agent_checkpoint_unmap(agent_checkpoint_t *checkpoint);

typedef struct agent_iteration {
  agent_object_t object;
  agent_checkpoint_t *checkpoint;
  struct agent_iteration *previous, *next; /* in the checkpoint's list, under the session's lock */
  pthread_mutex_t lock;                    /* of what follows */
  SaCkptSectionsChosenT chosen;
  int64_t expiry_ns;
  agent_reply_t *chunk; /* the last answer; descriptors handed out point into it */
  uint32_t next_element;
} agent_iteration_t;

/** Its handle is bad from now on. Call with a reference. */
bool agent_iteration_shut(agent_iteration_t *iteration);

#endif
