/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one translation of our codes to the standard's.
 */
#include "saf_api/sa_error.h"

SaAisErrorT sa_error(vesta_err_t err) {
  switch (err) {
    case VESTA_ERR_OK: return SA_AIS_OK;
    case VESTA_ERR_INVALID_PARAM: return SA_AIS_ERR_INVALID_PARAM;
    case VESTA_ERR_BAD_HANDLE: return SA_AIS_ERR_BAD_HANDLE;
    case VESTA_ERR_NOT_EXIST: return SA_AIS_ERR_NOT_EXIST;
    case VESTA_ERR_EXIST: return SA_AIS_ERR_EXIST;
    case VESTA_ERR_ACCESS: return SA_AIS_ERR_ACCESS;
    case VESTA_ERR_NO_SPACE: return SA_AIS_ERR_NO_SPACE;
    case VESTA_ERR_NO_RESOURCES: return SA_AIS_ERR_NO_RESOURCES;
    case VESTA_ERR_NO_MEMORY: return SA_AIS_ERR_NO_MEMORY;
    case VESTA_ERR_TRY_AGAIN: return SA_AIS_ERR_TRY_AGAIN;
    case VESTA_ERR_TIMEOUT: return SA_AIS_ERR_TIMEOUT;
    case VESTA_ERR_BAD_OPERATION: return SA_AIS_ERR_BAD_OPERATION;
    case VESTA_ERR_BAD_FLAGS: return SA_AIS_ERR_BAD_FLAGS;
    case VESTA_ERR_INIT: return SA_AIS_ERR_INIT;
    case VESTA_ERR_VERSION: return SA_AIS_ERR_VERSION;
    case VESTA_ERR_LIBRARY: return SA_AIS_ERR_LIBRARY;
    case VESTA_ERR_NO_SECTIONS: return SA_AIS_ERR_NO_SECTIONS;
    case VESTA_ERR_UNAVAILABLE: return SA_AIS_ERR_UNAVAILABLE;
    case VESTA_ERR_FENCED: return SA_AIS_ERR_BAD_OPERATION; /* in this state: the group's active is another */
    case VESTA_ERR_DENIED: return SA_AIS_ERR_ACCESS;
    case VESTA_ERR_BUSY: return SA_AIS_ERR_BUSY;
    case VESTA_ERR_CORRUPTED:
    case VESTA_ERR_CHANGED: return SA_AIS_ERR_FAILED_OPERATION;
    case VESTA_ERR_NOT_SUPPORTED: return SA_AIS_ERR_NOT_SUPPORTED;
    case VESTA_ERR_TOO_LARGE: return SA_AIS_ERR_NO_RESOURCES;
    case VESTA_ERR_LOST:
    case VESTA_ERR_DIVERGED: return SA_AIS_ERR_NOT_EXIST; /* the history that was asked for is not there */
    case VESTA_ERR_MALFORMED: break;
  }
  return SA_AIS_ERR_LIBRARY;
}
