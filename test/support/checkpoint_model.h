/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The Checkpoint Service in a few hundred lines: what every call has to answer, said by plain arrays that nobody else
 * touches. The model test compares the service with it.
 *
 * It is told of a call twice. model_expect() when the call is sent: the model does what the service is to do, and says the
 * answer. model_settle() when the answer is there: it is compared, and what only the service can know (a generated id,
 * when exactly a change came) is taken over. Between the two nobody else may use the checkpoint name concerned, which
 * model_concerns() tells.
 *
 * Time: what is about to expire, or to be forgotten, makes its name *unquiet*; nothing is to be asked of it until then, so
 * that the model always knows whether it is there. The service has to know it to the same nanosecond.
 */
#ifndef VESTA_TEST_SUPPORT_CHECKPOINT_MODEL_H
#define VESTA_TEST_SUPPORT_CHECKPOINT_MODEL_H

#include <stddef.h>

#include "test/support/model_command.h"

#define MODEL_WORKERS_MAX 8U
#define MODEL_CHECKPOINTS_MAX 128U
#define MODEL_NO_NAME 0xffffU /* the call concerns no checkpoint */
#define MODEL_EVERY_NAME 0xfffeU
#define MODEL_SHORT_NS 1000000000LL /* what is shorter is waited for */

/* One checkpoint, with a name or unlinked. */
typedef struct model_checkpoint {
  bool used, unlinked, has_active;
  uint32_t name;
  uint32_t open_count;
  SaCkptCheckpointCreationAttributesT attributes;
  int64_t retained_until;
  uint32_t section_count;
  model_section_t sections[MODEL_SECTIONS_MAX];
  uint8_t data[MODEL_SECTIONS_MAX][MODEL_SECTION_BYTES_MAX];
} model_checkpoint_t;

typedef struct model_library {
  bool open;
  uint32_t major_version;
} model_library_t;

typedef struct model_handle {
  bool open;
  uint32_t library;
  uint32_t flags;
  model_checkpoint_t *checkpoint;
} model_handle_t;

typedef enum model_shown { MODEL_MUST_SHOW, MODEL_MAY_SHOW, MODEL_WAS_SHOWN } model_shown_t;

typedef struct model_iteration {
  bool open;
  uint32_t handle;
  uint32_t count;
  model_id_t ids[MODEL_SECTIONS_MAX];
  model_shown_t shown[MODEL_SECTIONS_MAX];
} model_iteration_t;

typedef struct model_process {
  model_library_t libraries[MODEL_LIBRARIES];
  model_handle_t handles[MODEL_CHECKPOINTS];
  model_iteration_t iterations[MODEL_ITERATIONS];
} model_process_t;

typedef struct model {
  uint32_t process_count;
  model_process_t processes[MODEL_WORKERS_MAX];
  model_checkpoint_t checkpoints[MODEL_CHECKPOINTS_MAX];
  model_checkpoint_t *names[MODEL_NAMES]; /* NULL: there is none of that name */
  int64_t quiet_from[MODEL_NAMES];
} model_t;

/** The name that a call concerns, MODEL_NO_NAME or MODEL_EVERY_NAME. */
uint32_t model_concerns(const model_t *model, uint32_t process, const model_command_t *command);
/** What has run out by now is gone, of that name alone. model_expect() begins with it. */
void model_age(model_t *model, uint32_t name, int64_t now_ns);
/** A call is sent at `now_ns`: what will it answer? */
void model_expect(model_t *model, uint32_t process, const model_command_t *command, int64_t now_ns,
                  model_answer_t *expected);
/**
 * It was answered.
 * @param[out] why   what is wrong, in words
 * @return whether it is as it should be
 */
bool model_settle(model_t *model, uint32_t process, const model_command_t *command, const model_answer_t *expected,
                  const model_answer_t *actual, int64_t sent_ns, int64_t answered_ns, char *why, size_t why_size);
/** A process has died, which the service noticed before `now_ns`. @return how many library handles it had */
uint32_t model_process_died(model_t *model, uint32_t process, int64_t now_ns);

const char *model_kind_name(model_kind_t kind);

#endif
