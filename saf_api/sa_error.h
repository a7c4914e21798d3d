/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one translation of our codes to the standard's.
 */
#ifndef VESTA_SAF_API_SA_ERROR_H
#define VESTA_SAF_API_SA_ERROR_H

#include "core/error.h"
#include "saf_api/saAis.h"

/** Total: a number that is none of ours (a newer daemon's) is SA_AIS_ERR_LIBRARY. */
SaAisErrorT sa_error(vesta_err_t err);

#endif
