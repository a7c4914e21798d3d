/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The oracle's rule ANSWER: what a request is answered with, held against what is there at that moment.
 */
#include <inttypes.h>

#include "core/node_state.h"
#include "test/sim/sim_oracle.h"
#include "test/sim/sim_world.h"

/* All there is to know about one answer. */
typedef struct answer {
  sim_world_t *world;
  const sim_node_t *node;
  const wire_message_t *asked, *reply;
  vesta_bytes_t asked_payload, payload;
  const directory_session_t *session;
  const directory_handle_t *handle;
  const sim_history_t *history;
  int64_t wall_ns;
} answer_t;

static void must(const answer_t *a, bool holds, const char *why) {
  if (!holds) {
    sim_fail(a->world, "ANSWER", "%s #%" PRIu64 " is answered with %s: %s", wire_kind_name(a->asked->kind),
             a->asked->number, vesta_err_name((vesta_err_t)a->reply->error), why);
  }
}

static void judge_read(const answer_t *a) {
  const sim_section_t *section = sim_history_section(a->history, a->asked->id, a->wall_ns);
  if (a->reply->error == VESTA_ERR_NOT_EXIST) {
    must(a, section == NULL, "the section is there");
  } else if (a->reply->error == VESTA_ERR_INVALID_PARAM) {
    must(a, section != NULL && a->asked->offset > section->size, "the offset is within the section");
  } else {
    must(a, section != NULL, "the section is not there");
    uint64_t there = section->size - a->asked->offset;
    uint64_t size = there < a->asked->size ? there : a->asked->size;
    must(a, a->payload.size == size && a->reply->size == size, "it has another size");
    must(a, size == 0 || memcmp(a->payload.data, section->data + a->asked->offset, (size_t)size) == 0,
         "it has other data");
  }
}

static void judge_status(const answer_t *a) {
  must(a, a->node->disk_failed || a->reply->count == sim_history_alive(a->history, a->wall_ns),
       "the number of sections is another");
  must(a, a->node->disk_failed || a->reply->size == a->history->table.data_bytes, "the number of bytes is another");
  must(a, vesta_pos_equal(wire_pos(a->reply), sim_history_position(a->history)), "the position is another");
}

static bool chosen(const sim_section_t *section, const wire_message_t *asked) {
  switch (asked->flags) {
    case 1: return section->expiry_ns == VESTA_TIME_END;
    case 2: return section->expiry_ns <= asked->expiry_ns;
    case 3: return section->expiry_ns >= asked->expiry_ns;
    case 4: return false;
    default: return true;
  }
}

static void judge_iterate(const answer_t *a) {
  for (uint32_t i = 0; i < a->reply->element_count; i++) {
    const wire_element_t *element = &a->reply->elements[i];
    const sim_section_t *section = sim_history_section(a->history, element->id, a->wall_ns);
    must(a, section != NULL && section->created_seq <= a->reply->seq, "a section is shown that is not there");
    must(a,
         element->offset == section->size && element->expiry_ns == section->expiry_ns &&
             element->time_ns == section->time_ns && element->seq == section->seq,
         "a section is shown with another size, expiry or time");
    must(a, chosen(section, a->asked), "a section is shown that was not asked for");
  }
}

/* ---- refused changes ---- */

/* Does the operation itself, before an element, touch that id? Then what was there before says little. */
static bool touched_before(const wire_message_t *asked, uint32_t element) {
  for (uint32_t i = 0; i < element; i++) {
    if (vesta_bytes_equal(asked->elements[i].id, asked->elements[element].id)) {
      return true;
    }
  }
  return false;
}

static uint64_t creations(const wire_message_t *asked) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < asked->element_count; i++) {
    count += asked->elements[i].kind == VESTA_KIND_CREATED;
  }
  return count;
}

/* There is something in it that no state of the sections would allow. */
static bool is_bad(const answer_t *a) {
  for (uint32_t i = 0; i < a->asked->element_count; i++) {
    const wire_element_t *element = &a->asked->elements[i];
    if (element->id.size > a->history->attributes.section_id_bytes_max ||
        element->offset + element->size > a->history->attributes.section_bytes_max) {
      return true;
    }
  }
  return false;
}

static bool group_fences(const answer_t *a) {
  return !roles_may_write(&a->handle->checkpoint->group, a->session->token);
}

static void judge_change(const answer_t *a) {
  uint32_t bad = (uint32_t)a->reply->element;
  bool of_element = bad < a->asked->element_count;
  const sim_section_t *section =
      of_element ? sim_history_section(a->history, a->asked->elements[bad].id, a->wall_ns) : NULL;
  bool before = of_element && touched_before(a->asked, bad);
  switch ((vesta_err_t)a->reply->error) {
    case VESTA_ERR_EXIST: must(a, of_element && (section != NULL || before), "the section is not there"); break;
    case VESTA_ERR_NOT_EXIST: must(a, of_element && (section == NULL || before), "the section is there"); break;
    case VESTA_ERR_NO_SPACE:
      must(a,
           a->node->disk_failed || a->history->table.count + creations(a->asked) > a->history->attributes.sections_max,
           "there is space");
      break;
    case VESTA_ERR_NO_RESOURCES:
    case VESTA_ERR_INVALID_PARAM: must(a, is_bad(a), "nothing is wrong with it"); break;
    case VESTA_ERR_TRY_AGAIN:
      must(a, sim_history_alive(a->history, a->wall_ns) < a->history->table.count, "nothing stands in its way");
      break;
    case VESTA_ERR_NO_MEMORY: must(a, a->node->memory_failed, "there is memory"); break;
    default: must(a, false, "that is no answer to a change"); break;
  }
}

/* ---- any answer ---- */

static void judge_with_handle(const answer_t *a) {
  uint32_t flags = a->handle->flags;
  bool used = (a->history->attributes.creation_flags & VESTA_CREATE_ALL_REPLICAS) != 0 ||
              a->handle->checkpoint->active_node != 0;
  if (a->reply->error == VESTA_ERR_ACCESS) {
    must(a, (flags & (VESTA_OPEN_READ | VESTA_OPEN_WRITE)) != (VESTA_OPEN_READ | VESTA_OPEN_WRITE),
         "it was opened for everything");
    return;
  }
  if (a->reply->error == VESTA_ERR_NOT_EXIST && !used) {
    return; /* no active replica yet */
  }
  if (a->reply->error == VESTA_ERR_FENCED && a->asked->kind == WIRE_CHANGE) {
    must(a, group_fences(a), "it is active");
    return;
  }
  bool ok = a->reply->error == VESTA_OK;
  switch (a->asked->kind) {
    case WIRE_READ:
      must(a, (flags & VESTA_OPEN_READ) != 0, "it was not opened for reading");
      judge_read(a);
      break;
    case WIRE_STATUS: judge_status(a); break;
    case WIRE_ITERATE:
      must(a, ok, "there is nothing wrong with it");
      judge_iterate(a);
      break;
    case WIRE_CHANGE:
      must(a, (flags & VESTA_OPEN_WRITE) != 0, "it was not opened for writing");
      if (!ok) {
        judge_change(a);
      }
      break;
    default: break;
  }
}

void sim_oracle_answer(sim_node_t *node, const node_event_t *event, const node_action_t *send) {
  const directory_t *directory = node->node->directory;
  const node_link_t *link = node_link(node->node, event->link);
  const wire_message_t *asked = event->message;
  answer_t a = {.world = node->world,
                .node = node,
                .asked = asked,
                .reply = send->message,
                .asked_payload = event->payload,
                .payload = send->payload,
                .session = link == NULL ? NULL : directory_session(directory, link->session),
                .wall_ns = event->wall_ns};
  if (send->message->error == VESTA_ERR_NO_MEMORY) {
    must(&a, node->memory_failed, "there is memory");
    return;
  }
  a.handle = asked->handle == 0 ? NULL : directory_handle(directory, asked->handle);
  if (send->message->error == VESTA_ERR_BAD_HANDLE) {
    bool left = a.session != NULL && a.session->link != event->link;
    must(&a, a.session == NULL || left || a.handle == NULL || a.handle->session != a.session, "the handle is good");
    return;
  }
  if (asked->handle != 0 && a.handle != NULL) {
    a.history = sim_histories_find(&node->side->histories, a.handle->checkpoint->id);
    judge_with_handle(&a);
  }
}
