/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_writer_...: transactions whose outcome is taken later. The work is done by the agent link's queue
 * (saf_api/agent_queue.h); what is added here is the transaction that a single change stands in.
 */
#include "ext_api/txn.h"
#include "saf_api/agent_extension.h"

#include <stdlib.h>

struct vesta_writer {
  SaCkptCheckpointHandleT checkpoint;
  vesta_agent_queue_t *queue;
  vesta_txn_t *single; /* for one change: empty between two calls */
};

SaAisErrorT vesta_writer_open(SaCkptCheckpointHandleT checkpoint, vesta_writer_t **writer) {
  if (writer == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_txn_t *single = NULL;
  SaAisErrorT error = vesta_txn_begin(checkpoint, &single);
  if (error != SA_AIS_OK) {
    return error;
  }
  vesta_writer_t *opened = calloc(1, sizeof *opened);
  error = opened == NULL ? SA_AIS_ERR_NO_MEMORY : vesta_agent_queue_open(checkpoint, &opened->queue);
  if (error != SA_AIS_OK) {
    (void)vesta_txn_abort(&single);
    free(opened);
    return error;
  }
  opened->checkpoint = checkpoint;
  opened->single = single;
  *writer = opened;
  return SA_AIS_OK;
}

SaAisErrorT vesta_writer_fd(vesta_writer_t *writer, SaSelectionObjectT *fd) {
  if (writer == NULL || fd == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  int epoll_fd = vesta_agent_queue_fd(writer->queue);
  if (epoll_fd < 0) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  *fd = (SaSelectionObjectT)epoll_fd;
  return SA_AIS_OK;
}

/* On SA_AIS_OK the transaction is empty. */
static SaAisErrorT writer_send(vesta_writer_t *writer, vesta_txn_t *txn, const vesta_write_options_t *options,
                               SaInvocationT invocation) {
  wire_message_t request;
  SaAisErrorT error = txn_request(txn, options, &request);
  if (error == SA_AIS_OK) {
    error = vesta_agent_queue_send(writer->queue, &request, txn->data, txn->data_bytes, invocation);
  }
  if (error == SA_AIS_OK) {
    txn_data_gone(txn);
  }
  return error;
}

SaAisErrorT vesta_writer_commit(vesta_writer_t *writer, vesta_txn_t **txn, const vesta_write_options_t *options,
                                SaInvocationT invocation) {
  if (writer == NULL || txn == NULL || *txn == NULL || (*txn)->checkpoint != writer->checkpoint) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  SaAisErrorT error = writer_send(writer, *txn, options, invocation);
  return error == SA_AIS_OK ? vesta_txn_abort(txn) : error;
}

/* The one change has been added, or not. */
static SaAisErrorT writer_send_single(vesta_writer_t *writer, SaAisErrorT added, SaInvocationT invocation) {
  if (added != SA_AIS_OK) {
    return added;
  }
  vesta_txn_t *single = writer->single;
  SaAisErrorT error = writer_send(writer, single, NULL, invocation);
  if (error != SA_AIS_OK) {
    single->count = 0;
    single->ids_bytes = single->data_bytes = 0;
  }
  return error;
}

SaAisErrorT vesta_writer_overwrite(vesta_writer_t *writer, const SaCkptSectionIdT *id, const void *data, SaSizeT size,
                                   SaInvocationT invocation) {
  if (writer == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (vesta_agent_queue_is_full(writer->queue)) {
    return SA_AIS_ERR_TRY_AGAIN; /* before the data is copied: it is handed in again soon */
  }
  return writer_send_single(writer, vesta_txn_overwrite(writer->single, id, data, size), invocation);
}

SaAisErrorT vesta_writer_write(vesta_writer_t *writer, const SaCkptSectionIdT *id, SaOffsetT offset, const void *data,
                               SaSizeT size, SaInvocationT invocation) {
  if (writer == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (vesta_agent_queue_is_full(writer->queue)) {
    return SA_AIS_ERR_TRY_AGAIN;
  }
  return writer_send_single(writer, vesta_txn_write(writer->single, id, offset, data, size), invocation);
}

SaAisErrorT vesta_writer_next(vesta_writer_t *writer, SaTimeT timeout, vesta_completion_t *completion) {
  if (writer == NULL || completion == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  uint64_t invocation;
  vesta_agent_outcome_t outcome;
  SaAisErrorT error = vesta_agent_queue_next(writer->queue, timeout, &invocation, &outcome);
  if (error == SA_AIS_OK) {
    *completion = (vesta_completion_t){.invocation = invocation,
                                       .error = outcome.error,
                                       .failed_at = outcome.element,
                                       .position = {.lineage = outcome.position.lineage,
                                                    .epoch = outcome.position.epoch,
                                                    .seq = outcome.position.seq}};
  }
  return error;
}

SaAisErrorT vesta_writer_close(vesta_writer_t **writer) {
  if (writer == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (*writer != NULL) {
    vesta_agent_queue_close(&(*writer)->queue);
    (void)vesta_txn_abort(&(*writer)->single);
    free(*writer);
    *writer = NULL;
  }
  return SA_AIS_OK;
}
