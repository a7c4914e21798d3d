/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a mirror is to the pair that owns it: the calls of the API refuse such a mirror whatever would take changes.
 */
#ifndef VESTA_EXT_API_MIRROR_H
#define VESTA_EXT_API_MIRROR_H

#include "ext_api/stream.h"

/** As vesta_mirror_open(), for a pair. */
SaAisErrorT mirror_open_for_pair(SaCkptCheckpointHandleT checkpoint, const vesta_mirror_options_t *options,
                                 vesta_mirror_t **mirror);

/** As stream_try(), and the table has the change. SA_AIS_ERR_NO_MEMORY: the same change comes again next time. */
SaAisErrorT mirror_try(vesta_mirror_t *mirror, notify_change_t *change);

vesta_stream_t *mirror_stream(vesta_mirror_t *mirror);

void mirror_destroy(vesta_mirror_t **mirror);

#endif
