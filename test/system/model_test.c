/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random calls of the standard API, made by several processes through the real library and daemon, compared with a
 * model: every result code and every byte; while the daemon is killed, ended, stopped and started again, and processes
 * die.
 *
 *   driver (this process) --draws a call, asks the model--> worker --libSaCkpt--> vestad
 *          <-------------------- answer, compared -------------'         the driver restarts it at any moment
 *
 * Everything is drawn from one seed: which process makes which call with which handles, names, ids, sizes, bytes, times,
 * and before which call the daemon is restarted. Calls are under way in several processes at a time, as long as they do
 * not concern the same checkpoint name, so there is only one right answer to each. How far a call has come when the
 * daemon is killed is luck; its answer has to be the same in any case. Where it is no luck: the links of all workers but
 * one lose an answer now and then, when the daemon has done what it was asked, and are cut.
 *
 *   VESTA_MODEL_SEED=N      repeat the run of that seed (said when a run fails)
 *   VESTA_MODEL_SECONDS=N   how long; 15
 *   VESTA_MODEL_TRACE=1     print every call
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <cmocka.h>

#include "test/sim/sim_random.h"
#include "test/support/checkpoint_model.h"
#include "test/support/daemon_fixture.h"
#include "test/support/deadline.h"
#include "test/support/model_worker.h"
#include "test/support/raw_link.h"

#define WORKERS 3U
#define SECONDS 15
#define WHY_BYTES 300

/* A worker, and what it is doing. */
typedef struct runner {
  model_worker_t process;
  char proxy_path[DAEMON_FIXTURE_PATH_BYTES + 16]; /* empty: connected directly */
  bool busy;
  uint64_t number; /* of its call */
  uint32_t concerns;
  int64_t sent_ns;
  model_command_t command;
  model_answer_t expected;
} runner_t;

typedef struct run {
  uint64_t seed;
  sim_random_t random;
  daemon_fixture_t vestad;
  model_t model;
  runner_t runners[WORKERS];
  uint64_t calls, restarts, deaths, failed_calls;
  uint64_t of_kind[MODEL_KIND_COUNT];
  bool trace;
} run_t;

static run_t run;

/* ---- saying what happened ---- */

static void call_describe(char *text, size_t size, uint32_t worker, const model_command_t *c) {
  int used = snprintf(text, size, "worker %u %s library=%u checkpoint=%u iteration=%u name=%u flags=%u time=%lld",
                      worker, model_kind_name(c->kind), c->library, c->checkpoint, c->iteration, c->name, c->flags,
                      (long long)c->time);
  for (uint32_t i = 0; i < c->element_count && used > 0 && (size_t)used < size; i++) {
    const model_element_t *e = &c->elements[i];
    used += snprintf(text + used, size - (size_t)used, " [%.*s%s +%llu %llu%s]", e->id.size, (const char *)e->id.bytes,
                     e->id.is_null ? "" : "'", (unsigned long long)e->offset, (unsigned long long)e->size,
                     e->is_null ? " null" : "");
  }
}

static void run_fail(uint32_t worker, const char *why) {
  const runner_t *runner = &run.runners[worker];
  char call[1000];
  call_describe(call, sizeof call, worker, &runner->command);
  print_error("call %llu, %s\n  %s\n  after %llu restarts and %llu deaths; again: VESTA_MODEL_SEED=%llu\n",
              (unsigned long long)runner->number, call, why, (unsigned long long)run.restarts,
              (unsigned long long)run.deaths, (unsigned long long)run.seed);
  fail();
}

/* ---- the clock ---- */

static int64_t wall_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What expires does so by the clock: there is nothing else to wait for. */
static void wait_past(int64_t moment_ns) {
  for (int64_t left_ns; (left_ns = moment_ns + 1 - wall_ns()) > 0;) {
    struct timespec pause = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    (void)nanosleep(&pause, NULL);
  }
}

/* Wait until nothing of a name is about to expire. What is drawn from the model then does not depend on luck. */
static void quiet_down(uint32_t concerns) {
  for (uint32_t name = 0; name < MODEL_NAMES; name++) {
    if ((concerns == name || concerns == MODEL_EVERY_NAME) && run.model.quiet_from[name] != 0) {
      wait_past(run.model.quiet_from[name]);
      run.model.quiet_from[name] = 0;
      model_age(&run.model, name, wall_ns());
    }
  }
}

/* ---- calls under way ---- */

static void runner_settle(uint32_t worker) {
  static model_answer_t answer;
  char why[WHY_BYTES] = "";
  runner_t *runner = &run.runners[worker];
  if (!model_worker_receive(&runner->process, &answer)) {
    run_fail(worker, "the worker ended, or has waited for a minute");
  }
  runner->busy = false;
  run.failed_calls += answer.error != SA_AIS_OK;
  if (run.trace) {
    print_message("%llu answered %d %d\n", (unsigned long long)runner->number, answer.error, answer.called_back);
  }
  if (!model_settle(&run.model, worker, &runner->command, &runner->expected, &answer, runner->sent_ns, wall_ns(), why,
                    sizeof why)) {
    run_fail(worker, why);
  }
}

static void settle_all(void) {
  for (uint32_t i = 0; i < WORKERS; i++) {
    if (run.runners[i].busy) {
      runner_settle(i);
    }
  }
}

/* Until the worker is free and nobody else concerns himself with the name. */
static void settle_for(uint32_t worker, uint32_t concerns) {
  for (uint32_t i = 0; i < WORKERS; i++) {
    bool in_the_way = i == worker || concerns == MODEL_EVERY_NAME || run.runners[i].concerns == MODEL_EVERY_NAME ||
                      (concerns != MODEL_NO_NAME && run.runners[i].concerns == concerns);
    if (run.runners[i].busy && in_the_way) {
      runner_settle(i);
    }
  }
}

static void call_send(uint32_t worker) {
  runner_t *runner = &run.runners[worker];
  runner->concerns = model_concerns(&run.model, worker, &runner->command);
  settle_for(worker, runner->concerns);
  quiet_down(runner->concerns);
  runner->number = run.calls++;
  runner->sent_ns = wall_ns();
  run.of_kind[runner->command.kind]++;
  model_expect(&run.model, worker, &runner->command, runner->sent_ns, &runner->expected);
  if (run.trace) {
    char text[1000];
    call_describe(text, sizeof text, worker, &runner->command);
    print_message("%llu %s\n", (unsigned long long)runner->number, text);
  }
  runner->busy = true;
  if (!model_worker_send(&runner->process, &runner->command)) {
    run_fail(worker, "the worker ended");
  }
}

/* ---- drawing a call ---- */

static uint64_t draw_below(uint64_t end) { return sim_below(&run.random, end); }
static bool draw_percent(uint32_t percent) { return sim_percent(&run.random, percent); }

/* Three sets of attributes a name; all are small, so that limits are met. */
static SaCkptCheckpointCreationAttributesT draw_attributes(uint32_t name) {
  static const SaCkptCheckpointCreationFlagsT modes[] = {SA_CKPT_WR_ALL_REPLICAS, SA_CKPT_WR_ACTIVE_REPLICA,
                                                         SA_CKPT_WR_ACTIVE_REPLICA_WEAK | SA_CKPT_CHECKPOINT_COLLOCATED,
                                                         SA_CKPT_WR_ACTIVE_REPLICA | SA_CKPT_CHECKPOINT_COLLOCATED,
                                                         SA_CKPT_WR_ALL_REPLICAS | SA_CKPT_CHECKPOINT_COLLOCATED};
  static const SaTimeT retentions[] = {0, 100, 5000000, SA_TIME_ONE_HOUR, SA_TIME_ONE_HOUR, SA_TIME_END, -1};
  uint64_t set = draw_percent(90) ? 0 : 1 + draw_below(2);
  SaCkptCheckpointCreationAttributesT attributes = {
      .creationFlags = modes[(name + set) % 5],
      .retentionDuration = retentions[draw_below(sizeof retentions / sizeof retentions[0])],
      .maxSections = name == 3 ? 1 : MODEL_SECTIONS_MAX - (SaUint32T)set,
      .maxSectionSize = MODEL_SECTION_BYTES_MAX - name * 100,
      .maxSectionIdSize = name == 2 ? 2 : 8};
  attributes.checkpointSize = attributes.maxSections * attributes.maxSectionSize + (draw_percent(2) ? 1 : 0);
  if (draw_percent(2)) {
    attributes.creationFlags = (SaUint32T)draw_below(17);
  }
  return attributes;
}

static model_id_t draw_id(const model_checkpoint_t *c, uint32_t percent_there) {
  model_id_t id = {.size = 0};
  if (c != NULL && c->section_count > 0 && draw_percent(percent_there)) {
    id = c->sections[draw_below(c->section_count)].id; /* one that is there */
    id.is_null = id.size == 0;
  } else if (draw_percent(4)) {
    id.is_null = draw_percent(80);
  } else {
    id.size = 2;
    id.bytes[0] = 's';
    id.bytes[1] = (uint8_t)('a' + draw_below(MODEL_SECTIONS_MAX + 2));
    if (draw_percent(5)) {
      id.size = (uint16_t)(1 + draw_below(MODEL_ID_BYTES_MAX)); /* perhaps too long; zeros are bytes too */
    }
    id.is_null = draw_percent(1);
  }
  return id;
}

static uint64_t draw_size(const model_checkpoint_t *c) {
  uint64_t max = c != NULL ? c->attributes.maxSectionSize : MODEL_SECTION_BYTES_MAX;
  switch (draw_below(10)) {
    case 0: return 0;
    case 1: return max;
    case 2: return draw_percent(40) ? max + 1 : max;
    default: return draw_below(max);
  }
}

static int64_t draw_expiration(void) {
  switch (draw_below(20)) {
    case 0: return (int64_t)draw_below(1000);                 /* long ago */
    case 1: return wall_ns() + (int64_t)draw_below(10000000); /* in a moment */
    case 2: return -1;
    case 3:
    case 4:
    case 5: return INT64_C(4000000000000000000) + (int64_t)draw_below(4); /* in a hundred years */
    default: return SA_TIME_END;
  }
}

static void draw_data(model_command_t *c, uint64_t size) {
  for (uint64_t i = 0; i < size; i++) {
    c->data[c->data_bytes++] = (uint8_t)draw_below(256);
  }
}

static void draw_section(model_command_t *c, const model_checkpoint_t *checkpoint) {
  c->element_count = 1;
  c->elements[0] =
      (model_element_t){.id = draw_id(checkpoint, c->kind == MODEL_CREATE ? 10 : 85), .size = draw_size(checkpoint)};
  c->elements[0].is_null = draw_percent(1);
  draw_data(c, c->elements[0].size);
}

static void draw_vector(model_command_t *c, const model_checkpoint_t *checkpoint) {
  c->element_count = draw_percent(1) ? 0 : 1 + (uint32_t)draw_below(draw_percent(50) ? 2 : MODEL_ELEMENTS_MAX);
  for (uint32_t i = 0; i < c->element_count; i++) {
    model_element_t *e = &c->elements[i];
    *e = (model_element_t){.id = draw_id(checkpoint, 96), .size = draw_size(checkpoint)};
    if (c->kind == MODEL_READ) {
      e->offset = draw_percent(70) ? 0 : draw_size(checkpoint);
      e->is_null = draw_percent(30);
    } else {
      uint64_t max = checkpoint != NULL ? checkpoint->attributes.maxSectionSize : MODEL_SECTION_BYTES_MAX;
      e->offset = e->size < max && draw_percent(90) ? draw_below(max - e->size + 1) : draw_below(40);
      e->is_null = draw_percent(1);
      draw_data(c, e->is_null ? 0 : e->size);
    }
  }
}

static void draw_generated(model_command_t *c) {
  if (draw_percent(30)) {
    c->elements[0].id = (model_id_t){.is_null = true};
  }
}

/* A place that is open, most of the time; `free_one`: one that is not. @return whether there is one */
static bool draw_handle(const model_process_t *process, bool free_one, uint32_t *place) {
  uint32_t first = (uint32_t)draw_below(MODEL_CHECKPOINTS);
  *place = first;
  for (uint32_t i = 0; i < MODEL_CHECKPOINTS; i++) {
    uint32_t at = (first + i) % MODEL_CHECKPOINTS;
    if (process->handles[at].open != free_one) {
      *place = at;
      return true;
    }
  }
  return !free_one;
}

static model_kind_t draw_kind(void) {
  static const struct {
    model_kind_t kind;
    uint32_t weight;
  } weights[] = {{MODEL_OPEN, 12},         {MODEL_OPEN_ASYNC, 3},        {MODEL_CLOSE, 5},
                 {MODEL_UNLINK, 2},        {MODEL_RETENTION_SET, 2},     {MODEL_ACTIVE_SET, 7},
                 {MODEL_STATUS_GET, 8},    {MODEL_CREATE, 30},           {MODEL_DELETE, 14},
                 {MODEL_WRITE, 30},        {MODEL_OVERWRITE, 25},        {MODEL_READ, 40},
                 {MODEL_SYNCHRONIZE, 2},   {MODEL_SYNCHRONIZE_ASYNC, 1}, {MODEL_EXPIRATION_SET, 5},
                 {MODEL_ITERATE, 8},       {MODEL_ITERATION_BEGIN, 3},   {MODEL_ITERATION_NEXT, 15},
                 {MODEL_ITERATION_END, 1}, {MODEL_FINALIZE, 1}};
  uint64_t drawn = draw_below(214);
  for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
    if (drawn < weights[i].weight) {
      return weights[i].kind;
    }
    drawn -= weights[i].weight;
  }
  return MODEL_READ;
}

static void draw_open(model_command_t *c) {
  static const SaCkptCheckpointOpenFlagsT usual[] = {7, 7, 7, 7, 7, 7, 3, 3, 3, 3, 3, 3, 1, 2, 4, 5};
  c->flags = draw_percent(97) ? usual[draw_below(16)] : (SaUint32T)draw_below(20);
  c->has_attributes = ((c->flags & SA_CKPT_CHECKPOINT_CREATE) != 0) != draw_percent(1);
  c->attributes = draw_attributes(c->name);
}

/* One that is under way, if there is any. */
static uint32_t draw_iteration(const model_process_t *process, uint32_t otherwise) {
  for (uint32_t i = 0; i < MODEL_ITERATIONS; i++) {
    if (process->iterations[(otherwise + i) % MODEL_ITERATIONS].open) {
      return (otherwise + i) % MODEL_ITERATIONS;
    }
  }
  return otherwise;
}

/* Everything but the kind. @return false when such a call makes no sense now */
static bool draw_arguments(const model_process_t *process, model_command_t *c) {
  static const int64_t retentions[] = {0, 999999, 5000000, SA_TIME_ONE_HOUR, SA_TIME_END, -1};
  bool opens = c->kind == MODEL_OPEN || c->kind == MODEL_OPEN_ASYNC;
  if (!draw_handle(process, opens, &c->checkpoint)) {
    return false;
  }
  const model_handle_t *handle = &process->handles[c->checkpoint];
  const model_checkpoint_t *checkpoint = handle->open ? handle->checkpoint : NULL;
  if (checkpoint != NULL) {
    quiet_down(checkpoint->name);
  }
  switch (c->kind) {
    case MODEL_OPEN:
    case MODEL_OPEN_ASYNC: draw_open(c); break;
    case MODEL_RETENTION_SET: c->time = retentions[draw_below(6)]; break;
    case MODEL_CREATE:
      draw_section(c, checkpoint);
      draw_generated(c);
      c->time = draw_expiration();
      break;
    case MODEL_EXPIRATION_SET:
      draw_section(c, checkpoint);
      c->time = draw_expiration();
      break;
    case MODEL_DELETE:
    case MODEL_OVERWRITE: draw_section(c, checkpoint); break;
    case MODEL_WRITE:
    case MODEL_READ: draw_vector(c, checkpoint); break;
    case MODEL_FINALIZE: return draw_percent(15);
    case MODEL_ITERATION_NEXT: c->iteration = draw_iteration(process, c->iteration); break;
    case MODEL_SYNCHRONIZE_ASYNC: c->library = handle->library; break; /* its callback comes there */
    case MODEL_ITERATION_BEGIN: /* without READ the library can't tell what was deleted since */
      if (process->iterations[c->iteration].open || (handle->flags & SA_CKPT_CHECKPOINT_READ) == 0) {
        return false;
      }
      c->flags = draw_percent(80) ? SA_CKPT_SECTIONS_ANY : (SaUint32T)draw_below(7);
      c->time = INT64_C(4000000000000000001);
      break;
    case MODEL_ITERATE:
      c->flags = draw_percent(50) ? SA_CKPT_SECTIONS_ANY : (SaUint32T)draw_below(7);
      c->time = draw_percent(50) ? INT64_C(4000000000000000001) : SA_TIME_END;
      break;
    default: break;
  }
  return true;
}

static void call_draw(uint32_t worker) {
  const model_process_t *process = &run.model.processes[worker];
  model_command_t *c = &run.runners[worker].command;
  bool drawn = false;
  while (!drawn) {
    memset(c, 0, sizeof *c);
    c->library = (uint32_t)draw_below(MODEL_LIBRARIES);
    c->iteration = (uint32_t)draw_below(MODEL_ITERATIONS);
    c->name = (uint32_t)draw_below(MODEL_NAMES);
    c->kind = draw_kind();
    if (!process->libraries[c->library].open && draw_percent(95)) {
      c->kind = MODEL_INITIALIZE;
      c->major_version = draw_percent(30) ? 1 : 2;
    }
    drawn = draw_arguments(process, c);
  }
  c->loses_answer =
      c->kind != MODEL_INITIALIZE && draw_percent(4); /* a session that nobody heard of stays until the process ends */
}

/* ---- trouble ---- */

/* In the middle of whatever the workers are doing: how far that has come is different every time. */
static void daemon_trouble(void) {
  const struct timespec moment = {.tv_nsec = (long)draw_below(400000)};
  const struct timespec standstill = {.tv_nsec = 20000000}; /* in which the workers go on without it */
  (void)nanosleep(&moment, NULL);
  run.restarts++;
  switch (draw_below(4)) {
    case 0: assert_int_equal(daemon_fixture_stop(&run.vestad), 0); break;
    case 1:
      (void)kill(run.vestad.pid, SIGSTOP);
      (void)nanosleep(&standstill, NULL);
      (void)kill(run.vestad.pid, SIGCONT);
      return;
    default: daemon_fixture_kill(&run.vestad); break;
  }
  daemon_fixture_start(&run.vestad);
}

static uint32_t sessions_in_model(void) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < WORKERS; i++) {
    for (uint32_t k = 0; k < MODEL_LIBRARIES; k++) {
      count += run.model.processes[i].libraries[k].open;
    }
  }
  return count;
}

/* The first one is connected directly, the others by links that may lose answers. */
static void runner_start(uint32_t worker) {
  runner_t *runner = &run.runners[worker];
  if (worker > 0) {
    (void)snprintf(runner->proxy_path, sizeof runner->proxy_path, "%s.%u", run.vestad.socket, worker);
  }
  assert_true(model_worker_start(&runner->process, worker > 0 ? runner->proxy_path : NULL));
}

/* A process is killed, and another one takes its place when the daemon has noticed. A library whose saCkptInitialize was
 * answered in vain has asked again and left a session behind, which lives as long as its process: the daemon may have
 * more than the model, but none of who died. */
static void worker_trouble(uint32_t worker) {
  settle_all();
  run.deaths++;
  int64_t all = sessions_in_model();
  int64_t gone = 0;
  for (uint32_t i = 0; i < MODEL_LIBRARIES; i++) {
    gone += run.model.processes[worker].libraries[i].open;
  }
  int64_t before = raw_counter(run.vestad.socket, "sessions");
  model_worker_kill(&run.runners[worker].process);
  int64_t until_ns = wall_ns() + TEST_DEADLINE_NS;
  while (raw_counter(run.vestad.socket, "sessions") > before - gone && wall_ns() < until_ns) {
  }
  assert_in_range(raw_counter(run.vestad.socket, "sessions"), all - gone, before - gone);
  (void)model_process_died(&run.model, worker, wall_ns());
  runner_start(worker);
}

/* ---- the run ---- */

static int64_t number_of(const char *variable, int64_t otherwise) {
  const char *text = getenv(variable);
  return text != NULL && text[0] != '\0' ? strtoll(text, NULL, 10) : otherwise;
}

static void the_service_answers_every_call_as_its_model_does(void **state) {
  (void)state;
  int64_t until_ns = daemon_fixture_now_ns() + number_of("VESTA_MODEL_SECONDS", SECONDS) * 1000000000;
  while (daemon_fixture_now_ns() < until_ns) {
    uint32_t worker = (uint32_t)draw_below(WORKERS);
    settle_for(worker, MODEL_NO_NAME);
    if (sim_chance(&run.random, 200)) {
      worker_trouble(worker);
    }
    call_draw(worker);
    call_send(worker);
    if (sim_chance(&run.random, 2000)) {
      daemon_trouble();
    }
  }
  settle_all();
  for (uint32_t i = 0; i < MODEL_KIND_COUNT; i++) {
    assert_true(run.of_kind[i] > 0); /* else it was no test */
  }
  print_message("%llu calls, %llu of them refused; %llu restarts, %llu deaths\n", (unsigned long long)run.calls,
                (unsigned long long)run.failed_calls, (unsigned long long)run.restarts, (unsigned long long)run.deaths);
}

static int run_open(void **state) {
  (void)state;
  uint32_t drawn = 0;
  if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) {
    return -1;
  }
  run.seed = (uint64_t)number_of("VESTA_MODEL_SEED", drawn);
  run.random.state = run.seed;
  run.trace = number_of("VESTA_MODEL_TRACE", 0) != 0;
  run.model.process_count = WORKERS;
  print_message("VESTA_MODEL_SEED=%llu\n", (unsigned long long)run.seed);
  daemon_fixture_open(&run.vestad);
  for (uint32_t i = 0; i < WORKERS; i++) {
    runner_start(i);
  }
  return 0;
}

static int run_close(void **state) {
  (void)state;
  for (uint32_t i = 0; i < WORKERS; i++) {
    model_worker_kill(&run.runners[i].process);
  }
  daemon_fixture_close(&run.vestad);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_service_answers_every_call_as_its_model_does, run_open, run_close),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
