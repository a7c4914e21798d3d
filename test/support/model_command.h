/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One call of the standard API as a value, and what it answered: what the model test sends to its workers and compares
 * with its model.
 *
 * Handles are places: a worker keeps the handles it was given under small numbers, so a command can also name one that
 * was closed long ago, or never given.
 */
#ifndef VESTA_TEST_SUPPORT_MODEL_COMMAND_H
#define VESTA_TEST_SUPPORT_MODEL_COMMAND_H

#include <saCkpt.h>
#include <stdbool.h>
#include <stdint.h>

#define MODEL_LIBRARIES 2U   /* places for library handles in one worker */
#define MODEL_CHECKPOINTS 6U /* for checkpoint handles */
#define MODEL_ITERATIONS 3U
#define MODEL_NAMES 5U
#define MODEL_ELEMENTS_MAX 6U
#define MODEL_SECTIONS_MAX 12U /* of one checkpoint */
#define MODEL_SECTION_BYTES_MAX 600U
#define MODEL_ID_BYTES_MAX 16U
#define MODEL_DATA_BYTES (MODEL_ELEMENTS_MAX * (MODEL_SECTION_BYTES_MAX + 8U))
#define MODEL_INDEX_UNTOUCHED 7777U

/* clang-format off */
#define MODEL_KINDS(X) \
  X(INITIALIZE) \
  X(FINALIZE) \
  X(OPEN) \
  X(OPEN_ASYNC) \
  X(CLOSE) \
  X(UNLINK) \
  X(RETENTION_SET) \
  X(ACTIVE_SET) \
  X(STATUS_GET) \
  X(CREATE) \
  X(DELETE) \
  X(EXPIRATION_SET) \
  X(WRITE) \
  X(OVERWRITE) \
  X(READ) \
  X(SYNCHRONIZE) \
  X(SYNCHRONIZE_ASYNC) \
  X(ITERATE) \
  X(ITERATION_BEGIN) \
  X(ITERATION_NEXT) \
  X(ITERATION_END)
/* clang-format on */

typedef enum model_kind {
#define MODEL_KIND_ENUM(name) MODEL_##name,
  MODEL_KINDS(MODEL_KIND_ENUM)
#undef MODEL_KIND_ENUM
      MODEL_KIND_COUNT
} model_kind_t;

typedef struct model_id {
  uint16_t size;
  bool is_null; /* the pointer is NULL */
  uint8_t bytes[MODEL_ID_BYTES_MAX];
} model_id_t;

typedef struct model_element {
  model_id_t id;
  bool is_null; /* the buffer is NULL */
  uint64_t size, offset;
} model_element_t;

typedef struct model_command {
  model_kind_t kind;
  bool loses_answer;                       /* the daemon does it, and the link is cut before its answer comes */
  uint32_t library, checkpoint, iteration; /* places */
  uint32_t name;
  uint32_t major_version;
  uint32_t flags; /* of an open; of an iteration: which sections */
  bool has_attributes;
  SaCkptCheckpointCreationAttributesT attributes;
  int64_t time; /* retention, expiration */
  uint32_t element_count;
  model_element_t elements[MODEL_ELEMENTS_MAX]; /* the first one also for calls on one section */
  uint32_t data_bytes;
  uint8_t data[MODEL_DATA_BYTES]; /* of the elements, one after the other */
} model_command_t;

typedef struct model_section {
  model_id_t id;
  uint64_t size;
  int64_t expiration;
  int64_t changed_first, changed_last; /* between these; what a descriptor says has both the same */
} model_section_t;

/* What is not set stays zero. */
typedef struct model_answer {
  SaAisErrorT error;
  SaAisErrorT called_back; /* of the asynchronous calls */
  uint32_t index;          /* MODEL_INDEX_UNTOUCHED: it was left alone */
  model_id_t generated;
  SaCkptCheckpointDescriptorT status;
  uint64_t read_sizes[MODEL_ELEMENTS_MAX];
  uint32_t section_count;
  model_section_t sections[MODEL_SECTIONS_MAX + 1];
  uint32_t data_bytes;
  uint8_t data[MODEL_DATA_BYTES]; /* what was read, one after the other */
} model_answer_t;

#endif
