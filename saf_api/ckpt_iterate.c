/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Iterations over sections (AIS-CKPT-B.02.02 3.6.4 to 3.6.6; COMPLIANCE 14).
 *
 * Descriptors come in chunks. The daemon walks its section slots, in which a section stays all its life, and leaves out
 * what was created after the first chunk: so every section is shown once at most. Another node may go on with it, since slots
 * are the same in every replica. What was deleted after its chunk was fetched is skipped, as far as the local replica can
 * tell, which may be behind the one that the chunk is from; the size shown is the one of now, too.
 */
#include <stdlib.h>

#include "saf_api/agent_checkpoint.h"
#include "saf_api/sa_error.h"

static void iteration_destroy(agent_object_t *object) {
  agent_iteration_t *iteration = (agent_iteration_t *)object;
  agent_checkpoint_t *checkpoint = iteration->checkpoint;
  (void)pthread_mutex_lock(&checkpoint->session->lock);
  *(iteration->previous != NULL ? &iteration->previous->next : &checkpoint->iterations) = iteration->next;
  if (iteration->next != NULL) {
    iteration->next->previous = iteration->previous;
  }
  (void)pthread_mutex_unlock(&checkpoint->session->lock);
  if (iteration->chunk != NULL) {
    agent_reply_fini(iteration->chunk);
    free(iteration->chunk);
  }
  (void)pthread_mutex_destroy(&iteration->lock);
  agent_checkpoint_release(checkpoint);
  free(iteration);
}

/* Listed with its checkpoint from the start; found by its handle when it is published. */
static vesta_err_t iteration_new(agent_checkpoint_t *checkpoint, SaCkptSectionsChosenT chosen, int64_t expiry_ns,
                                 agent_iteration_t **out) {
  agent_iteration_t *iteration = malloc(sizeof *iteration);
  if (iteration == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  *iteration = (agent_iteration_t){.object = {.kind = AGENT_ITERATION, .destroy = iteration_destroy},
                                   .checkpoint = checkpoint,
                                   .lock = PTHREAD_MUTEX_INITIALIZER,
                                   .chosen = chosen,
                                   .expiry_ns = expiry_ns};
  vesta_err_t err = agent_handle_new(&iteration->object);
  if (err != VESTA_OK) {
    free(iteration);
    return err;
  }
  agent_handle_retain(&checkpoint->object);
  (void)pthread_mutex_lock(&checkpoint->session->lock);
  iteration->next = checkpoint->iterations;
  if (iteration->next != NULL) {
    iteration->next->previous = iteration;
  }
  checkpoint->iterations = iteration;
  (void)pthread_mutex_unlock(&checkpoint->session->lock);
  *out = iteration;
  return VESTA_OK;
}

/* The next chunk, which goes on where the last one ended. On an error the last one stays. */
static vesta_err_t chunk_fetch(agent_iteration_t *iteration) {
  agent_reply_t *chunk = malloc(sizeof *chunk);
  if (chunk == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  wire_message_t message = {
      .kind = WIRE_ITERATE, .flags = (uint64_t)iteration->chosen, .expiry_ns = iteration->expiry_ns};
  if (iteration->chunk != NULL) {
    message.cursor = iteration->chunk->message.cursor;
    message.epoch = iteration->chunk->message.epoch;
    message.seq = iteration->chunk->message.seq;
  }
  vesta_err_t err = agent_checkpoint_call(iteration->checkpoint, &message, NULL, 0, chunk);
  if (err != VESTA_OK) {
    agent_reply_fini(chunk);
    free(chunk);
    return err;
  }
  if (iteration->chunk != NULL) {
    agent_reply_fini(iteration->chunk);
    free(iteration->chunk);
  }
  iteration->chunk = chunk;
  iteration->next_element = 0;
  agent_checkpoint_map_soon(iteration->checkpoint); /* for what becomes of these sections */
  return VESTA_OK;
}

/* Not if the checkpoint is being closed: who closes it looks at published iterations only. */
static vesta_err_t iteration_publish(agent_iteration_t *iteration) {
  pthread_mutex_t *lock = &iteration->checkpoint->session->lock;
  (void)pthread_mutex_lock(lock);
  bool closed = agent_handle_is_closed(&iteration->checkpoint->object);
  if (!closed) {
    agent_handle_publish(&iteration->object);
  }
  (void)pthread_mutex_unlock(lock);
  return closed ? VESTA_ERR_BAD_HANDLE : VESTA_OK;
}

SaAisErrorT saCkptSectionIterationInitialize(SaCkptCheckpointHandleT checkpointHandle,
                                             SaCkptSectionsChosenT sectionsChosen, SaTimeT expirationTime,
                                             SaCkptSectionIterationHandleT *sectionIterationHandle) {
  bool known = sectionsChosen >= SA_CKPT_SECTIONS_FOREVER && sectionsChosen <= SA_CKPT_SECTIONS_ANY;
  if (!known || sectionIterationHandle == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(checkpointHandle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  agent_iteration_t *iteration = NULL;
  vesta_err_t err = VESTA_ERR_ACCESS;
  if (checkpoint->session->version_b1 || (checkpoint->flags & VESTA_OPEN_READ) != 0) {
    err = iteration_new(checkpoint, sectionsChosen, expirationTime, &iteration);
  }
  if (err == VESTA_OK) {
    err = chunk_fetch(iteration); /* fixes what the iteration shows */
    if (err == VESTA_OK) {
      err = iteration_publish(iteration);
    }
    if (err == VESTA_OK) {
      *sectionIterationHandle = iteration->object.handle;
    }
    agent_handle_release(&iteration->object);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

static void descriptor_set(SaCkptSectionDescriptorT *descriptor, const wire_element_t *element, uint64_t size) {
  *descriptor = (SaCkptSectionDescriptorT){.sectionId = {.idLen = (SaUint16T)element->id.size},
                                           .expirationTime = element->expiry_ns,
                                           .sectionSize = size,
                                           .sectionState =
                                               element->index == 0 ? SA_CKPT_SECTION_VALID : SA_CKPT_SECTION_CORRUPTED,
                                           .lastUpdate = element->time_ns};
  if (element->id.size > 0) { /* the caller gets a pointer that C can't call const */
    memcpy(&descriptor->sectionId.id, &element->id.data, sizeof descriptor->sectionId.id);
  }
}

static vesta_err_t iteration_next(agent_iteration_t *iteration, SaCkptSectionDescriptorT *descriptor) {
  for (;;) {
    const wire_message_t *chunk = &iteration->chunk->message;
    if (iteration->next_element < chunk->element_count) {
      const wire_element_t *element = &chunk->elements[iteration->next_element++];
      uint64_t size = element->offset; /* where ITERATE says it */
      if (agent_checkpoint_section_size(iteration->checkpoint, element->id, element->seq, &size) ==
          VESTA_ERR_NOT_EXIST) {
        continue; /* deleted or expired since */
      }
      descriptor_set(descriptor, element, size);
      return VESTA_OK;
    }
    if (chunk->state == 1) {
      return VESTA_ERR_NO_SECTIONS;
    }
    vesta_err_t err = chunk_fetch(iteration);
    if (err != VESTA_OK) {
      return err;
    }
  }
}

SaAisErrorT saCkptSectionIterationNext(SaCkptSectionIterationHandleT sectionIterationHandle,
                                       SaCkptSectionDescriptorT *sectionDescriptor) {
  if (sectionDescriptor == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_iteration_t *iteration = (agent_iteration_t *)agent_handle_acquire(sectionIterationHandle, AGENT_ITERATION);
  if (iteration == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = VESTA_ERR_BAD_HANDLE;
  if (!atomic_load(&iteration->checkpoint->session->lost)) {
    (void)pthread_mutex_lock(&iteration->lock);
    err = iteration_next(iteration, sectionDescriptor);
    (void)pthread_mutex_unlock(&iteration->lock);
  }
  agent_handle_release(&iteration->object);
  return sa_error(err);
}

SaAisErrorT saCkptSectionIterationFinalize(SaCkptSectionIterationHandleT sectionIterationHandle) {
  agent_iteration_t *iteration = (agent_iteration_t *)agent_handle_acquire(sectionIterationHandle, AGENT_ITERATION);
  if (iteration == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  bool lost = atomic_load(&iteration->checkpoint->session->lost);
  bool closed = agent_iteration_shut(iteration);
  agent_handle_release(&iteration->object);
  return closed && !lost ? SA_AIS_OK : SA_AIS_ERR_BAD_HANDLE;
}
