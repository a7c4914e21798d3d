/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Senders are few (VESTA_NODES_MAX): they are looked for one after the other.
 */
#include "daemon/group_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct group_sender {
  uint32_t node, pid;
  uint8_t *bytes; /* of a message under way; NULL: none */
  uint32_t size, have;
} group_sender_t;

struct group_parts {
  group_sender_t senders[VESTA_NODES_MAX];
  uint8_t *complete; /* handed out by the last call */
};

static void group_u32_put(uint8_t *to, uint32_t value) {
  for (int i = 0; i < 4; i++) {
    to[i] = (uint8_t)(value >> (8 * i));
  }
}

static uint32_t group_u32_get(const uint8_t *from) {
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

void group_part_head(uint8_t head[GROUP_PART_HEAD_BYTES], uint32_t size, uint32_t offset) {
  group_u32_put(head, size);
  group_u32_put(head + 4, offset);
}

group_parts_t *group_parts_new(void) { return calloc(1, sizeof(group_parts_t)); }

void group_parts_destroy(group_parts_t **parts) {
  if (*parts != NULL) {
    group_parts_clear(*parts);
    free((*parts)->complete);
    free(*parts);
    *parts = NULL;
  }
}

static void group_sender_drop(group_sender_t *sender) {
  free(sender->bytes);
  *sender = (group_sender_t){0};
}

void group_parts_clear(group_parts_t *parts) {
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    group_sender_drop(&parts->senders[i]);
  }
}

/* Whose message is under way; or a free place; NULL: there are too many. */
static group_sender_t *group_sender(group_parts_t *parts, uint32_t node, uint32_t pid) {
  group_sender_t *free_one = NULL;
  for (uint32_t i = 0; i < VESTA_NODES_MAX; i++) {
    group_sender_t *sender = &parts->senders[i];
    if (sender->bytes != NULL && sender->node == node && sender->pid == pid) {
      return sender;
    }
    if (sender->bytes == NULL && free_one == NULL) {
      free_one = sender;
    }
  }
  return free_one;
}

vesta_err_t group_parts_take(group_parts_t *parts, uint32_t node, uint32_t pid, vesta_bytes_t part,
                             vesta_bytes_t *message) {
  free(parts->complete);
  parts->complete = NULL;
  if (part.size <= GROUP_PART_HEAD_BYTES) {
    return VESTA_ERR_MALFORMED;
  }
  uint32_t size = group_u32_get(part.data);
  uint32_t offset = group_u32_get(part.data + 4);
  const uint8_t *bytes = part.data + GROUP_PART_HEAD_BYTES;
  size_t count = part.size - GROUP_PART_HEAD_BYTES;
  if (size > VESTA_FRAME_HEAD_BYTES_MAX || offset > size || count > size - offset) {
    return VESTA_ERR_MALFORMED;
  }
  group_sender_t *sender = group_sender(parts, node, pid);
  if (sender != NULL && sender->bytes != NULL && (offset != sender->have || size != sender->size)) {
    group_sender_drop(sender); /* it was not finished, and now never is */
  }
  *message = vesta_bytes(NULL, 0);
  if (offset == 0 && count == size) {
    *message = vesta_bytes(bytes, count);
    return VESTA_OK;
  }
  if (sender == NULL) {
    return VESTA_ERR_NO_MEMORY;
  }
  if (sender->bytes == NULL) {
    if (offset != 0) {
      return VESTA_OK;
    }
    *sender = (group_sender_t){.node = node, .pid = pid, .bytes = malloc(size), .size = size};
    if (sender->bytes == NULL) {
      *sender = (group_sender_t){0};
      return VESTA_ERR_NO_MEMORY;
    }
  }
  memcpy(sender->bytes + offset, bytes, count);
  sender->have += (uint32_t)count;
  if (sender->have == size) {
    parts->complete = sender->bytes;
    *sender = (group_sender_t){0};
    *message = vesta_bytes(parts->complete, size);
  }
  return VESTA_OK;
}
