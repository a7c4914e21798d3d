/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks of shared memory. See agent_stage.h.
 */
#include "saf_api/agent_stage.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct agent_stage {
  uint8_t *memory;
  uint64_t incarnation;                 /* of the link that it came on */
  uint32_t copying;                     /* threads that copy into it, without the lock */
  bool dropped;                         /* the last of them frees it */
  uint32_t taken;                       /* blocks */
  uint64_t numbers[AGENT_STAGE_BLOCKS]; /* of the request that has the block; 0: free */
};

static_assert(VESTA_STAGE_BYTES % (AGENT_STAGE_BLOCKS * 4096U) == 0, "blocks are whole pages");

static void stage_free(agent_stage_t *stage) {
  (void)munmap(stage->memory, VESTA_STAGE_BYTES);
  free(stage);
}

/* NULL: it can't be had. A forked child has no use for it. */
static agent_stage_t *stage_map(int fd, uint64_t incarnation) {
  struct stat info;
  agent_stage_t *stage = malloc(sizeof *stage);
  if (stage == NULL) {
    return NULL;
  }
  *stage = (agent_stage_t){.memory = MAP_FAILED, .incarnation = incarnation};
  if (fstat(fd, &info) == 0 && info.st_size >= (off_t)VESTA_STAGE_BYTES) {
    stage->memory = mmap(NULL, VESTA_STAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (stage->memory == MAP_FAILED) {
    free(stage);
    return NULL;
  }
  (void)madvise(stage->memory, VESTA_STAGE_BYTES, MADV_DONTFORK);
  return stage;
}

void agent_stage_get(agent_session_t *session, int64_t deadline_ns) {
  (void)pthread_mutex_lock(&session->lock);
  bool asks = session->state == AGENT_LINK_UP && session->stage_asked_on != session->incarnation;
  if (asks) {
    session->stage_asked_on = session->incarnation;
  }
  (void)pthread_mutex_unlock(&session->lock);
  if (!asks) {
    return;
  }
  agent_request_t request = {.message = {.kind = WIRE_STAGE}, .deadline_ns = deadline_ns};
  agent_reply_t reply;
  vesta_err_t err = agent_call(session, &request, &reply);
  agent_stage_t *stage = err == VESTA_OK && reply.fd >= 0 ? stage_map(reply.fd, request.sent_on) : NULL;
  agent_reply_fini(&reply);
  if (stage == NULL) {
    return;
  }
  (void)pthread_mutex_lock(&session->lock);
  bool is_current = session->state == AGENT_LINK_UP && session->incarnation == stage->incarnation;
  if (is_current && session->stage == NULL) {
    session->stage = stage;
    session->stage_asked_on = stage->incarnation;
    stage = NULL;
  }
  (void)pthread_mutex_unlock(&session->lock);
  if (stage != NULL) { /* the link has gone meanwhile */
    stage_free(stage);
  }
}

/* The first of so many free blocks in a row; AGENT_STAGE_BLOCKS: there are not so many. The first ones are used again
 * and again, and stay in the processor's cache. */
static uint32_t blocks_find(const agent_stage_t *stage, uint32_t count) {
  uint32_t in_a_row = 0;
  for (uint32_t i = 0; i < AGENT_STAGE_BLOCKS; i++) {
    in_a_row = stage->numbers[i] == 0 ? in_a_row + 1 : 0;
    if (in_a_row == count) {
      return i + 1 - count;
    }
  }
  return AGENT_STAGE_BLOCKS;
}

/* Take blocks. NULL: there are none. */
static agent_stage_t *stage_take(agent_session_t *session, uint64_t number, size_t bytes, uint64_t *offset) {
  agent_stage_t *stage = session->stage;
  if (stage == NULL || session->state != AGENT_LINK_UP || stage->incarnation != session->incarnation) {
    return NULL;
  }
  uint32_t count = (uint32_t)((bytes + AGENT_STAGE_BLOCK_BYTES - 1) / AGENT_STAGE_BLOCK_BYTES);
  uint32_t first = blocks_find(stage, count);
  if (first == AGENT_STAGE_BLOCKS) {
    return NULL;
  }
  for (uint32_t i = first; i < first + count; i++) {
    stage->numbers[i] = number;
  }
  stage->taken += count;
  stage->copying++;
  *offset = (uint64_t)first * AGENT_STAGE_BLOCK_BYTES;
  return stage;
}

uint64_t agent_stage_put(agent_session_t *session, uint64_t number, const struct iovec *parts, size_t part_count,
                         size_t bytes, uint64_t *offset) {
  uint64_t at = 0;
  (void)pthread_mutex_lock(&session->lock);
  agent_stage_t *stage = stage_take(session, number, bytes, &at);
  (void)pthread_mutex_unlock(&session->lock);
  if (stage == NULL) {
    return 0;
  }
  uint8_t *to = stage->memory + at;
  for (size_t i = 0; i < part_count; i++) {
    if (parts[i].iov_len > 0) {
      memcpy(to, parts[i].iov_base, parts[i].iov_len);
      to += parts[i].iov_len;
    }
  }
  uint64_t incarnation = stage->incarnation;
  (void)pthread_mutex_lock(&session->lock);
  stage->copying--;
  if (stage->dropped && stage->copying == 0) {
    stage_free(stage);
  }
  (void)pthread_mutex_unlock(&session->lock);
  *offset = at;
  return incarnation;
}

void agent_stage_release(agent_session_t *session, uint64_t number) {
  agent_stage_t *stage = session->stage;
  if (stage == NULL || stage->taken == 0) {
    return;
  }
  for (uint32_t i = 0; i < AGENT_STAGE_BLOCKS; i++) {
    if (stage->numbers[i] == number) {
      stage->numbers[i] = 0;
      stage->taken--;
    }
  }
}

void agent_stage_drop(agent_session_t *session) {
  agent_stage_t *stage = session->stage;
  session->stage = NULL;
  if (stage != NULL && stage->copying > 0) {
    stage->dropped = true;
  } else if (stage != NULL) {
    stage_free(stage);
  }
}
