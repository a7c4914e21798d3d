/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_txn_...: a CHANGE request that is put together call by call.
 *
 * A call judges what can be judged without the sections, and copies. Elements, ids and data are three pieces of memory
 * that grow; the commit sends them as they lie.
 */
#include "ext_api/txn.h"

#include "ext_api/stream.h"
#include "saf_api/agent_extension.h"

#include <stdlib.h>

#define TXN_ELEMENTS_FIRST 4U
#define TXN_IDS_FIRST 256U
#define TXN_DATA_FIRST 4096U
#define TXN_ANSWER_NS (10 * SA_TIME_ONE_SECOND)  /* the service is given so long for its answer */
#define TXN_APPLIED_NS (10 * SA_TIME_ONE_SECOND) /* members are, unless the options say otherwise */

static_assert(VESTA_NO_CHANGE == VESTA_AGENT_NO_ELEMENT, "no change is no element");

/* ---- life ---- */

SaAisErrorT txn_writable(SaCkptCheckpointHandleT checkpoint) {
  uint32_t flags;
  vesta_attributes_t attributes;
  SaAisErrorT error = vesta_agent_attributes(checkpoint, &flags, &attributes);
  if (error == SA_AIS_OK && (flags & VESTA_OPEN_WRITE) == 0) {
    error = SA_AIS_ERR_ACCESS;
  }
  return error;
}

SaAisErrorT vesta_txn_begin(SaCkptCheckpointHandleT checkpoint, vesta_txn_t **txn) {
  if (txn == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  SaAisErrorT error = txn_writable(checkpoint);
  if (error != SA_AIS_OK) {
    return error;
  }
  vesta_txn_t *begun = calloc(1, sizeof *begun);
  if (begun == NULL) {
    return SA_AIS_ERR_NO_MEMORY;
  }
  begun->checkpoint = checkpoint;
  begun->failed_at = VESTA_NO_CHANGE;
  *txn = begun;
  return SA_AIS_OK;
}

SaAisErrorT vesta_txn_abort(vesta_txn_t **txn) {
  if (txn == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (*txn != NULL) {
    free((*txn)->elements);
    free((*txn)->ids);
    free((*txn)->data);
    free(*txn);
    *txn = NULL;
  }
  return SA_AIS_OK;
}

void txn_data_gone(vesta_txn_t *txn) {
  txn->data = NULL;
  txn->data_bytes = txn->data_room = 0;
  txn->ids_bytes = 0;
  txn->count = 0;
  txn->failed_at = VESTA_NO_CHANGE;
}

/* ---- adding ---- */

/* Room for `more` bytes behind the first `used`; twice as much each time. */
static bool room_make(uint8_t **memory, size_t *room, size_t used, size_t more, size_t first) {
  size_t wanted = *room == 0 ? first : *room;
  while (wanted < used + more) {
    wanted *= 2;
  }
  if (wanted == *room) {
    return true;
  }
  uint8_t *larger = realloc(*memory, wanted);
  if (larger == NULL) {
    return false;
  }
  *memory = larger;
  *room = wanted;
  return true;
}

static bool elements_room(vesta_txn_t *txn) {
  if (txn->count < txn->room) {
    return true;
  }
  uint32_t room = txn->room == 0 ? TXN_ELEMENTS_FIRST : 2 * txn->room;
  wire_element_t *larger = realloc(txn->elements, room * sizeof *larger);
  if (larger != NULL) {
    txn->elements = larger;
    txn->room = room;
  }
  return larger != NULL;
}

static SaAisErrorT id_judge(const vesta_attributes_t *attributes, uint64_t kind, const SaCkptSectionIdT *id) {
  bool any = kind == VESTA_KIND_WRITTEN || kind == VESTA_KIND_OVERWRITTEN; /* the default section as well */
  if ((id->idLen == 0) != (id->id == NULL) || id->idLen > attributes->section_id_bytes_max ||
      (id->idLen == 0 && !any)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return id->idLen == 0 && attributes->sections_max != 1 ? SA_AIS_ERR_NOT_EXIST : SA_AIS_OK;
}

static SaAisErrorT element_judge(const vesta_txn_t *txn, const wire_element_t *element, const SaCkptSectionIdT *id) {
  uint32_t flags;
  vesta_attributes_t attributes;
  SaAisErrorT error = vesta_agent_attributes(txn->checkpoint, &flags, &attributes);
  if (error == SA_AIS_OK) {
    error = id_judge(&attributes, element->kind, id);
  }
  if (error != SA_AIS_OK) {
    return error;
  }
  if (element->size > attributes.section_bytes_max) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if ((element->size > 0 && element->offset > attributes.section_bytes_max - element->size) ||
      txn->count >= VESTA_VECTOR_ELEMENTS_MAX || element->size > VESTA_OPERATION_BYTES_MAX - txn->data_bytes) {
    return SA_AIS_ERR_NO_RESOURCES;
  }
  return SA_AIS_OK;
}

static SaAisErrorT txn_add(vesta_txn_t *txn, wire_element_t element, const SaCkptSectionIdT *id, const void *data) {
  if (txn == NULL || id == NULL || (data == NULL && element.size > 0) || element.expiry_ns < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  SaAisErrorT error = element_judge(txn, &element, id);
  if (error != SA_AIS_OK) {
    return error;
  }
  if (!elements_room(txn) || !room_make(&txn->ids, &txn->ids_room, txn->ids_bytes, id->idLen, TXN_IDS_FIRST) ||
      (element.size > 0 &&
       !room_make(&txn->data, &txn->data_room, txn->data_bytes, (size_t)element.size, TXN_DATA_FIRST))) {
    return SA_AIS_ERR_NO_MEMORY;
  }
  element.id.size = id->idLen;
  if (id->idLen > 0) {
    memcpy(txn->ids + txn->ids_bytes, id->id, id->idLen);
  }
  if (element.size > 0) {
    memcpy(txn->data + txn->data_bytes, data, (size_t)element.size);
  }
  txn->ids_bytes += id->idLen;
  txn->data_bytes += (size_t)element.size;
  txn->elements[txn->count++] = element;
  return SA_AIS_OK;
}

SaAisErrorT vesta_txn_create(vesta_txn_t *txn, const SaCkptSectionIdT *id, const void *data, SaSizeT size,
                             SaTimeT expiry) {
  return txn_add(txn, (wire_element_t){.kind = VESTA_KIND_CREATED, .size = size, .expiry_ns = expiry}, id, data);
}

SaAisErrorT vesta_txn_write(vesta_txn_t *txn, const SaCkptSectionIdT *id, SaOffsetT offset, const void *data,
                            SaSizeT size) {
  return txn_add(txn, (wire_element_t){.kind = VESTA_KIND_WRITTEN, .size = size, .offset = offset}, id, data);
}

SaAisErrorT vesta_txn_overwrite(vesta_txn_t *txn, const SaCkptSectionIdT *id, const void *data, SaSizeT size) {
  return txn_add(txn, (wire_element_t){.kind = VESTA_KIND_OVERWRITTEN, .size = size}, id, data);
}

SaAisErrorT vesta_txn_delete(vesta_txn_t *txn, const SaCkptSectionIdT *id) {
  return txn_add(txn, (wire_element_t){.kind = VESTA_KIND_DELETED}, id, NULL);
}

SaAisErrorT vesta_txn_expiry_set(vesta_txn_t *txn, const SaCkptSectionIdT *id, SaTimeT expiry) {
  return txn_add(txn, (wire_element_t){.kind = VESTA_KIND_EXPIRY_SET, .expiry_ns = expiry}, id, NULL);
}

/* ---- the end ---- */

static bool options_valid(const vesta_write_options_t *options) {
  const vesta_position_t *since = &options->if_unchanged_since;
  bool no_position = since->lineage == 0 && since->epoch == 0 && since->seq == 0;
  return (no_position || (since->lineage != 0 && since->epoch != 0)) && options->applied_by < VESTA_GROUP_MEMBERS_MAX &&
         (options->any_node == SA_FALSE || options->any_node == SA_TRUE) && options->timeout >= 0 &&
         RESERVED_IS_ZERO(options);
}

SaAisErrorT txn_request(vesta_txn_t *txn, const vesta_write_options_t *options, wire_message_t *request) {
  static const vesta_write_options_t defaults;
  options = options == NULL ? &defaults : options;
  if (txn->count == 0 || !options_valid(options)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  const uint8_t *id = txn->ids;
  for (uint32_t i = 0; i < txn->count; i++) {
    txn->elements[i].id.data = id;
    id = txn->elements[i].id.size == 0 ? id : id + txn->elements[i].id.size;
  }
  *request = (wire_message_t){.kind = WIRE_CHANGE,
                              .from_lineage = options->if_unchanged_since.lineage,
                              .from_epoch = options->if_unchanged_since.epoch,
                              .from_seq = options->if_unchanged_since.seq,
                              .elements = txn->elements,
                              .element_count = txn->count};
  if (options->applied_by > 0) {
    request->count = options->applied_by;
    request->flags = options->any_node == SA_TRUE ? WIRE_CHANGE_ANY_NODE : 0;
    request->timeout_ns = options->timeout == 0 ? TXN_APPLIED_NS : options->timeout;
  }
  return SA_AIS_OK;
}

SaAisErrorT vesta_txn_commit(vesta_txn_t **txn, const vesta_write_options_t *options, vesta_position_t *position) {
  wire_message_t request;
  if (txn == NULL || *txn == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  SaAisErrorT error = txn_request(*txn, options, &request);
  if (error != SA_AIS_OK) {
    return error;
  }
  SaTimeT limit = request.timeout_ns < SA_TIME_END - TXN_ANSWER_NS ? request.timeout_ns + TXN_ANSWER_NS : SA_TIME_END;
  vesta_agent_outcome_t outcome;
  error =
      vesta_agent_change((*txn)->checkpoint, &request, vesta_bytes((*txn)->data, (*txn)->data_bytes), limit, &outcome);
  (*txn)->failed_at = outcome.element;
  if (error != SA_AIS_OK) {
    return error;
  }
  if (position != NULL) {
    *position = stream_public_position(outcome.position);
  }
  return vesta_txn_abort(txn);
}

SaAisErrorT vesta_txn_failed_at(const vesta_txn_t *txn, SaUint32T *index) {
  if (txn == NULL || index == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (txn->failed_at == VESTA_NO_CHANGE) {
    return SA_AIS_ERR_NOT_EXIST;
  }
  *index = txn->failed_at;
  return SA_AIS_OK;
}
