/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which section expires next: a binary heap of those that expire at all.
 *
 * Private to the process and rebuilt when a region is taken up. Every node carries its own key, so that the heap stays
 * one while an operation changes several sections.
 */
#include "core/replica_private.h"

static void node_put(replica_t *replica, uint32_t index, replica_expiry_node_t node) {
  replica->expiry_heap[index] = node;
  replica->expiry_at[node.slot] = index + 1;
}

/* Put a node where it belongs, at `index` or above it. Returns where. */
static uint32_t sift_up(replica_t *replica, uint32_t index, replica_expiry_node_t node) {
  while (index > 0) {
    uint32_t parent = (index - 1) / 2;
    if (replica->expiry_heap[parent].expiry_ns <= node.expiry_ns) {
      break;
    }
    node_put(replica, index, replica->expiry_heap[parent]);
    index = parent;
  }
  node_put(replica, index, node);
  return index;
}

static void sift_down(replica_t *replica, uint32_t index, replica_expiry_node_t node) {
  for (;;) {
    uint32_t child = 2 * index + 1;
    if (child >= replica->expiry_count) {
      break;
    }
    if (child + 1 < replica->expiry_count &&
        replica->expiry_heap[child + 1].expiry_ns < replica->expiry_heap[child].expiry_ns) {
      child++;
    }
    if (replica->expiry_heap[child].expiry_ns >= node.expiry_ns) {
      break;
    }
    node_put(replica, index, replica->expiry_heap[child]);
    index = child;
  }
  node_put(replica, index, node);
}

static void heap_move(replica_t *replica, uint32_t index, replica_expiry_node_t node) {
  if (sift_up(replica, index, node) == index) {
    sift_down(replica, index, node);
  }
}

void replica_expiry_set(replica_t *replica, uint32_t slot, int64_t expiry_ns) {
  uint32_t at = replica->expiry_at[slot];
  if (expiry_ns != VESTA_TIME_END) {
    uint32_t index = at != 0 ? at - 1 : replica->expiry_count++;
    heap_move(replica, index, (replica_expiry_node_t){.expiry_ns = expiry_ns, .slot = slot});
  } else if (at != 0) {
    replica->expiry_at[slot] = 0;
    replica_expiry_node_t last = replica->expiry_heap[--replica->expiry_count];
    if (last.slot != slot) {
      heap_move(replica, at - 1, last);
    }
  }
}

int64_t replica_expiry_next(const replica_t *replica, replica_section_t *section) {
  if (replica->expiry_count == 0) {
    return VESTA_TIME_END;
  }
  replica_section_fill(replica, replica->expiry_heap[0].slot, section);
  return replica->expiry_heap[0].expiry_ns;
}
