/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operations of the log as elements of a message: one element that says whose it is, then its own, their data in the
 * payload one after the other. Those that create a section say the slot it is in; the others find it by its id.
 */
#include <stdlib.h>

#include "core/replicator_private.h"

#define TOKEN_BYTES 16U

bool replicator_room(replicator_t *r, uint64_t payload_bytes) {
  replicator_scratch_t *scratch = r->scratch;
  if (payload_bytes > scratch->payload_capacity) {
    uint64_t capacity = payload_bytes < REPLICATOR_MESSAGE_BYTES ? REPLICATOR_MESSAGE_BYTES : payload_bytes;
    uint8_t *grown = realloc(scratch->payload, capacity);
    if (grown == NULL) {
      return false;
    }
    scratch->payload = grown;
    scratch->payload_capacity = capacity;
  }
  return true;
}

/* ---- writing ---- */

typedef struct record_size {
  uint64_t bytes;
  uint32_t elements;
  uint32_t with_data; /* elements that have data */
  vesta_bytes_t data; /* of the last such */
} record_size_t;

static record_size_t record_size(replica_record_t record) {
  record_size_t size = {0};
  for (replica_change_t change; replica_record_next(&record, &change);) {
    size.bytes += change.element.data.size;
    size.elements++;
    if (change.element.data.size > 0) {
      size.with_data++;
      size.data = change.element.data;
    }
  }
  return size;
}

static vesta_bytes_t token_bytes(const vesta_token_t *token) {
  return vesta_token_is_none(*token) ? vesta_bytes(NULL, 0) : vesta_bytes(token, sizeof *token);
}

static_assert(sizeof(vesta_token_t) == TOKEN_BYTES, "a token is its bytes");

static uint32_t record_write(wire_element_t *to, const replica_record_t *from, vesta_bytes_t token, uint8_t **data) {
  uint32_t count = 0;
  to[count++] = (wire_element_t){.kind = REPLICATOR_HEAD,
                                 .id = token,
                                 .offset = from->request,
                                 .epoch = from->epoch,
                                 .seq = from->seq,
                                 .time_ns = from->time_ns,
                                 .count = from->element_count,
                                 .index = from->generated};
  replica_record_t record = *from;
  for (replica_change_t change; replica_record_next(&record, &change);) {
    const replica_element_t *e = &change.element;
    to[count++] = (wire_element_t){.kind = e->kind,
                                   .id = e->id,
                                   .size = e->data.size,
                                   .offset = e->offset,
                                   .expiry_ns = e->expiry_ns,
                                   .epoch = e->epoch,
                                   .slot = e->kind == VESTA_KIND_CREATED ? change.slot : 0,
                                   .member = e->member};
    if (*data != NULL && e->data.size > 0) {
      memcpy(*data, e->data.data, e->data.size);
      *data += e->data.size;
    }
  }
  return count;
}

bool replicator_records_write(replicator_t *r, uint64_t seq, uint64_t last, wire_message_t *message,
                              vesta_bytes_t *payload, uint32_t *count, uint64_t *bytes) {
  replica_record_t record;
  record_size_t total = {0};
  uint32_t records = 0;
  uint64_t head_bytes = 0;
  for (; seq + records <= last && replica_log_record(r->replica, seq + records, &record) == VESTA_OK; records++) {
    record_size_t size = record_size(record);
    uint64_t heads = head_bytes + (uint64_t)(size.elements + 1) * (VESTA_SECTION_ID_BYTES_MAX + 64U);
    bool fits = total.bytes + size.bytes <= REPLICATOR_MESSAGE_BYTES && records < REPLICATOR_TOKENS_MAX &&
                total.elements + size.elements + 1 <= REPLICATOR_ELEMENTS_MAX &&
                heads <= VESTA_FRAME_HEAD_BYTES_MAX / 2;
    if (records > 0 && !fits) {
      break;
    }
    total.bytes += size.bytes;
    total.elements += size.elements + 1;
    total.with_data += size.with_data;
    total.data = size.with_data > 0 ? size.data : total.data;
    head_bytes = heads;
  }
  bool whole = total.with_data == 1; /* it goes out from where it is */
  if (records == 0 || (!whole && !replicator_room(r, total.bytes))) {
    return false;
  }
  uint8_t *data = whole ? NULL : r->scratch->payload;
  uint32_t used = 0;
  for (uint32_t i = 0; i < records; i++) {
    (void)replica_log_record(r->replica, seq + i, &record);
    r->scratch->tokens[i] = record.session;
    used += record_write(r->scratch->elements + used, &record, token_bytes(&r->scratch->tokens[i]), &data);
  }
  message->elements = r->scratch->elements;
  message->element_count = used;
  *payload = whole ? total.data : vesta_bytes(total.bytes == 0 ? NULL : r->scratch->payload, total.bytes);
  *count = records;
  *bytes = total.bytes + (uint64_t)used * REPLICATOR_ELEMENT_BYTES;
  return true;
}

/* ---- reading ---- */

vesta_err_t replicator_records_next(replicator_records_t *records, replica_op_t *op) {
  const wire_message_t *message = records->message;
  if (records->element == message->element_count) {
    return VESTA_ERR_NOT_EXIST;
  }
  const wire_element_t *head = &message->elements[records->element];
  uint64_t left = message->element_count - records->element - 1;
  bool sound = head->kind == REPLICATOR_HEAD && head->count > 0 && head->count <= left &&
               head->count <= VESTA_VECTOR_ELEMENTS_MAX && head->index <= head->count &&
               (head->id.size == 0 || head->id.size == TOKEN_BYTES);
  if (!sound) {
    return VESTA_ERR_MALFORMED;
  }
  *op = (replica_op_t){.request = head->offset,
                       .time_ns = head->time_ns,
                       .elements = records->elements,
                       .element_count = (uint32_t)head->count,
                       .generated = (uint32_t)head->index};
  if (head->id.size > 0) {
    memcpy(&op->session, head->id.data, TOKEN_BYTES);
  }
  for (uint32_t i = 0; i < head->count; i++) {
    const wire_element_t *from = head + 1 + i;
    bool creates = from->kind == VESTA_KIND_CREATED;
    if (from->size > records->payload.size - records->offset || from->kind == REPLICATOR_HEAD ||
        (creates && from->slot == REPLICA_NO_SLOT)) {
      return VESTA_ERR_MALFORMED;
    }
    const uint8_t *data = from->size == 0 ? NULL : records->payload.data + records->offset;
    records->offset += from->size;
    records->elements[i] = (replica_element_t){.kind = (vesta_kind_t)from->kind,
                                               .id = from->id,
                                               .offset = from->offset,
                                               .data = vesta_bytes(data, from->size),
                                               .expiry_ns = from->expiry_ns,
                                               .epoch = from->epoch,
                                               .member = from->member,
                                               .slot_given = creates ? (uint32_t)from->slot + 1 : 0};
  }
  records->epoch = head->epoch;
  records->seq = head->seq;
  records->element += 1 + (uint32_t)head->count;
  return VESTA_OK;
}

/* ---- kept ---- */

replicator_again_t *replicator_again_new(const replica_t *replica, uint64_t seq) {
  replica_record_t record;
  if (replica_log_record(replica, seq, &record) != VESTA_OK) {
    return NULL;
  }
  uint64_t bytes = 0;
  replica_record_t walk = record;
  for (replica_change_t change; replica_record_next(&walk, &change);) {
    bytes += change.element.id.size + change.element.data.size;
  }
  replicator_again_t *again = calloc(1, sizeof *again + record.element_count * sizeof *again->elements + bytes);
  if (again == NULL) {
    return NULL;
  }
  uint8_t *to = (uint8_t *)&again->elements[record.element_count];
  uint32_t count = 0;
  walk = record;
  for (replica_change_t change; replica_record_next(&walk, &change);) {
    replica_element_t *element = &again->elements[count++];
    *element = change.element;
    element->id.data = memcpy(to, change.element.id.data == NULL ? to : change.element.id.data, element->id.size);
    to += element->id.size;
    element->data.data =
        memcpy(to, change.element.data.data == NULL ? to : change.element.data.data, element->data.size);
    to += element->data.size;
  }
  again->op = (replica_op_t){.session = record.session,
                             .request = record.request,
                             .time_ns = record.time_ns,
                             .elements = again->elements,
                             .element_count = count,
                             .generated = record.generated};
  return again;
}
