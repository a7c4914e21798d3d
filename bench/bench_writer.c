/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A vesta_writer_t that overwrites one section as fast as it is let: an application that takes what came of a write only
 * when it has to.
 */
#include "bench/bench_parts.h"
#include "bench/scene.h"

/* @return false: nothing is under way */
static bool writer_take(vesta_writer_t *writer) {
  vesta_completion_t completion;
  SaAisErrorT error = vesta_writer_next(writer, SA_TIME_END, &completion);
  if (error == SA_AIS_ERR_NOT_EXIST) {
    return false;
  }
  scene_require(error, "vesta_writer_next");
  scene_require(completion.error, "an asynchronous write");
  return true;
}

void bench_writer_overwrite(vesta_writer_t *writer, const void *payload, size_t bytes) {
  const SaCkptSectionIdT id = {.idLen = sizeof BENCH_SECTION - 1, .id = (SaUint8T *)BENCH_SECTION};
  SaAisErrorT error;
  while ((error = vesta_writer_overwrite(writer, &id, payload, bytes, 0)) == SA_AIS_ERR_TRY_AGAIN) {
    (void)writer_take(writer);
  }
  scene_require(error, "vesta_writer_overwrite");
}

void bench_writer_settle(vesta_writer_t *writer) {
  while (writer_take(writer)) {
  }
}
