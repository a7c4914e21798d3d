/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes of sections: what is asked for, and whether what was acknowledged is what was asked for.
 */
#include <inttypes.h>
#include <stdio.h>

#include "test/sim/sim_witness.h"
#include "test/sim/sim_world.h"

#define ELEMENTS_MAX 200U
#define PAYLOAD_MAX (1U << 20)
#define ID_BYTES 48U
#define ID_STEPS_MAX 64U

typedef struct change_draft {
  wire_element_t elements[ELEMENTS_MAX];
  char ids[ELEMENTS_MAX][ID_BYTES];
  uint8_t payload[PAYLOAD_MAX];
  size_t payload_size;
} change_draft_t;

static change_draft_t draft_now; /* too large for the stack; one at a time */

/* Of the sections that the checkpoint has; NULL: none. */
static const sim_section_t *section_draw(sim_world_t *world, const sim_handle_t *handle) {
  const sim_history_t *history = sim_handle_history(handle);
  if (history == NULL || history->table.count == 0) {
    return NULL;
  }
  uint64_t steps = sim_below(&world->random, history->table.count < ID_STEPS_MAX ? history->table.count : ID_STEPS_MAX);
  const sim_section_t *section = history->table.first;
  while (steps-- > 0) {
    section = section->next;
  }
  return section;
}

static vesta_bytes_t id_write(sim_world_t *world, const sim_handle_t *handle, char id[ID_BYTES]) {
  const sim_name_t *name = &world->plan.names[handle->name];
  if (name->attributes.sections_max == 1) {
    return (vesta_bytes_t){0};
  }
  const sim_section_t *section = sim_percent(&world->random, 60) ? section_draw(world, handle) : NULL;
  if (section != NULL) {
    memcpy(id, section->id.data, section->id.size);
    return vesta_bytes(id, section->id.size);
  }
  int size = snprintf(id, ID_BYTES, "s%" PRIu64, sim_below(&world->random, name->ids));
  return vesta_bytes(id, (size_t)size);
}

vesta_bytes_t sim_change_id(sim_world_t *world, const sim_handle_t *handle) {
  static char id[ID_BYTES];
  return id_write(world, handle, id);
}

static vesta_kind_t kind_draw(sim_world_t *world, const sim_name_t *name) {
  if (name->attributes.sections_max == 1) {
    return sim_percent(&world->random, 50) ? VESTA_KIND_WRITTEN : VESTA_KIND_OVERWRITTEN;
  }
  static const vesta_kind_t kinds[] = {VESTA_KIND_CREATED,     VESTA_KIND_CREATED,    VESTA_KIND_CREATED,
                                       VESTA_KIND_WRITTEN,     VESTA_KIND_WRITTEN,    VESTA_KIND_OVERWRITTEN,
                                       VESTA_KIND_OVERWRITTEN, VESTA_KIND_EXPIRY_SET, VESTA_KIND_DELETED};
  return kinds[sim_below(&world->random, sizeof kinds / sizeof kinds[0])];
}

static int64_t expiry_draw(sim_world_t *world) {
  return sim_percent(&world->random, 60) ? VESTA_TIME_END
                                         : sim_wall_ns(world) + sim_span(&world->random, 0, 5 * SIM_SECOND_NS);
}

/* Bytes that tell each change from every other. */
static size_t data_draw(sim_world_t *world, change_draft_t *draft, uint64_t size_max) {
  size_t size = sim_percent(&world->random, 50)   ? (size_t)sim_span(&world->random, 0, (int64_t)size_max)
                : sim_percent(&world->random, 20) ? (size_t)size_max
                                                  : (size_t)sim_below(&world->random, size_max + 1);
  if (draft->payload_size + size > PAYLOAD_MAX) {
    size = 0;
  }
  uint64_t random = sim_random(&world->random);
  for (size_t i = 0; i < size; i++) {
    draft->payload[draft->payload_size + i] = (uint8_t)((random >> (i % 8 * 8)) + i / 8);
  }
  draft->payload_size += size;
  return size;
}

static void element_draw(sim_world_t *world, const sim_handle_t *handle, change_draft_t *draft, uint32_t index,
                         bool generates) {
  const sim_name_t *name = &world->plan.names[handle->name];
  const vesta_attributes_t *attributes = &name->attributes;
  wire_element_t *element = &draft->elements[index];
  *element = (wire_element_t){.kind = kind_draw(world, name), .id = id_write(world, handle, draft->ids[index])};
  uint64_t size_max = attributes->section_bytes_max;
  if (sim_chance(&world->random, 5000)) {
    size_max++; /* may be too large */
  }
  switch ((vesta_kind_t)element->kind) {
    case VESTA_KIND_CREATED:
      element->expiry_ns = expiry_draw(world);
      element->size = data_draw(world, draft, size_max);
      element->id = generates ? (vesta_bytes_t){0} : element->id;
      break;
    case VESTA_KIND_WRITTEN:
      element->size = data_draw(world, draft, size_max);
      element->offset = sim_below(&world->random, attributes->section_bytes_max - element->size / 2 + 1);
      break;
    case VESTA_KIND_OVERWRITTEN: element->size = data_draw(world, draft, size_max); break;
    case VESTA_KIND_EXPIRY_SET: element->expiry_ns = expiry_draw(world); break;
    default: break;
  }
}

void sim_change_ask(sim_agent_t *agent, sim_handle_t *handle) {
  sim_world_t *world = agent->world;
  const sim_name_t *name = &world->plan.names[handle->name];
  bool standby = handle->member.role != SIM_ROLE_NONE && handle->member.role != SIM_ROLE_ACTIVE;
  if (name->fenced && standby && !sim_percent(&world->random, 10)) {
    return; /* it knows that it may not; sometimes it tries */
  }
  change_draft_t *draft = &draft_now;
  draft->payload_size = 0;
  uint32_t count = sim_percent(&world->random, 80) ? 1 : (uint32_t)sim_span(&world->random, 1, 12);
  if (name->ids > 1000 && sim_percent(&world->random, 30)) {
    count = ELEMENTS_MAX;
  }
  bool generates = count == 1 && sim_percent(&world->random, 15);
  for (uint32_t i = 0; i < count; i++) {
    element_draw(world, handle, draft, i, generates);
    if (count == ELEMENTS_MAX) { /* many different ones, or it would be refused for one of them */
      draft->elements[i].kind = VESTA_KIND_CREATED;
      draft->elements[i].expiry_ns = i % 7 == 0 ? sim_wall_ns(world) + 2 * SIM_SECOND_NS : VESTA_TIME_END;
      draft->elements[i].offset = 0;
      draft->elements[i].id.size =
          (size_t)snprintf(draft->ids[i], ID_BYTES, "w%" PRIu64 ".%" PRIu32, agent->number_last, i);
      draft->elements[i].id.data = (const uint8_t *)draft->ids[i];
    }
  }
  wire_message_t change = {
      .kind = WIRE_CHANGE, .handle = handle->id, .elements = draft->elements, .element_count = count};
  if (wire_payload_check(&change, draft->payload_size) == VESTA_OK) {
    sim_request_t *request = sim_agent_ask(agent, &change, vesta_bytes(draft->payload, draft->payload_size));
    request->handle = (uint32_t)(handle - agent->handles);
  }
}

/* Is the operation at that place of the history the very one that was asked for? */
static bool change_is_there(const sim_record_t *record, const wire_message_t *asked, vesta_bytes_t payload,
                            vesta_bytes_t generated_id) {
  if (record->count != asked->element_count) {
    return false;
  }
  const uint8_t *data = payload.data;
  for (uint32_t i = 0; i < asked->element_count; i++) {
    const wire_element_t *element = &asked->elements[i];
    bool generated = element->kind == VESTA_KIND_CREATED && element->id.size == 0;
    sim_change_t change = {.kind = (vesta_kind_t)element->kind,
                           .id = generated ? generated_id : element->id,
                           .offset = element->offset,
                           .data = vesta_bytes(data, (size_t)element->size),
                           .expiry_ns = element->expiry_ns};
    if (sim_change_digest(&change) != record->digests[i]) {
      return false;
    }
    data += element->size;
  }
  return true;
}

void sim_change_answered(sim_agent_t *agent, const sim_request_t *request, const wire_message_t *reply) {
  sim_world_t *world = agent->world;
  const char *wrong = NULL;
  wire_message_t asked;
  vesta_bytes_t head = request->packet->head;
  VESTA_ASSERT(wire_decode(world->nodes[0].decoder, head.data, head.size, &asked) == VESTA_OK);
  if (reply->error == VESTA_ERR_TIMEOUT) {
    return; /* it may have been done, or be done yet */
  }
  if (reply->error != VESTA_OK && sim_side_may_lack(agent, request->asked_ns)) {
    return; /* it was refused in a half that was given up, maybe */
  }
  if (reply->error != VESTA_OK) {
    wrong = sim_ledger_refuse(&sim_home(agent)->side->ledger, agent->token, request->number);
    if (sim_clustered(world)) {
      sim_witness_refused(agent, agent->handles[request->handle].checkpoint, request->number);
    }
  } else {
    const sim_handle_t *handle = &agent->handles[request->handle];
    const sim_history_t *history = sim_handle_history(handle);
    wrong = sim_ledger_acknowledge(&sim_home(agent)->side->ledger, agent->token, request->number, handle->checkpoint,
                                   reply->seq);
    if (wrong == NULL && !sim_ledger_was_lost(&sim_home(agent)->side->ledger, agent->token, request->number) &&
        !change_is_there(&history->records[reply->seq - 1], &asked, request->packet->payload, reply->id)) {
      wrong = "what is in the history is not what was asked for";
    }
  }
  if (wrong == NULL && reply->error == VESTA_OK) {
    sim_history_t *history = sim_handle_history(&agent->handles[request->handle]);
    bool still = reply->seq <= history->count &&
                 !sim_ledger_was_lost(&sim_home(agent)->side->ledger, agent->token, request->number);
    if (still && reply->seq > history->acked[agent->index]) {
      history->acked[agent->index] = reply->seq;
    }
  }
  if (wrong != NULL) {
    sim_fail(world, "ONCE", "%s: process %" PRIu32 " #%" PRIu64 " %s seq=%" PRIu64, wrong, agent->index,
             request->number, vesta_err_name((vesta_err_t)reply->error), reply->seq);
  }
}
