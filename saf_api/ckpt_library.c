/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saCkptInitialize, SelectionObjectGet, Dispatch, Finalize (AIS-CKPT-B.02.02 3.4; COMPLIANCE 1 to 4), and
 * saCkptInitialize_2 (saCkpt_B_02_03.h).
 */
#include <errno.h>

#include "saf_api/agent_dispatch.h"
#include "saf_api/agent_session.h"
#include "saf_api/sa_error.h"

#define RELEASE_CODE 'B'
#define MAJOR_MAX 2
#define MINOR_MAX 3

/* What went wrong while connecting, in the words that Initialize may use. */
static SaAisErrorT initialize_error(vesta_err_t err) {
  switch (err) {
    case VESTA_ERR_UNAVAILABLE:
    case VESTA_ERR_TIMEOUT: return SA_AIS_ERR_TRY_AGAIN; /* no daemon now, and nothing has happened */
    case VESTA_ERR_VERSION:
    case VESTA_ERR_BAD_HANDLE:
    case VESTA_ERR_TOO_LARGE: return SA_AIS_ERR_LIBRARY; /* the daemon speaks otherwise, or its path is no path */
    default: return sa_error(err);
  }
}

SaAisErrorT saCkptInitialize(SaCkptHandleT *ckptHandle, const SaCkptCallbacksT *callbacks, SaVersionT *version) {
  SaCkptCallbacksT_2 all = {.saCkptCheckpointTrackCallback = NULL};
  if (callbacks != NULL) {
    all.saCkptCheckpointOpenCallback = callbacks->saCkptCheckpointOpenCallback;
    all.saCkptCheckpointSynchronizeCallback = callbacks->saCkptCheckpointSynchronizeCallback;
  }
  return saCkptInitialize_2(ckptHandle, &all, version);
}

SaAisErrorT saCkptInitialize_2(SaCkptHandleT *ckptHandle, const SaCkptCallbacksT_2 *callbacks, SaVersionT *version) {
  if (ckptHandle == NULL || version == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  const SaVersionT supported = {.releaseCode = RELEASE_CODE, .majorVersion = MAJOR_MAX, .minorVersion = MINOR_MAX};
  if (version->releaseCode != RELEASE_CODE || version->majorVersion > MAJOR_MAX) {
    *version = supported;
    return SA_AIS_ERR_VERSION;
  }
  agent_session_t *session;
  vesta_err_t err = agent_session_new(callbacks, version->majorVersion < 2, &session);
  if (err != VESTA_OK) {
    return initialize_error(err); /* the version stays: who tries again asks for the same */
  }
  *version = supported;
  *ckptHandle = session->object.handle;
  agent_handle_publish(&session->object);
  agent_session_release(session);
  return SA_AIS_OK;
}

SaAisErrorT saCkptSelectionObjectGet(SaCkptHandleT ckptHandle, SaSelectionObjectT *selectionObject) {
  if (selectionObject == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_session_t *session = agent_session_acquire(ckptHandle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  int fd;
  vesta_err_t err = agent_dispatch_selection(session, &fd);
  if (err == VESTA_OK) {
    *selectionObject = (SaSelectionObjectT)fd;
  }
  agent_session_release(session);
  return sa_error(err);
}

/* A reference is held for one callback only: it may finalize the handle, or fork. */
static SaAisErrorT dispatch_all(SaCkptHandleT handle) {
  bool more = true;
  while (more) {
    agent_session_t *session = agent_session_acquire(handle);
    if (session == NULL) {
      return SA_AIS_OK; /* finalized by the last callback, or by another thread */
    }
    more = agent_dispatch_one(session);
    agent_session_release(session);
  }
  return SA_AIS_OK;
}

static SaAisErrorT dispatch_blocking(SaCkptHandleT handle) {
  for (;;) {
    agent_session_t *session = (agent_session_t *)agent_handle_acquire(handle, AGENT_LIBRARY);
    if (session == NULL) {
      return SA_AIS_OK; /* finalized */
    }
    vesta_err_t err = VESTA_OK;
    if (atomic_load(&session->lost)) {
      err = VESTA_ERR_BAD_HANDLE;
    } else if (!agent_dispatch_one(session)) {
      err = agent_dispatch_wait(session);
    }
    agent_session_release(session);
    if (err != VESTA_OK) {
      return sa_error(err);
    }
  }
}

SaAisErrorT saCkptDispatch(SaCkptHandleT ckptHandle, SaDispatchFlagsT dispatchFlags) {
  if (dispatchFlags != SA_DISPATCH_ONE && dispatchFlags != SA_DISPATCH_ALL && dispatchFlags != SA_DISPATCH_BLOCKING) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  agent_session_t *session = agent_session_acquire(ckptHandle);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  SaAisErrorT result = SA_AIS_OK;
  switch (dispatchFlags) {
    case SA_DISPATCH_ONE: (void)agent_dispatch_one(session); break;
    case SA_DISPATCH_ALL: result = dispatch_all(ckptHandle); break;
    case SA_DISPATCH_BLOCKING: result = dispatch_blocking(ckptHandle); break;
  }
  agent_session_release(session);
  return result;
}

SaAisErrorT saCkptFinalize(SaCkptHandleT ckptHandle) {
  agent_session_t *session = (agent_session_t *)agent_handle_acquire(ckptHandle, AGENT_LIBRARY);
  if (session == NULL) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (!agent_handle_close(&session->object)) {
    agent_session_release(session); /* another thread was faster */
    return SA_AIS_ERR_BAD_HANDLE;
  }
  bool lost = atomic_load(&session->lost);
  agent_session_end(session);
  agent_session_release(session);
  return lost ? SA_AIS_ERR_BAD_HANDLE : SA_AIS_OK;
}
