/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The model of the service. See checkpoint_model.h. What a call judges, and in which order, is the standard's, with the
 * answers to its open questions that doc/COMPLIANCE.md gives.
 */
#include "test/support/checkpoint_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_ANY 8888U /* the standard does not say which element */

const char *model_kind_name(model_kind_t kind) {
  static const char *const names[] = {
#define MODEL_KIND_NAME(name) #name,
      MODEL_KINDS(MODEL_KIND_NAME)
#undef MODEL_KIND_NAME
  };
  return names[kind];
}

/* ---- small things ---- */

static bool id_equal(const model_id_t *a, const model_id_t *b) {
  return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static bool id_well_formed(const model_id_t *id) { return (id->size == 0) == id->is_null; }

static bool collocated(const model_checkpoint_t *c) {
  return (c->attributes.creationFlags & SA_CKPT_CHECKPOINT_COLLOCATED) != 0 &&
         (c->attributes.creationFlags & SA_CKPT_WR_ALL_REPLICAS) == 0;
}

/* There is a replica to work on. */
static bool usable(const model_checkpoint_t *c) { return !collocated(c) || c->has_active; }

static bool has_default_section(const model_checkpoint_t *c) { return c->attributes.maxSections == 1; }

static model_section_t *section_find(model_checkpoint_t *c, const model_id_t *id) {
  for (uint32_t i = 0; i < c->section_count; i++) {
    if (id_equal(&c->sections[i].id, id)) {
      return &c->sections[i];
    }
  }
  return NULL;
}

static uint8_t *section_data(model_checkpoint_t *c, const model_section_t *section) {
  return c->data[section - c->sections];
}

/* Iterations that would have to show it need not any more. */
static void iterations_excuse(model_t *model, const model_checkpoint_t *c, const model_id_t *id) {
  for (uint32_t p = 0; p < model->process_count; p++) {
    model_process_t *process = &model->processes[p];
    for (uint32_t i = 0; i < MODEL_ITERATIONS; i++) {
      model_iteration_t *iteration = &process->iterations[i];
      bool of_it = iteration->open && process->handles[iteration->handle].checkpoint == c;
      for (uint32_t k = 0; of_it && k < iteration->count; k++) {
        if (iteration->shown[k] == MODEL_MUST_SHOW && id_equal(&iteration->ids[k], id)) {
          iteration->shown[k] = MODEL_MAY_SHOW;
        }
      }
    }
  }
}

static void section_remove(model_t *model, model_checkpoint_t *c, model_section_t *section) {
  uint32_t at = (uint32_t)(section - c->sections);
  uint32_t last = c->section_count - 1;
  iterations_excuse(model, c, &section->id);
  c->sections[at] = c->sections[last];
  memmove(c->data[at], c->data[last], MODEL_SECTION_BYTES_MAX);
  c->section_count--;
}

static model_section_t *section_add(model_checkpoint_t *c, const model_id_t *id) {
  model_section_t *section = &c->sections[c->section_count++];
  *section = (model_section_t){.id = *id, .expiration = SA_TIME_END};
  memset(section_data(c, section), 0, MODEL_SECTION_BYTES_MAX);
  return section;
}

static void checkpoint_remove(model_t *model, model_checkpoint_t *c) {
  if (!c->unlinked) {
    model->names[c->name] = NULL;
  }
  c->used = false;
}

void model_age(model_t *model, uint32_t name, int64_t now_ns) {
  for (uint32_t i = 0; i < MODEL_CHECKPOINTS_MAX; i++) {
    model_checkpoint_t *c = &model->checkpoints[i];
    if (c->name != name && name != MODEL_EVERY_NAME) {
      continue;
    }
    if (c->used && c->open_count == 0 && c->retained_until <= now_ns) {
      checkpoint_remove(model, c);
    }
    for (uint32_t k = 0; c->used && k < c->section_count;) {
      if (c->sections[k].expiration <= now_ns) {
        section_remove(model, c, &c->sections[k]);
      } else {
        k++;
      }
    }
  }
}

static void unquiet(model_t *model, uint32_t name, int64_t until_ns) {
  if (until_ns > model->quiet_from[name]) {
    model->quiet_from[name] = until_ns;
  }
}

static bool handle_is_good(const model_process_t *process, uint32_t place) {
  return process->handles[place].open && process->libraries[process->handles[place].library].open;
}

static const model_library_t *library_of(const model_process_t *process, const model_handle_t *handle) {
  return &process->libraries[handle->library];
}

uint32_t model_concerns(const model_t *model, uint32_t process_number, const model_command_t *command) {
  const model_process_t *process = &model->processes[process_number];
  uint32_t place = command->checkpoint;
  switch (command->kind) {
    case MODEL_INITIALIZE: return MODEL_NO_NAME;
    case MODEL_FINALIZE: return MODEL_EVERY_NAME;
    case MODEL_OPEN:
    case MODEL_OPEN_ASYNC:
    case MODEL_UNLINK: return command->name;
    case MODEL_ITERATION_NEXT:
    case MODEL_ITERATION_END:
      if (!process->iterations[command->iteration].open) {
        return MODEL_NO_NAME;
      }
      place = process->iterations[command->iteration].handle;
      break;
    default: break;
  }
  return handle_is_good(process, place) ? process->handles[place].checkpoint->name : MODEL_NO_NAME;
}

/* ---- opening and closing ---- */

static bool attributes_good(const SaCkptCheckpointCreationAttributesT *a) {
  switch (a->creationFlags & ~(SaUint32T)SA_CKPT_CHECKPOINT_COLLOCATED) {
    case SA_CKPT_WR_ALL_REPLICAS:
    case SA_CKPT_WR_ACTIVE_REPLICA:
    case SA_CKPT_WR_ACTIVE_REPLICA_WEAK: return a->checkpointSize <= a->maxSections * a->maxSectionSize;
    default: return false;
  }
}

static int64_t retention_meant(int64_t asked) { return asked < 0 ? SA_TIME_END : asked; }

static bool attributes_equal(const SaCkptCheckpointCreationAttributesT *have,
                             const SaCkptCheckpointCreationAttributesT *want, bool retention_too) {
  return have->creationFlags == want->creationFlags && have->checkpointSize == want->checkpointSize &&
         have->maxSections == want->maxSections && have->maxSectionSize == want->maxSectionSize &&
         have->maxSectionIdSize == want->maxSectionIdSize &&
         (!retention_too || have->retentionDuration == retention_meant(want->retentionDuration));
}

static model_checkpoint_t *checkpoint_add(model_t *model, const model_command_t *command, int64_t now_ns) {
  model_checkpoint_t *c = model->checkpoints;
  while (c->used) {
    if (++c == model->checkpoints + MODEL_CHECKPOINTS_MAX) {
      abort();
    }
  }
  memset(c, 0, sizeof *c);
  c->used = true;
  c->name = command->name;
  c->attributes = command->attributes;
  c->attributes.retentionDuration = retention_meant(command->attributes.retentionDuration);
  if (has_default_section(c)) {
    section_add(c, &(model_id_t){.is_null = true})->changed_first = now_ns;
  }
  model->names[c->name] = c;
  return c;
}

/* Refused without asking the service. */
static SaAisErrorT open_judge(const model_process_t *process, const model_command_t *command) {
  const SaCkptCheckpointOpenFlagsT known =
      SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE | SA_CKPT_CHECKPOINT_CREATE;
  bool create = (command->flags & SA_CKPT_CHECKPOINT_CREATE) != 0;
  if (command->flags == 0 || (command->flags & ~known) != 0) {
    return SA_AIS_ERR_BAD_FLAGS;
  }
  if (create != command->has_attributes || (create && !attributes_good(&command->attributes))) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return process->libraries[command->library].open ? SA_AIS_OK : SA_AIS_ERR_BAD_HANDLE;
}

static SaAisErrorT open_do(model_t *model, model_process_t *process, const model_command_t *command, int64_t now_ns) {
  model_checkpoint_t *c = model->names[command->name];
  bool b1 = process->libraries[command->library].major_version < 2;
  if (c == NULL && !command->has_attributes) {
    return SA_AIS_ERR_NOT_EXIST;
  }
  if (c != NULL && command->has_attributes && !attributes_equal(&c->attributes, &command->attributes, b1)) {
    return SA_AIS_ERR_EXIST;
  }
  c = c != NULL ? c : checkpoint_add(model, command, now_ns);
  c->open_count++;
  process->handles[command->checkpoint] =
      (model_handle_t){.open = true, .library = command->library, .flags = command->flags, .checkpoint = c};
  return SA_AIS_OK;
}

/* `closed_ns` is when the service has done it at the latest. */
static void handle_close(model_t *model, model_process_t *process, uint32_t place, int64_t closed_ns) {
  model_handle_t *handle = &process->handles[place];
  model_checkpoint_t *c = handle->checkpoint;
  handle->open = false;
  for (uint32_t i = 0; i < MODEL_ITERATIONS; i++) {
    model_iteration_t *iteration = &process->iterations[i];
    iteration->open = iteration->open && iteration->handle != place;
  }
  if (--c->open_count > 0) {
    return;
  }
  int64_t retention = c->attributes.retentionDuration;
  c->retained_until = retention > SA_TIME_END - closed_ns ? SA_TIME_END : closed_ns + retention;
  if (c->unlinked || retention < 1000000) {
    checkpoint_remove(model, c);
  } else if (retention < MODEL_SHORT_NS) {
    unquiet(model, c->name, c->retained_until);
  }
}

static void library_close(model_t *model, model_process_t *process, uint32_t library, int64_t closed_ns) {
  for (uint32_t i = 0; i < MODEL_CHECKPOINTS; i++) {
    if (process->handles[i].open && process->handles[i].library == library) {
      handle_close(model, process, i, closed_ns);
    }
  }
  process->libraries[library].open = false;
}

uint32_t model_process_died(model_t *model, uint32_t process_number, int64_t now_ns) {
  model_process_t *process = &model->processes[process_number];
  uint32_t count = 0;
  for (uint32_t i = 0; i < MODEL_LIBRARIES; i++) {
    count += process->libraries[i].open;
    library_close(model, process, i, now_ns);
  }
  return count;
}

static SaAisErrorT unlink_do(model_t *model, const model_process_t *process, const model_command_t *command) {
  model_checkpoint_t *c = model->names[command->name];
  if (!process->libraries[command->library].open) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (c == NULL) {
    return SA_AIS_ERR_NOT_EXIST;
  }
  if (c->open_count == 0) {
    checkpoint_remove(model, c);
  } else {
    c->unlinked = true;
    model->names[command->name] = NULL;
  }
  return SA_AIS_OK;
}

/* ---- calls on a checkpoint ---- */

static SaAisErrorT retention_set(model_handle_t *handle, bool b1, int64_t retention) {
  if (!b1 && (handle->flags & SA_CKPT_CHECKPOINT_WRITE) == 0) {
    return SA_AIS_ERR_ACCESS;
  }
  if (handle->checkpoint->unlinked) {
    return SA_AIS_ERR_BAD_OPERATION;
  }
  handle->checkpoint->attributes.retentionDuration = retention;
  return SA_AIS_OK;
}

static SaAisErrorT active_set(model_handle_t *handle) {
  if ((handle->flags & SA_CKPT_CHECKPOINT_WRITE) == 0) {
    return SA_AIS_ERR_ACCESS;
  }
  if (!collocated(handle->checkpoint)) {
    return SA_AIS_ERR_BAD_OPERATION;
  }
  handle->checkpoint->has_active = true;
  return SA_AIS_OK;
}

static SaAisErrorT status_get(const model_handle_t *handle, bool b1, model_answer_t *expected) {
  const model_checkpoint_t *c = handle->checkpoint;
  if (!b1 && (handle->flags & SA_CKPT_CHECKPOINT_READ) == 0) {
    return SA_AIS_ERR_ACCESS;
  }
  if (!usable(c)) {
    return SA_AIS_ERR_NOT_EXIST;
  }
  expected->status.checkpointCreationAttributes = c->attributes;
  expected->status.numberOfSections = c->section_count;
  for (uint32_t i = 0; i < c->section_count; i++) {
    expected->status.memoryUsed += c->sections[i].size;
  }
  return SA_AIS_OK;
}

static SaAisErrorT synchronize(const model_handle_t *handle) {
  if ((handle->flags & SA_CKPT_CHECKPOINT_WRITE) == 0) {
    return SA_AIS_ERR_ACCESS;
  }
  if ((handle->checkpoint->attributes.creationFlags & SA_CKPT_WR_ALL_REPLICAS) != 0) {
    return SA_AIS_ERR_BAD_OPERATION;
  }
  return usable(handle->checkpoint) ? SA_AIS_OK : SA_AIS_ERR_NOT_EXIST;
}

/* ---- calls on sections ---- */

/* A generated id is not known yet: settle adds that section. */
static SaAisErrorT create_do(model_checkpoint_t *c, const model_command_t *command) {
  const model_element_t *e = &command->elements[0];
  if (e->id.size > c->attributes.maxSectionIdSize || e->size > c->attributes.maxSectionSize) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!usable(c)) {
    return SA_AIS_ERR_NOT_EXIST;
  }
  if (has_default_section(c) || (e->id.size > 0 && section_find(c, &e->id) != NULL)) {
    return SA_AIS_ERR_EXIST;
  }
  if (c->section_count >= c->attributes.maxSections) {
    return SA_AIS_ERR_NO_SPACE;
  }
  if (e->id.size > 0) {
    model_section_t *section = section_add(c, &e->id);
    section->size = e->size;
    section->expiration = command->time;
    memcpy(section_data(c, section), command->data, e->size);
  }
  return SA_AIS_OK;
}

/* What an id means here. @return OK when it may be looked up */
static SaAisErrorT id_judge(const model_checkpoint_t *c, const model_id_t *id) {
  if (id->size > c->attributes.maxSectionIdSize) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return id->size == 0 && !has_default_section(c) ? SA_AIS_ERR_NOT_EXIST : SA_AIS_OK;
}

/* Delete, set the expiration: the default section stays. */
static SaAisErrorT section_alter(model_t *model, model_checkpoint_t *c, const model_command_t *command) {
  const model_id_t *id = &command->elements[0].id;
  SaAisErrorT error = id_judge(c, id);
  if (error == SA_AIS_OK && id->size == 0) {
    error = SA_AIS_ERR_INVALID_PARAM;
  }
  model_section_t *section = error == SA_AIS_OK && usable(c) ? section_find(c, id) : NULL;
  if (error != SA_AIS_OK || section == NULL) {
    return error != SA_AIS_OK ? error : SA_AIS_ERR_NOT_EXIST;
  }
  if (command->kind == MODEL_DELETE) {
    section_remove(model, c, section);
  } else {
    section->expiration = command->time;
  }
  return SA_AIS_OK;
}

static SaAisErrorT overwrite(model_checkpoint_t *c, const model_command_t *command) {
  const model_element_t *e = &command->elements[0];
  SaAisErrorT error = e->size > c->attributes.maxSectionSize ? SA_AIS_ERR_INVALID_PARAM : id_judge(c, &e->id);
  model_section_t *section = error == SA_AIS_OK && usable(c) ? section_find(c, &e->id) : NULL;
  if (error != SA_AIS_OK || section == NULL) {
    return error != SA_AIS_OK ? error : SA_AIS_ERR_NOT_EXIST;
  }
  uint8_t *data = section_data(c, section);
  section->size = e->size;
  memset(data, 0, MODEL_SECTION_BYTES_MAX);
  memcpy(data, command->data, e->size);
  return SA_AIS_OK;
}

/* ---- vectors ---- */

static bool write_well_formed(const model_element_t *e) {
  return id_well_formed(&e->id) && (!e->is_null || e->size == 0);
}

static bool read_well_formed(const model_element_t *e) { return id_well_formed(&e->id); }

/* One element of a write, but for whether the section is there. */
static SaAisErrorT write_judge(const model_checkpoint_t *c, const model_element_t *e) {
  SaAisErrorT error = write_well_formed(e) ? id_judge(c, &e->id) : SA_AIS_ERR_INVALID_PARAM;
  if (error == SA_AIS_OK && e->size > c->attributes.maxSectionSize) {
    error = SA_AIS_ERR_INVALID_PARAM;
  }
  if (error == SA_AIS_OK && e->size > 0 && e->offset + e->size > c->attributes.maxSectionSize) {
    error = SA_AIS_ERR_NO_RESOURCES;
  }
  return error;
}

static SaAisErrorT write_do(model_checkpoint_t *c, const model_command_t *command, model_answer_t *expected) {
  for (uint32_t i = 0; i < command->element_count; i++) {
    const model_element_t *e = &command->elements[i];
    SaAisErrorT error = write_judge(c, e);
    if (!usable(c) && (i > 0 || error == SA_AIS_OK)) { /* of the whole checkpoint, not of an element */
      expected->index = INDEX_ANY;
      return SA_AIS_ERR_NOT_EXIST;
    }
    if (error == SA_AIS_OK && section_find(c, &e->id) == NULL) {
      error = SA_AIS_ERR_NOT_EXIST;
    }
    if (error != SA_AIS_OK) {
      expected->index = i;
      return error;
    }
  }
  const uint8_t *data = command->data;
  for (uint32_t i = 0; i < command->element_count; i++) {
    const model_element_t *e = &command->elements[i];
    model_section_t *section = section_find(c, &e->id);
    if (e->size > 0) {
      memcpy(section_data(c, section) + e->offset, data, e->size);
      section->size = e->offset + e->size > section->size ? e->offset + e->size : section->size;
      data += e->size;
    }
  }
  return SA_AIS_OK;
}

static SaAisErrorT read_one(model_checkpoint_t *c, const model_element_t *e, model_answer_t *expected,
                            uint64_t *read_size) {
  SaAisErrorT error = read_well_formed(e) ? id_judge(c, &e->id) : SA_AIS_ERR_INVALID_PARAM;
  if (error == SA_AIS_OK &&
      ((!e->is_null && e->size > c->attributes.maxSectionSize) || e->offset > c->attributes.maxSectionSize)) {
    error = SA_AIS_ERR_INVALID_PARAM;
  }
  model_section_t *section = error == SA_AIS_OK && usable(c) ? section_find(c, &e->id) : NULL;
  if (error == SA_AIS_OK && section == NULL) {
    error = SA_AIS_ERR_NOT_EXIST;
  }
  if (error == SA_AIS_OK && e->offset > section->size) {
    error = SA_AIS_ERR_INVALID_PARAM;
  }
  if (error == SA_AIS_OK) {
    uint64_t rest = section->size - e->offset;
    *read_size = e->is_null || e->size > rest ? rest : e->size;
    memcpy(expected->data + expected->data_bytes, section_data(c, section) + e->offset, *read_size);
    expected->data_bytes += (uint32_t)*read_size;
  }
  return error;
}

static SaAisErrorT read_do(model_checkpoint_t *c, const model_command_t *command, model_answer_t *expected) {
  for (uint32_t i = 0; i < command->element_count; i++) {
    SaAisErrorT error = read_one(c, &command->elements[i], expected, &expected->read_sizes[i]);
    if (error != SA_AIS_OK) {
      expected->index = i;
      return error;
    }
  }
  return SA_AIS_OK;
}

/* Write and read: what is judged before the elements. */
static SaAisErrorT vector_do(const model_process_t *process, const model_command_t *command, model_answer_t *expected) {
  const model_handle_t *handle = &process->handles[command->checkpoint];
  bool writes = command->kind == MODEL_WRITE;
  SaUint32T needed = writes ? SA_CKPT_CHECKPOINT_WRITE : SA_CKPT_CHECKPOINT_READ;
  bool good = handle_is_good(process, command->checkpoint);
  if (command->element_count == 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (good && (handle->flags & needed) != 0) {
    return writes ? write_do(handle->checkpoint, command, expected) : read_do(handle->checkpoint, command, expected);
  }
  for (uint32_t i = 0; i < command->element_count; i++) {
    if (!(writes ? write_well_formed : read_well_formed)(&command->elements[i])) {
      expected->index = i;
      return SA_AIS_ERR_INVALID_PARAM;
    }
  }
  return good ? SA_AIS_ERR_ACCESS : SA_AIS_ERR_BAD_HANDLE;
}

/* ---- iterations ---- */

static bool section_chosen(const model_section_t *section, const model_command_t *command) {
  switch (command->flags) {
    case SA_CKPT_SECTIONS_FOREVER: return section->expiration == SA_TIME_END;
    case SA_CKPT_SECTIONS_LEQ_EXPIRATION_TIME: return section->expiration <= command->time;
    case SA_CKPT_SECTIONS_GEQ_EXPIRATION_TIME: return section->expiration >= command->time;
    case SA_CKPT_SECTIONS_CORRUPTED: return false;
    default: return true;
  }
}

static SaAisErrorT iteration_judge(const model_handle_t *handle, bool b1) {
  if (!b1 && (handle->flags & SA_CKPT_CHECKPOINT_READ) == 0) {
    return SA_AIS_ERR_ACCESS;
  }
  return usable(handle->checkpoint) ? SA_AIS_OK : SA_AIS_ERR_NOT_EXIST;
}

static SaAisErrorT iterate(const model_handle_t *handle, bool b1, const model_command_t *command,
                           model_answer_t *expected) {
  SaAisErrorT error = iteration_judge(handle, b1);
  for (uint32_t i = 0; error == SA_AIS_OK && i < handle->checkpoint->section_count; i++) {
    if (section_chosen(&handle->checkpoint->sections[i], command)) {
      expected->sections[expected->section_count++] = handle->checkpoint->sections[i];
    }
  }
  return error;
}

static SaAisErrorT iteration_begin(model_process_t *process, bool b1, const model_command_t *command) {
  const model_handle_t *handle = &process->handles[command->checkpoint];
  model_answer_t shown = {.section_count = 0};
  SaAisErrorT error = iterate(handle, b1, command, &shown);
  if (error == SA_AIS_OK) {
    model_iteration_t *iteration = &process->iterations[command->iteration];
    *iteration = (model_iteration_t){.open = true, .handle = command->checkpoint, .count = shown.section_count};
    for (uint32_t i = 0; i < shown.section_count; i++) {
      iteration->ids[i] = shown.sections[i].id;
    }
  }
  return error;
}

/* Whether one more must come; which one it is, settle looks at. */
static SaAisErrorT iteration_next(const model_iteration_t *iteration) {
  if (!iteration->open) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  for (uint32_t i = 0; i < iteration->count; i++) {
    if (iteration->shown[i] == MODEL_MUST_SHOW) {
      return SA_AIS_OK;
    }
  }
  return SA_AIS_ERR_NO_SECTIONS;
}

/* ---- a call ---- */

static SaAisErrorT expect_on_handle(model_t *model, model_process_t *process, const model_command_t *command,
                                    model_answer_t *expected) {
  model_handle_t *handle = &process->handles[command->checkpoint];
  bool b1 = library_of(process, handle)->major_version < 2;
  bool may_write = (handle->flags & SA_CKPT_CHECKPOINT_WRITE) != 0;
  switch (command->kind) {
    case MODEL_RETENTION_SET: return retention_set(handle, b1, command->time);
    case MODEL_ACTIVE_SET: return active_set(handle);
    case MODEL_STATUS_GET: return status_get(handle, b1, expected);
    case MODEL_CREATE: return may_write ? create_do(handle->checkpoint, command) : SA_AIS_ERR_ACCESS;
    case MODEL_DELETE:
    case MODEL_EXPIRATION_SET: return may_write ? section_alter(model, handle->checkpoint, command) : SA_AIS_ERR_ACCESS;
    case MODEL_OVERWRITE: return may_write ? overwrite(handle->checkpoint, command) : SA_AIS_ERR_ACCESS;
    case MODEL_SYNCHRONIZE:
    case MODEL_SYNCHRONIZE_ASYNC: return synchronize(handle);
    case MODEL_ITERATE: return iterate(handle, b1, command, expected);
    case MODEL_ITERATION_BEGIN: return iteration_begin(process, b1, command);
    default: abort();
  }
}

/* What is refused whatever the handle is. */
static bool parameters_bad(const model_command_t *command) {
  const model_element_t *e = &command->elements[0];
  switch (command->kind) {
    case MODEL_RETENTION_SET: return command->time < 0;
    case MODEL_CREATE: return command->time < 0 || !id_well_formed(&e->id) || (e->is_null && e->size > 0);
    case MODEL_DELETE: return !id_well_formed(&e->id);
    case MODEL_EXPIRATION_SET: return command->time < 0 || !id_well_formed(&e->id);
    case MODEL_OVERWRITE: return e->is_null || !id_well_formed(&e->id);
    case MODEL_ITERATE:
    case MODEL_ITERATION_BEGIN:
      return command->flags < SA_CKPT_SECTIONS_FOREVER || command->flags > SA_CKPT_SECTIONS_ANY;
    default: return false;
  }
}

static SaAisErrorT expect_open(model_t *model, model_process_t *process, const model_command_t *command, int64_t now_ns,
                               model_answer_t *expected) {
  SaAisErrorT error = open_judge(process, command);
  if (error == SA_AIS_OK) {
    SaAisErrorT opened = open_do(model, process, command, now_ns);
    if (command->kind == MODEL_OPEN_ASYNC) {
      expected->called_back = opened;
    } else {
      error = opened;
    }
  }
  return error;
}

static SaAisErrorT expect_error(model_t *model, model_process_t *process, const model_command_t *command,
                                int64_t now_ns, model_answer_t *expected) {
  model_iteration_t *iteration = &process->iterations[command->iteration];
  bool was_open = iteration->open;
  switch (command->kind) {
    case MODEL_INITIALIZE:
      process->libraries[command->library] = (model_library_t){.open = true, .major_version = command->major_version};
      return SA_AIS_OK;
    case MODEL_FINALIZE: return process->libraries[command->library].open ? SA_AIS_OK : SA_AIS_ERR_BAD_HANDLE;
    case MODEL_OPEN:
    case MODEL_OPEN_ASYNC: return expect_open(model, process, command, now_ns, expected);
    case MODEL_UNLINK: return unlink_do(model, process, command);
    case MODEL_CLOSE: return handle_is_good(process, command->checkpoint) ? SA_AIS_OK : SA_AIS_ERR_BAD_HANDLE;
    case MODEL_WRITE:
    case MODEL_READ: return vector_do(process, command, expected);
    case MODEL_ITERATION_NEXT: return iteration_next(iteration);
    case MODEL_ITERATION_END: iteration->open = false; return was_open ? SA_AIS_OK : SA_AIS_ERR_BAD_HANDLE;
    default: break;
  }
  if (parameters_bad(command)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return handle_is_good(process, command->checkpoint) ? expect_on_handle(model, process, command, expected)
                                                      : SA_AIS_ERR_BAD_HANDLE;
}

void model_expect(model_t *model, uint32_t process_number, const model_command_t *command, int64_t now_ns,
                  model_answer_t *expected) {
  model_process_t *process = &model->processes[process_number];
  memset(expected, 0, sizeof *expected);
  model_age(model, model_concerns(model, process_number, command), now_ns);
  expected->index = MODEL_INDEX_UNTOUCHED;
  expected->error = expect_error(model, process, command, now_ns, expected);
  if (command->kind == MODEL_SYNCHRONIZE_ASYNC && expected->error == SA_AIS_ERR_NOT_EXIST) {
    expected->called_back = SA_AIS_ERR_NOT_EXIST; /* only the service knows */
    expected->error = SA_AIS_OK;
  } else if (command->kind == MODEL_SYNCHRONIZE_ASYNC && expected->error == SA_AIS_OK) {
    expected->called_back = SA_AIS_OK;
  }
  if (expected->error != SA_AIS_OK) {
    expected->data_bytes = 0; /* what was read before the error is not looked at */
    memset(expected->read_sizes, 0, sizeof expected->read_sizes);
  }
}

/* ---- what it answered ---- */

static bool sections_settle(const model_answer_t *expected, const model_answer_t *actual, char *why, size_t why_size) {
  if (expected->section_count != actual->section_count) {
    (void)snprintf(why, why_size, "%u sections iterated, there are %u", actual->section_count, expected->section_count);
    return false;
  }
  for (uint32_t i = 0; i < expected->section_count; i++) {
    const model_section_t *want = &expected->sections[i];
    const model_section_t *have = actual->sections;
    while (have < actual->sections + actual->section_count && !id_equal(&have->id, &want->id)) {
      have++;
    }
    if (have == actual->sections + actual->section_count || have->size != want->size ||
        have->expiration != want->expiration || have->changed_first < want->changed_first ||
        have->changed_first > want->changed_last) {
      (void)snprintf(why, why_size, "section %.*s is not described as it is (%s)", want->id.size,
                     (const char *)want->id.bytes,
                     have == actual->sections + actual->section_count ? "missing"
                     : have->size != want->size                       ? "size"
                     : have->expiration != want->expiration           ? "expiration"
                                                                      : "last update");
      return false;
    }
  }
  return true;
}

static bool iteration_settle(model_process_t *process, const model_command_t *command, const model_answer_t *expected,
                             const model_answer_t *actual, char *why, size_t why_size) {
  model_iteration_t *iteration = &process->iterations[command->iteration];
  if (actual->error != SA_AIS_OK) {
    (void)snprintf(why, why_size, "the iteration ended before all was shown");
    return actual->error == expected->error;
  }
  model_checkpoint_t *c = process->handles[iteration->handle].checkpoint;
  const model_section_t *shown = &actual->sections[0];
  const model_section_t *section = iteration->open ? section_find(c, &shown->id) : NULL;
  for (uint32_t i = 0; i < iteration->count && section != NULL; i++) {
    if (iteration->shown[i] != MODEL_WAS_SHOWN && id_equal(&iteration->ids[i], &shown->id)) {
      iteration->shown[i] = MODEL_WAS_SHOWN;
      (void)snprintf(why, why_size, "section %.*s: size %llu", shown->id.size, (const char *)shown->id.bytes,
                     (unsigned long long)shown->size);
      return shown->size == section->size;
    }
  }
  (void)snprintf(why, why_size, "section %.*s is not to be shown%s", shown->id.size, (const char *)shown->id.bytes,
                 section == NULL ? ", it is not there" : "");
  return false;
}

static bool answer_settle(const model_answer_t *expected, const model_answer_t *actual, char *why, size_t why_size) {
  if (expected->error != actual->error || expected->called_back != actual->called_back) {
    (void)snprintf(why, why_size, "answered %d, called back %d; it should be %d, %d", actual->error,
                   actual->called_back, expected->error, expected->called_back);
    return false;
  }
  if (expected->index != actual->index && expected->index != INDEX_ANY) {
    (void)snprintf(why, why_size, "the bad element is said to be %u, it is %u", actual->index, expected->index);
    return false;
  }
  if (!attributes_equal(&expected->status.checkpointCreationAttributes, &actual->status.checkpointCreationAttributes,
                        true) ||
      expected->status.numberOfSections != actual->status.numberOfSections ||
      expected->status.memoryUsed != actual->status.memoryUsed) {
    (void)snprintf(why, why_size, "status: %u sections of %llu bytes; it should be %u, %llu (or attributes differ)",
                   actual->status.numberOfSections, (unsigned long long)actual->status.memoryUsed,
                   expected->status.numberOfSections, (unsigned long long)expected->status.memoryUsed);
    return false;
  }
  if (memcmp(expected->read_sizes, actual->read_sizes, sizeof expected->read_sizes) != 0 ||
      expected->data_bytes != actual->data_bytes || memcmp(expected->data, actual->data, expected->data_bytes) != 0) {
    (void)snprintf(why, why_size, "what was read is not what was written");
    return false;
  }
  return true;
}

/* When the sections were changed that this call has changed, and which one was made under a generated id. */
static bool changes_settle(model_checkpoint_t *c, const model_command_t *command, const model_answer_t *actual,
                           int64_t sent_ns, int64_t answered_ns, char *why, size_t why_size) {
  uint32_t count = command->kind == MODEL_WRITE ? command->element_count : 1;
  for (uint32_t i = 0; i < count; i++) {
    const model_id_t *id = &command->elements[i].id;
    if (command->kind == MODEL_CREATE && id->size == 0) {
      id = &actual->generated;
      if (id->size > c->attributes.maxSectionIdSize || section_find(c, id) != NULL) {
        (void)snprintf(why, why_size, "generated id %.*s is too long or is there already", id->size,
                       (const char *)id->bytes);
        return false;
      }
      model_section_t *made = section_add(c, id);
      made->size = command->elements[0].size;
      made->expiration = command->time;
      memcpy(section_data(c, made), command->data, made->size);
    }
    model_section_t *section = section_find(c, id);
    if (section != NULL) {
      section->changed_first = sent_ns;
      section->changed_last = answered_ns;
    }
  }
  return true;
}

bool model_settle(model_t *model, uint32_t process_number, const model_command_t *command,
                  const model_answer_t *expected, const model_answer_t *actual, int64_t sent_ns, int64_t answered_ns,
                  char *why, size_t why_size) {
  model_process_t *process = &model->processes[process_number];
  if (command->kind == MODEL_ITERATION_NEXT && expected->error != SA_AIS_ERR_BAD_HANDLE) {
    return iteration_settle(process, command, expected, actual, why, why_size);
  }
  if (!answer_settle(expected, actual, why, why_size)) {
    return false;
  }
  if (actual->error != SA_AIS_OK) {
    return true;
  }
  if (command->kind == MODEL_ITERATE) {
    return sections_settle(expected, actual, why, why_size);
  }
  if (command->kind == MODEL_CLOSE) {
    handle_close(model, process, command->checkpoint, answered_ns);
  } else if (command->kind == MODEL_FINALIZE) {
    library_close(model, process, command->library, answered_ns);
  } else if (command->kind == MODEL_OPEN || actual->called_back == SA_AIS_OK) {
    model_checkpoint_t *c = process->handles[command->checkpoint].checkpoint;
    if (has_default_section(c) && c->sections[0].changed_last == 0) {
      c->sections[0].changed_last = answered_ns;
    }
  } else if (command->kind == MODEL_CREATE || command->kind == MODEL_WRITE || command->kind == MODEL_OVERWRITE ||
             command->kind == MODEL_EXPIRATION_SET) {
    model_checkpoint_t *c = process->handles[command->checkpoint].checkpoint;
    if (command->time > sent_ns && command->time - sent_ns < MODEL_SHORT_NS) {
      unquiet(model, c->name, command->time);
    }
    return changes_settle(c, command, actual, sent_ns, answered_ns, why, why_size);
  }
  return true;
}
