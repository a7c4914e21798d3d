/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The calls for ported hot-standby code: saCkpt_B_02_03.h (but saCkptInitialize_2, which is in ckpt_library.c) and
 * cpsv_papi.h (COMPLIANCE 22.30).
 */
#include "saf_api/agent_checkpoint.h"
#include "saf_api/agent_track.h"
#include "saf_api/sa_error.h"

SaAisErrorT ncsCkptRegisterCkptArrivalCallback(SaCkptHandleT ckptHandle,
                                               ncsCkptCkptArrivalCallbackT ckptArrivalCallback) {
  if (ckptArrivalCallback == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_session_t *session = agent_session_acquire(ckptHandle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = agent_track_arrival(session, ckptArrivalCallback);
  agent_session_release(session);
  return sa_error(err);
}

typedef vesta_err_t (*track_turn_t)(agent_session_t *session, agent_checkpoint_t *checkpoint, uint32_t flag);

static SaAisErrorT track_library(SaCkptHandleT handle, track_turn_t turn) {
  agent_session_t *session = agent_session_acquire(handle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err = VESTA_ERR_INIT;
  if (session->callbacks.saCkptCheckpointTrackCallback != NULL) {
    err = turn(session, NULL, WIRE_TRACK_CHANGES);
  }
  agent_session_release(session);
  return sa_error(err);
}

static SaAisErrorT track_checkpoint(SaCkptCheckpointHandleT handle, track_turn_t turn) {
  agent_checkpoint_t *checkpoint = agent_checkpoint_acquire(handle);
  if (checkpoint == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  vesta_err_t err;
  if (checkpoint->session->callbacks.saCkptCheckpointTrackCallback == NULL) {
    err = VESTA_ERR_INIT;
  } else if ((checkpoint->flags & VESTA_OPEN_READ) == 0) {
    err = VESTA_ERR_ACCESS;
  } else {
    err = turn(checkpoint->session, checkpoint, WIRE_TRACK_CHANGES);
  }
  agent_checkpoint_release(checkpoint);
  return sa_error(err);
}

SaAisErrorT saCkptTrack(SaCkptHandleT ckptHandle) { return track_library(ckptHandle, agent_track_start); }

SaAisErrorT saCkptTrackStop(SaCkptHandleT ckptHandle) { return track_library(ckptHandle, agent_track_stop); }

SaAisErrorT saCkptCheckpointTrack(SaCkptCheckpointHandleT checkpointHandle) {
  return track_checkpoint(checkpointHandle, agent_track_start);
}

SaAisErrorT saCkptCheckpointTrackStop(SaCkptCheckpointHandleT checkpointHandle) {
  return track_checkpoint(checkpointHandle, agent_track_stop);
}
