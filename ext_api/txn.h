/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a transaction is to the writer: its request, and its data to be handed on.
 */
#ifndef VESTA_EXT_API_TXN_H
#define VESTA_EXT_API_TXN_H

#include "core/wire.h"
#include "ext_api/vesta.h"

struct vesta_txn {
  SaCkptCheckpointHandleT checkpoint;
  wire_element_t *elements; /* their ids lie in `ids`, one after the other */
  uint32_t count, room;
  uint8_t *ids;
  size_t ids_bytes, ids_room;
  uint8_t *data; /* of all elements, one after the other */
  size_t data_bytes, data_room;
  uint32_t failed_at; /* VESTA_NO_CHANGE: none */
};

/**
 * The request. It points into the transaction.
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when nothing is in it or an option is out of its range
 */
SaAisErrorT txn_request(vesta_txn_t *txn, const vesta_write_options_t *options, wire_message_t *request);

/** Empty it; its data is somebody else's now. What memory it has for the rest stays, to be used again. */
void txn_data_gone(vesta_txn_t *txn);

/** @return SA_AIS_OK; SA_AIS_ERR_BAD_HANDLE; SA_AIS_ERR_ACCESS when the checkpoint was not opened for writing */
SaAisErrorT txn_writable(SaCkptCheckpointHandleT checkpoint);

#endif
