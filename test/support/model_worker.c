/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See model_worker.h.
 */
#include "test/support/model_worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support/call_again.h"
#include "test/support/daemon_fixture.h"
#include "test/support/link_proxy.h"

#define WORKER_WAIT_MS (3 * TEST_DEADLINE_MS) /* longer than its own patience: it says more */
#define GUARD 0xA5                            /* fills read buffers, and must stay where nothing was read */

static struct {
  SaCkptHandleT libraries[MODEL_LIBRARIES];
  SaCkptCheckpointHandleT checkpoints[MODEL_CHECKPOINTS];
  SaCkptSectionIterationHandleT iterations[MODEL_ITERATIONS];
  bool was_called;
  SaInvocationT invocation; /* expected */
  SaAisErrorT called_back;
  SaCkptCheckpointHandleT opened;
} worker;

static void worker_opened(SaInvocationT invocation, SaCkptCheckpointHandleT checkpoint, SaAisErrorT error) {
  if (worker.was_called || invocation != worker.invocation) {
    abort();
  }
  worker.was_called = true;
  worker.called_back = error;
  worker.opened = checkpoint;
}

static void worker_synchronized(SaInvocationT invocation, SaAisErrorT error) { worker_opened(invocation, 0, error); }

/* ---- one call ---- */

static SaCkptSectionIdT worker_id(const model_id_t *id) {
  SaCkptSectionIdT given = {.idLen = id->size};
  const uint8_t *bytes = id->bytes;
  if (!id->is_null) {
    memcpy(&given.id, &bytes, sizeof given.id); /* only read, though the type can't say so */
  }
  return given;
}

static SaNameT worker_name(uint32_t number) {
  SaNameT name;
  name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safCkpt=model%u", number);
  return name;
}

static SaAisErrorT worker_initialize(const model_command_t *c) {
  const SaCkptCallbacksT callbacks = {worker_opened, worker_synchronized};
  SaVersionT version = {'B', (SaUint8T)c->major_version, 1};
  return saCkptInitialize(&worker.libraries[c->library], &callbacks, &version);
}

static SaAisErrorT worker_open(const model_command_t *c) {
  SaNameT name = worker_name(c->name);
  return saCkptCheckpointOpen(worker.libraries[c->library], &name, c->has_attributes ? &c->attributes : NULL, c->flags,
                              0, &worker.checkpoints[c->checkpoint]);
}

/* Wait for the one callback that is due. */
static void worker_dispatch(SaCkptHandleT library, model_answer_t *answer) {
  SaSelectionObjectT object;
  int64_t until_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
  if (saCkptSelectionObjectGet(library, &object) != SA_AIS_OK) {
    abort();
  }
  while (!worker.was_called && daemon_fixture_now_ns() < until_ns) {
    struct pollfd ready = {.fd = (int)object, .events = POLLIN};
    (void)poll(&ready, 1, 1000);
    if (saCkptDispatch(library, SA_DISPATCH_ALL) != SA_AIS_OK) {
      abort();
    }
  }
  answer->called_back = worker.was_called ? worker.called_back : SA_AIS_ERR_TIMEOUT;
}

static SaAisErrorT worker_open_async(const model_command_t *c, model_answer_t *answer) {
  SaNameT name = worker_name(c->name);
  worker.was_called = false;
  worker.invocation++;
  SaAisErrorT error = saCkptCheckpointOpenAsync(worker.libraries[c->library], worker.invocation, &name,
                                                c->has_attributes ? &c->attributes : NULL, c->flags);
  if (error == SA_AIS_OK) {
    worker_dispatch(worker.libraries[c->library], answer);
    if (answer->called_back == SA_AIS_OK) {
      worker.checkpoints[c->checkpoint] = worker.opened;
    }
  }
  return error;
}

static SaAisErrorT worker_synchronize_async(const model_command_t *c, model_answer_t *answer) {
  worker.was_called = false;
  worker.invocation++;
  SaAisErrorT error = saCkptCheckpointSynchronizeAsync(worker.checkpoints[c->checkpoint], worker.invocation);
  if (error == SA_AIS_OK) {
    worker_dispatch(worker.libraries[c->library], answer);
  }
  return error;
}

static SaAisErrorT worker_create(const model_command_t *c, model_answer_t *answer) {
  SaCkptSectionIdT id = worker_id(&c->elements[0].id);
  SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = c->time};
  SaAisErrorT error = saCkptSectionCreate(worker.checkpoints[c->checkpoint], &section,
                                          c->elements[0].is_null ? NULL : c->data, c->elements[0].size);
  if (error == SA_AIS_OK && c->elements[0].id.size == 0) {
    if (id.idLen == 0 || id.idLen > MODEL_ID_BYTES_MAX) {
      abort();
    }
    answer->generated.size = id.idLen;
    memcpy(answer->generated.bytes, id.id, id.idLen);
    (void)saCkptSectionIdFree(worker.checkpoints[c->checkpoint], id.id);
  }
  return error;
}

static SaAisErrorT worker_write(const model_command_t *c, model_answer_t *answer) {
  SaCkptIOVectorElementT vector[MODEL_ELEMENTS_MAX];
  const uint8_t *data = c->data;
  for (uint32_t i = 0; i < c->element_count; i++) {
    const model_element_t *e = &c->elements[i];
    vector[i] = (SaCkptIOVectorElementT){.sectionId = worker_id(&e->id), .dataSize = e->size, .dataOffset = e->offset};
    if (!e->is_null) {
      memcpy(&vector[i].dataBuffer, &data, sizeof vector[i].dataBuffer);
      data += e->size;
    }
  }
  return saCkptCheckpointWrite(worker.checkpoints[c->checkpoint], vector, c->element_count, &answer->index);
}

static void worker_read_take(model_answer_t *answer, const SaCkptIOVectorElementT *element) {
  const uint8_t *bytes = element->dataBuffer;
  if (answer->data_bytes + element->readSize > MODEL_DATA_BYTES) {
    abort();
  }
  if (element->readSize > 0) {
    memcpy(answer->data + answer->data_bytes, bytes, element->readSize);
  }
  answer->data_bytes += (uint32_t)element->readSize;
}

static SaAisErrorT worker_read(const model_command_t *c, model_answer_t *answer) {
  static uint8_t buffers[MODEL_ELEMENTS_MAX][2 * MODEL_SECTION_BYTES_MAX];
  SaCkptIOVectorElementT vector[MODEL_ELEMENTS_MAX];
  SaCkptCheckpointHandleT checkpoint = worker.checkpoints[c->checkpoint];
  memset(buffers, GUARD, sizeof buffers);
  for (uint32_t i = 0; i < c->element_count; i++) {
    const model_element_t *e = &c->elements[i];
    vector[i] = (SaCkptIOVectorElementT){.sectionId = worker_id(&e->id),
                                         .dataBuffer = e->is_null ? NULL : buffers[i],
                                         .dataSize = e->size,
                                         .dataOffset = e->offset};
  }
  SaAisErrorT error = saCkptCheckpointRead(checkpoint, vector, c->element_count, &answer->index);
  for (uint32_t i = 0; i < c->element_count; i++) {
    bool made = c->elements[i].is_null;
    if (error == SA_AIS_OK) {
      answer->read_sizes[i] = vector[i].readSize;
      worker_read_take(answer, &vector[i]);
      for (size_t at = made ? sizeof buffers[i] : vector[i].readSize; at < sizeof buffers[i]; at++) {
        if (buffers[i][at] != GUARD) {
          abort(); /* written past what was read */
        }
      }
    } else if (made && vector[i].dataBuffer != NULL) {
      abort(); /* a buffer that nobody would free */
    }
    if (made && vector[i].dataBuffer != NULL) {
      (void)saCkptIOVectorElementDataFree(checkpoint, vector[i].dataBuffer);
    }
  }
  return error;
}

/* ---- iterations ---- */

static void worker_section_take(model_answer_t *answer, const SaCkptSectionDescriptorT *descriptor) {
  if (answer->section_count > MODEL_SECTIONS_MAX || descriptor->sectionId.idLen > MODEL_ID_BYTES_MAX ||
      (descriptor->sectionId.idLen == 0) != (descriptor->sectionId.id == NULL) ||
      descriptor->sectionState != SA_CKPT_SECTION_VALID) {
    abort();
  }
  model_section_t *section = &answer->sections[answer->section_count++];
  *section = (model_section_t){.id = {.size = descriptor->sectionId.idLen},
                               .size = descriptor->sectionSize,
                               .expiration = descriptor->expirationTime,
                               .changed_first = descriptor->lastUpdate,
                               .changed_last = descriptor->lastUpdate};
  if (descriptor->sectionId.idLen > 0) {
    memcpy(section->id.bytes, descriptor->sectionId.id, descriptor->sectionId.idLen);
  }
}

static SaAisErrorT worker_iterate(const model_command_t *c, model_answer_t *answer) {
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  SaAisErrorT error = saCkptSectionIterationInitialize(worker.checkpoints[c->checkpoint],
                                                       (SaCkptSectionsChosenT)c->flags, c->time, &iteration);
  if (error != SA_AIS_OK) {
    return error;
  }
  answer->section_count = 0; /* it may be made again */
  while ((error = saCkptSectionIterationNext(iteration, &descriptor)) == SA_AIS_OK) {
    worker_section_take(answer, &descriptor);
  }
  SaAisErrorT ended = saCkptSectionIterationFinalize(iteration);
  if (error == SA_AIS_ERR_NO_SECTIONS) {
    error = ended;
  }
  return error;
}

static SaAisErrorT worker_iteration_next(const model_command_t *c, model_answer_t *answer) {
  SaCkptSectionDescriptorT descriptor;
  SaAisErrorT error = saCkptSectionIterationNext(worker.iterations[c->iteration], &descriptor);
  if (error == SA_AIS_OK) {
    worker_section_take(answer, &descriptor);
  }
  return error;
}

/* ---- the process ---- */

static SaAisErrorT worker_call(const model_command_t *c, model_answer_t *answer) {
  SaCkptCheckpointHandleT checkpoint = worker.checkpoints[c->checkpoint];
  SaCkptSectionIdT id = worker_id(&c->elements[0].id);
  SaNameT name = worker_name(c->name);
  switch (c->kind) {
    case MODEL_INITIALIZE: return worker_initialize(c);
    case MODEL_FINALIZE: return saCkptFinalize(worker.libraries[c->library]);
    case MODEL_OPEN: return worker_open(c);
    case MODEL_OPEN_ASYNC: return worker_open_async(c, answer);
    case MODEL_CLOSE: return saCkptCheckpointClose(checkpoint);
    case MODEL_UNLINK: return saCkptCheckpointUnlink(worker.libraries[c->library], &name);
    case MODEL_RETENTION_SET: return saCkptCheckpointRetentionDurationSet(checkpoint, c->time);
    case MODEL_ACTIVE_SET: return saCkptActiveReplicaSet(checkpoint);
    case MODEL_STATUS_GET: return saCkptCheckpointStatusGet(checkpoint, &answer->status);
    case MODEL_CREATE: return worker_create(c, answer);
    case MODEL_DELETE: return saCkptSectionDelete(checkpoint, &id);
    case MODEL_EXPIRATION_SET: return saCkptSectionExpirationTimeSet(checkpoint, &id, c->time);
    case MODEL_WRITE: return worker_write(c, answer);
    case MODEL_OVERWRITE:
      return saCkptSectionOverwrite(checkpoint, &id, c->elements[0].is_null ? NULL : c->data, c->elements[0].size);
    case MODEL_READ: return worker_read(c, answer);
    case MODEL_SYNCHRONIZE: return saCkptCheckpointSynchronize(checkpoint, 0);
    case MODEL_SYNCHRONIZE_ASYNC: return worker_synchronize_async(c, answer);
    case MODEL_ITERATE: return worker_iterate(c, answer);
    case MODEL_ITERATION_BEGIN:
      return saCkptSectionIterationInitialize(checkpoint, (SaCkptSectionsChosenT)c->flags, c->time,
                                              &worker.iterations[c->iteration]);
    case MODEL_ITERATION_NEXT: return worker_iteration_next(c, answer);
    case MODEL_ITERATION_END: return saCkptSectionIterationFinalize(worker.iterations[c->iteration]);
    case MODEL_KIND_COUNT: break;
  }
  abort();
}

/* From now on the library in this process is connected through a proxy. */
static link_proxy_t *worker_proxy(const char *path) {
  const char *daemon = getenv("VESTA_SOCKET");
  (void)unlink(path); /* of the worker that was here before */
  link_proxy_t *proxy = link_proxy_open(path, daemon != NULL ? daemon : "");
  if (setenv("VESTA_SOCKET", path, 1) != 0) {
    abort();
  }
  return proxy;
}

static _Noreturn void worker_run(int link, const char *proxy_path) {
  static model_command_t command;
  static model_answer_t answer;
  link_proxy_t *proxy = proxy_path != NULL ? worker_proxy(proxy_path) : NULL;
  while (recv(link, &command, sizeof command, 0) == (ssize_t)sizeof command) {
    int64_t until_ns = daemon_fixture_now_ns() + TEST_DEADLINE_NS;
    memset(&answer, 0, sizeof answer);
    answer.index = MODEL_INDEX_UNTOUCHED;
    if (proxy != NULL && command.loses_answer) {
      link_proxy_cut_at_answer(proxy);
    }
    do {
      answer.error = worker_call(&command, &answer);
    } while (call_again(answer.error, until_ns));
    if (proxy != NULL) {
      link_proxy_spare_answers(proxy);
    }
    if (send(link, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer) {
      break;
    }
  }
  _exit(0);
}

bool model_worker_start(model_worker_t *started, const char *proxy_path) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return false;
  }
  started->pid = fork();
  if (started->pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close_range(STDERR_FILENO + 1, (unsigned)ends[1] - 1, 0); /* the links of others, and this one's other end */
    (void)close_range((unsigned)ends[1] + 1, ~0U, 0);
    worker_run(ends[1], proxy_path);
  }
  (void)close(ends[1]);
  started->link = ends[0];
  return started->pid > 0;
}

void model_worker_kill(model_worker_t *started) {
  if (started->pid > 0) {
    (void)kill(started->pid, SIGKILL);
    (void)waitpid(started->pid, NULL, 0);
    (void)close(started->link);
    started->pid = 0;
  }
}

bool model_worker_send(const model_worker_t *started, const model_command_t *command) {
  return send(started->link, command, sizeof *command, MSG_NOSIGNAL) == (ssize_t)sizeof *command;
}

bool model_worker_receive(const model_worker_t *started, model_answer_t *answer) {
  struct pollfd readable = {.fd = started->link, .events = POLLIN};
  return poll(&readable, 1, WORKER_WAIT_MS) == 1 &&
         recv(started->link, answer, sizeof *answer, 0) == (ssize_t)sizeof *answer;
}
