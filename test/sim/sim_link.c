/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_link.h.
 */
#include "test/sim/sim_link.h"

#include <stdlib.h>

#include "test/sim/sim_memory.h"

sim_packet_t *sim_packet_new(vesta_bytes_t head, vesta_bytes_t payload) {
  sim_packet_t *packet = sim_memory_get(sizeof *packet + head.size + payload.size);
  memcpy(packet->bytes, head.data, head.size);
  if (payload.size > 0) {
    memcpy(packet->bytes + head.size, payload.data, payload.size);
  }
  packet->head = vesta_bytes(packet->bytes, head.size);
  packet->payload = vesta_bytes(packet->bytes + head.size, payload.size);
  return packet;
}

sim_packet_t *sim_packet_encode(const wire_message_t *message, vesta_bytes_t payload) {
  size_t capacity = wire_encoded_size_max(message);
  uint8_t *head = sim_memory_get(capacity);
  size_t size = 0;
  vesta_err_t err = wire_encode(message, head, capacity, &size);
  VESTA_ASSERT(err == VESTA_OK);
  sim_packet_t *packet = sim_packet_new(vesta_bytes(head, size), payload);
  free(head);
  return packet;
}

void sim_pipe_put(sim_pipe_t *pipe, sim_packet_t *packet, int64_t at_ns) {
  pipe->last_ns = at_ns > pipe->last_ns ? at_ns : pipe->last_ns;
  packet->at_ns = pipe->last_ns;
  packet->next = NULL;
  *(pipe->last != NULL ? &pipe->last->next : &pipe->first) = packet;
  pipe->last = packet;
  pipe->count++;
}

sim_packet_t *sim_pipe_take(sim_pipe_t *pipe, int64_t now_ns) {
  sim_packet_t *packet = pipe->first;
  if (packet == NULL || packet->at_ns > now_ns) {
    return NULL;
  }
  pipe->count--;
  pipe->first = packet->next;
  if (pipe->first == NULL) {
    pipe->last = NULL;
  }
  return packet;
}

int64_t sim_pipe_due_ns(const sim_pipe_t *pipe) { return pipe->first == NULL ? INT64_MAX : pipe->first->at_ns; }

void sim_pipe_clear(sim_pipe_t *pipe) {
  sim_packet_t *packet;
  while ((packet = sim_pipe_take(pipe, INT64_MAX)) != NULL) {
    free(packet);
  }
}

void sim_pipe_cut(sim_pipe_t *pipe, uint32_t keep) {
  sim_pipe_t whole = *pipe;
  sim_packet_t *packet;
  *pipe = (sim_pipe_t){0};
  while ((packet = sim_pipe_take(&whole, INT64_MAX)) != NULL) {
    if (pipe->count < keep) {
      sim_pipe_put(pipe, packet, packet->at_ns);
    } else {
      free(packet);
    }
  }
}

int64_t sim_link_up_due_ns(const sim_link_t *link) {
  if (link->node_closed) {
    return INT64_MAX;
  }
  bool ends = link->agent_closed && link->up.first == NULL;
  return ends ? link->agent_closed_ns : sim_pipe_due_ns(&link->up);
}

int64_t sim_link_down_due_ns(const sim_link_t *link) {
  if (link->agent_closed) {
    return INT64_MAX;
  }
  bool ends = link->node_closed && link->down.first == NULL;
  return ends ? link->node_closed_ns : sim_pipe_due_ns(&link->down);
}
