/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stream_chaos.h.
 */
#include "test/support/stream_chaos.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/call_again.h"
#include "test/support/child.h"
#include "test/support/daemon_fixture.h"
#include "test/support/stream_ledger.h"
#include "test/support/tcp_guest.h"
#include "test/support/tcp_relay.h"

#define CHECKPOINT_NAME "chaos"
#define RELAYS 2U
#define RELAY_PORT(i) (TCP_GUEST_PORT + 10 * (1 + (i)))
#define WRITERS 2U
#define LIGHT_BYTES_MAX 300U
#define HEAVY_BYTES_MAX 40000U
#define SLOW_CHANGES 20U /* a slow reader pauses after so many */
#define DESCRIPTORS_MAX 256
#define SETTLE_NS (2 * TEST_DEADLINE_NS)

/* ---- in the processes of writers and readers; what must not fail ends the process, which the test sees ---- */

static void must(bool fine, const char *what, SaAisErrorT error) {
  if (!fine) {
    (void)fprintf(stderr, "process %ld: %s (%d)\n", (long)getpid(), what, (int)error);
    _exit(1);
  }
}

/* Trouble takes its time; nothing is waited for by this. */
static void pause_ms(long ms) {
  const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  (void)nanosleep(&pause, NULL);
}

static SaCkptSectionIdT section_of(uint32_t section, char text[16]) {
  (void)snprintf(text, 16, "s%u", section);
  return section_id(text);
}

/* A value fills its section: half a write would show. */
static void value_fill(uint8_t *data, SaSizeT size, uint64_t value) {
  memcpy(data, &value, sizeof value);
  memset(data + sizeof value, (int)(value & 0xff), size - sizeof value);
}

static uint64_t value_of(const uint8_t *data, SaSizeT size) {
  uint64_t value = 0;
  must(size >= sizeof value, "a section is too short", SA_AIS_OK);
  memcpy(&value, data, sizeof value);
  for (SaSizeT i = sizeof value; i < size; i++) {
    must(data[i] == (value & 0xff), "a section is of two values", SA_AIS_OK);
  }
  return value;
}

/* ---- writers ---- */

typedef struct writer {
  stream_ledger_t *ledger;
  application_t application;
  uint32_t number;
  unsigned random;
  SaSizeT sizes[LEDGER_SECTIONS]; /* 0: it is not there */
} writer_t;

/* Something happens to one of this writer's own sections. */
static ledger_element_t writer_change(writer_t *writer, vesta_txn_t *txn, uint32_t section) {
  static uint8_t data[HEAVY_BYTES_MAX + sizeof(uint64_t)];
  char text[16];
  SaCkptSectionIdT id = section_of(section, text);
  unsigned most = atomic_load(&writer->ledger->heavy) ? HEAVY_BYTES_MAX : LIGHT_BYTES_MAX;
  SaSizeT size = sizeof(uint64_t) + (unsigned)rand_r(&writer->random) % most;
  ledger_element_t element = {.section = section, .value = atomic_fetch_add(&writer->ledger->next_value, 1) + 1};
  unsigned way = (unsigned)rand_r(&writer->random) % 10;
  SaAisErrorT error;
  if (writer->sizes[section] == 0) {
    value_fill(data, size, element.value);
    error = vesta_txn_create(txn, &id, data, size, SA_TIME_END);
  } else if (way == 0) {
    element.value = 0;
    size = 0;
    error = vesta_txn_delete(txn, &id);
  } else if (way < 4) {
    size = writer->sizes[section];
    value_fill(data, size, element.value);
    error = vesta_txn_write(txn, &id, 0, data, size);
  } else {
    value_fill(data, size, element.value);
    error = vesta_txn_overwrite(txn, &id, data, size);
  }
  must(error == SA_AIS_OK, "adding to a transaction", error);
  writer->sizes[section] = size;
  return element;
}

static void writer_operation(writer_t *writer) {
  ledger_element_t elements[LEDGER_ELEMENTS_MAX];
  vesta_txn_t *txn = NULL;
  vesta_position_t position;
  SaAisErrorT error = vesta_txn_begin(writer->application.checkpoint, &txn);
  must(error == SA_AIS_OK, "beginning a transaction", error);
  uint32_t count = 1 + ((unsigned)rand_r(&writer->random) % 4 == 0);
  uint32_t section = (unsigned)rand_r(&writer->random) % (LEDGER_SECTIONS / WRITERS);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t own = (section + i) % (LEDGER_SECTIONS / WRITERS) * WRITERS + writer->number;
    elements[i] = writer_change(writer, txn, own);
  }
  int64_t until_ns = daemon_fixture_now_ns() + APPLICATION_DEADLINE;
  do {
    error = vesta_txn_commit(&txn, NULL, &position);
  } while (call_again(error, until_ns));
  must(error == SA_AIS_OK, "committing", error);
  stream_ledger_commit(writer->ledger, position.seq, elements, count);
}

static void writer_run(stream_ledger_t *ledger, uint32_t number, unsigned seed) {
  static writer_t writer;
  writer = (writer_t){.ledger = ledger, .number = number, .random = seed};
  application_open(&writer.application, CHECKPOINT_NAME, APPLICATION_ALL);
  while (!atomic_load(&ledger->stop)) {
    writer_operation(&writer);
  }
  _exit(0);
}

/* ---- readers ---- */

typedef struct reader {
  stream_ledger_t *ledger;
  ledger_reader_t *shared;
  application_t application;
  const vesta_server_t *server; /* NULL: the daemon here */
  vesta_stream_t *stream;
  SaSizeT buffer_bytes;
  ledger_table_t table;
  bool resync, full, synced;
  bool named[LEDGER_SECTIONS];
  uint32_t taken;
} reader_t;

static void reader_saw(const reader_t *reader, const ledger_word_t *word) {
  must(stream_ledger_saw(reader->shared, word), "the ledger is full", SA_AIS_OK);
}

static void reader_state(const reader_t *reader, ledger_word_kind_t kind, uint64_t seq) {
  reader_saw(reader, &(ledger_word_t){.kind = kind, .seq = seq, .value = stream_ledger_hash(&reader->table)});
}

/* A relay lets in and ends again whom it can't hand on: that is no such service, for the time being. */
static SaAisErrorT reader_open(reader_t *reader, const vesta_stream_options_t *options) {
  if (reader->server == NULL) {
    return vesta_stream_open(reader->application.checkpoint, options, &reader->stream);
  }
  SaAisErrorT error = vesta_stream_open_at(reader->server, "safCkpt=" CHECKPOINT_NAME, options, &reader->stream);
  bool later = error == SA_AIS_ERR_TIMEOUT || error == SA_AIS_ERR_FAILED_OPERATION;
  return later ? SA_AIS_ERR_TRY_AGAIN : error;
}

/* From what was kept. */
static void reader_begin(reader_t *reader) {
  reader->table = reader->shared->tables[atomic_load(&reader->shared->kept)];
  reader->resync = false;
  reader->synced = false;
  vesta_stream_options_t options = {.buffer_bytes = reader->buffer_bytes};
  if (reader->table.epoch != 0) {
    options.from = VESTA_FROM_POSITION;
    options.position = (vesta_position_t){reader->table.lineage, reader->table.epoch, reader->table.seq};
  }
  reader_state(reader, LEDGER_START, reader->table.seq);
  SaAisErrorT error;
  int64_t until_ns = daemon_fixture_now_ns() + APPLICATION_DEADLINE;
  do {
    error = reader_open(reader, &options);
  } while (call_again(error, until_ns));
  must(error == SA_AIS_OK, "opening the stream", error);
}

static void reader_section(reader_t *reader, const vesta_change_t *change) {
  char text[16] = "";
  unsigned section = LEDGER_SECTIONS;
  must(change->id.idLen < sizeof text, "an unknown section", SA_AIS_OK);
  memcpy(text, change->id.id, change->id.idLen);
  must(sscanf(text, "s%u", &section) == 1 && section < LEDGER_SECTIONS, "an unknown section", SA_AIS_OK);
  reader->table.values[section] = change->kind == VESTA_CHANGE_DELETED ? 0 : value_of(change->data, change->size);
  reader->named[section] = true;
  if (change->resync == SA_FALSE) {
    reader_saw(reader, &(ledger_word_t){.kind = LEDGER_LIVE,
                                        .index = (uint16_t)change->index,
                                        .count = (uint16_t)change->count,
                                        .section = section,
                                        .seq = change->position.seq,
                                        .value = reader->table.values[section]});
  }
}

/* The table is that of a position now. */
static void reader_keep(reader_t *reader, const vesta_position_t *position) {
  reader->table.lineage = position->lineage;
  reader->table.epoch = position->epoch;
  reader->table.seq = position->seq;
  stream_ledger_keep(reader->shared, &reader->table);
}

static void reader_resync_end(reader_t *reader, const vesta_position_t *position) {
  for (uint32_t i = 0; i < LEDGER_SECTIONS && reader->full; i++) {
    reader->table.values[i] = reader->named[i] ? reader->table.values[i] : 0;
  }
  reader->resync = false;
  reader_state(reader, LEDGER_RESYNC_END, position->seq);
  reader_keep(reader, position);
}

static void reader_take(reader_t *reader, const vesta_change_t *change) {
  switch (change->kind) {
    case VESTA_CHANGE_CREATED:
    case VESTA_CHANGE_WRITTEN:
    case VESTA_CHANGE_OVERWRITTEN:
    case VESTA_CHANGE_DELETED:
      must(reader->resync == (change->resync != SA_FALSE), "a change on the wrong side of a bracket", SA_AIS_OK);
      reader_section(reader, change);
      if (!reader->resync && change->index + 1 == change->count) {
        reader_keep(reader, &change->position);
      }
      break;
    case VESTA_CHANGE_SYNCED:
      reader->synced = true;
      reader_state(reader, LEDGER_STATE, change->position.seq);
      break;
    case VESTA_CHANGE_LOST:
      must(change->reason != VESTA_LOST_DIVERGED, "told to be of another history", SA_AIS_OK);
      reader->synced = false;
      reader_saw(reader, &(ledger_word_t){.kind = LEDGER_LOST, .seq = change->from.seq});
      break;
    case VESTA_CHANGE_RESYNC_BEGIN:
      reader->synced = false;
      reader->resync = true;
      reader->full = change->full != SA_FALSE;
      memset(reader->named, 0, sizeof reader->named);
      reader_saw(reader, &(ledger_word_t){.kind = LEDGER_BEGIN, .seq = change->from.seq});
      break;
    case VESTA_CHANGE_RESYNC_END: reader_resync_end(reader, &change->position); break;
    case VESTA_CHANGE_EXPIRED:
    case VESTA_CHANGE_EXPIRY_SET:
    case VESTA_CHANGE_UNLINKED:
    case VESTA_CHANGE_RETENTION_SET:
    case VESTA_CHANGE_EPOCH:
    case VESTA_CHANGE_GONE:
    case VESTA_CHANGE_COALESCED: must(false, "a change that nobody made", SA_AIS_OK);
  }
}

/* The connections of the stream are cut off, as by a fault. */
static void reader_cut(void) {
  for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) == 0 && address.sun_family == AF_UNIX &&
        (strstr(address.sun_path, ".changes") != NULL || strstr(address.sun_path, ".requests") != NULL)) {
      (void)shutdown(fd, SHUT_RDWR);
    }
  }
}

static void reader_obey(reader_t *reader) {
  if (atomic_exchange(&reader->shared->cut, false)) {
    reader_cut();
  }
  if (atomic_exchange(&reader->shared->reopen, false)) {
    vesta_stream_close(&reader->stream);
    reader_begin(reader);
  }
  if (atomic_load(&reader->shared->slow) && ++reader->taken % SLOW_CHANGES == 0) {
    pause_ms(1);
  }
}

static void reader_run(stream_ledger_t *ledger, uint32_t number, const vesta_server_t *server) {
  static const SaSizeT buffers[LEDGER_READERS] = {0, 64 << 10, 256 << 10, 1 << 20, 64 << 10};
  static reader_t reader;
  vesta_change_t change;
  reader = (reader_t){
      .ledger = ledger, .shared = &ledger->readers[number], .server = server, .buffer_bytes = buffers[number]};
  if (server == NULL) {
    application_open(&reader.application, CHECKPOINT_NAME, SA_CKPT_CHECKPOINT_READ);
  }
  reader_begin(&reader);
  for (;;) {
    reader_obey(&reader);
    SaAisErrorT error = vesta_stream_next(reader.stream, 5 * SA_TIME_ONE_MILLISECOND, &change);
    if (error == SA_AIS_OK) {
      reader_take(&reader, &change);
    } else {
      must(error == SA_AIS_ERR_TIMEOUT || error == SA_AIS_ERR_TRY_AGAIN, "taking a change", error);
    }
    bool at_end = atomic_load(&ledger->stop) && reader.synced && reader.table.seq == atomic_load(&ledger->last_seq);
    if (atomic_exchange(&reader.shared->at_end, at_end) != at_end) {
      bell_ring(&ledger->bell);
    }
  }
}

/* ---- the test ---- */

typedef struct chaos {
  stream_chaos_way_t way;
  daemon_fixture_t daemon;
  tcp_place_t place;
  tcp_relay_t *relays[RELAYS];
  char servers[160];
  vesta_server_t server;
  const char *options[8];
  bool held[RELAYS][2];
  stream_ledger_t *ledger;
  pid_t writers[WRITERS];
  pid_t readers[LEDGER_READERS];
  bool stopped[LEDGER_READERS];
  unsigned random;
} chaos_t;

static unsigned draw(chaos_t *chaos, unsigned below) { return (unsigned)rand_r(&chaos->random) % below; }

static void child_kill(pid_t *pid) {
  if (*pid > 0) {
    int status;
    assert_int_equal(kill(*pid, SIGKILL), 0);
    assert_int_equal(waitpid(*pid, &status, 0), *pid);
    assert_false(WIFEXITED(status)); /* it would have said why */
    *pid = 0;
  }
}

static void chaos_reader(chaos_t *chaos, uint32_t number, bool forgets) {
  static const ledger_table_t nothing;
  child_kill(&chaos->readers[number]);
  if (forgets) {
    stream_ledger_keep(&chaos->ledger->readers[number], &nothing);
  }
  chaos->stopped[number] = false;
  chaos->readers[number] = child_fork();
  if (chaos->readers[number] == 0) {
    reader_run(chaos->ledger, number, chaos->way == STREAM_CHAOS_LOCAL ? NULL : &chaos->server);
  }
}

static void chaos_writer(chaos_t *chaos, uint32_t number) {
  unsigned seed = chaos->random + number;
  chaos->writers[number] = child_fork();
  if (chaos->writers[number] == 0) {
    writer_run(chaos->ledger, number, seed);
  }
}

static void chaos_stop_or_continue(chaos_t *chaos, uint32_t number) {
  assert_int_equal(kill(chaos->readers[number], chaos->stopped[number] ? SIGCONT : SIGSTOP), 0);
  chaos->stopped[number] = !chaos->stopped[number];
}

static void chaos_daemon(chaos_t *chaos, bool restart) {
  if (restart) {
    daemon_fixture_kill(&chaos->daemon);
    pause_ms(draw(chaos, 200));
    daemon_fixture_start(&chaos->daemon);
  } else {
    assert_int_equal(kill(chaos->daemon.pid, SIGSTOP), 0);
    pause_ms(draw(chaos, 200));
    assert_int_equal(kill(chaos->daemon.pid, SIGCONT), 0);
  }
}

static void chaos_hold(chaos_t *chaos, unsigned relay, tcp_relay_door_t door, bool holds) {
  tcp_relay_hold(chaos->relays[relay], door, holds);
  chaos->held[relay][door] = holds;
}

/* Something happens in the network between the guests and the daemon. */
static void chaos_network(chaos_t *chaos) {
  unsigned relay = draw(chaos, RELAYS);
  tcp_relay_door_t door = draw(chaos, 2) == 0 ? TCP_RELAY_REQUESTS : TCP_RELAY_CHANGES;
  switch (draw(chaos, 4)) {
    case 0: tcp_relay_lose(chaos->relays[relay], door); break;
    case 1: chaos_hold(chaos, relay, door, !chaos->held[relay][door]); break;
    default: tcp_relay_cut(chaos->relays[relay], door); break;
  }
}

static void chaos_act(chaos_t *chaos) {
  uint32_t number = draw(chaos, LEDGER_READERS);
  ledger_reader_t *reader = &chaos->ledger->readers[number];
  switch (draw(chaos, chaos->way == STREAM_CHAOS_LOCAL ? 10 : 16)) {
    case 0: chaos_reader(chaos, number, false); break;
    case 1: chaos_reader(chaos, number, draw(chaos, 2) == 0); break;
    case 2:
    case 3: chaos_stop_or_continue(chaos, number); break;
    case 4: atomic_store(&reader->slow, !atomic_load(&reader->slow)); break;
    case 5: atomic_store(&reader->reopen, true); break;
    case 6: atomic_store(&reader->cut, true); break;
    case 7: chaos_daemon(chaos, true); break;
    case 8: chaos_daemon(chaos, false); break;
    case 9: atomic_store(&chaos->ledger->heavy, !atomic_load(&chaos->ledger->heavy)); break;
    default: chaos_network(chaos); break;
  }
}

/* Until something is noted in the ledger; none of these ends before. */
static void children_wait(const chaos_t *chaos, const pid_t *children, uint32_t count, int64_t until_ns) {
  assert_true(bell_wait(&chaos->ledger->bell, children, count, until_ns));
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(waitpid(children[i], NULL, WNOHANG), 0);
  }
}

/* Nothing happens any more: everybody gets to the end. */
static void chaos_settle(chaos_t *chaos) {
  atomic_store(&chaos->ledger->stop, true);
  for (uint32_t i = 0; i < WRITERS; i++) {
    int status;
    assert_int_equal(waitpid(chaos->writers[i], &status, 0), chaos->writers[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  for (uint32_t i = 0; i < LEDGER_READERS; i++) {
    atomic_store(&chaos->ledger->readers[i].slow, false);
    if (chaos->stopped[i]) {
      chaos_stop_or_continue(chaos, i);
    }
  }
  for (unsigned i = 0; i < RELAYS && chaos->way != STREAM_CHAOS_LOCAL; i++) {
    chaos_hold(chaos, i, TCP_RELAY_REQUESTS, false);
    chaos_hold(chaos, i, TCP_RELAY_CHANGES, false);
  }
  int64_t until_ns = daemon_fixture_now_ns() + SETTLE_NS;
  for (uint32_t i = 0; i < LEDGER_READERS; i++) {
    while (!atomic_load(&chaos->ledger->readers[i].at_end)) {
      children_wait(chaos, chaos->readers, LEDGER_READERS, until_ns);
    }
  }
}

/* The daemon, and the way to it. */
static void chaos_open(chaos_t *chaos) {
  if (chaos->way == STREAM_CHAOS_LOCAL) {
    daemon_fixture_open(&chaos->daemon);
    return;
  }
  tcp_place_make(&chaos->place);
  const tcp_place_t *place = &chaos->place;
  const char *keyless[] = {"--stream-listen", place->endpoint, "--insecure", NULL};
  const char *keys[] = {"--stream-listen", place->endpoint,  "--key", place->server_key,
                        "--stream-keys",   place->known_dir, NULL};
  (void)snprintf(chaos->servers, sizeof chaos->servers, "tcp://%s:%u tcp://%s:%u", place->address, RELAY_PORT(0U),
                 place->address, RELAY_PORT(1U));
  if (chaos->way == STREAM_CHAOS_TCP) {
    memcpy(chaos->options, keyless, sizeof keyless);
    chaos->server = (vesta_server_t){.endpoints = chaos->servers, .insecure = SA_TRUE};
  } else {
    memcpy(chaos->options, keys, sizeof keys);
    chaos->server =
        (vesta_server_t){.endpoints = chaos->servers, .server_keys = place->server_public, .key = place->guest_key};
  }
  daemon_fixture_open_with(&chaos->daemon, chaos->options);
  for (unsigned i = 0; i < RELAYS; i++) {
    chaos->relays[i] = tcp_relay_open(place->address, RELAY_PORT(i), TCP_GUEST_PORT);
  }
}

static void chaos_close(chaos_t *chaos) {
  for (unsigned i = 0; i < RELAYS; i++) {
    tcp_relay_close(&chaos->relays[i]);
  }
  daemon_fixture_close(&chaos->daemon);
  if (chaos->way != STREAM_CHAOS_LOCAL) {
    tcp_place_remove(&chaos->place);
  }
  stream_ledger_destroy(&chaos->ledger);
}

void stream_chaos_run(const stream_chaos_plan_t *plan) {
  static chaos_t chaos;
  chaos = (chaos_t){.random = plan->seed, .way = plan->way, .ledger = stream_ledger_new()};
  chaos_open(&chaos);
  for (uint32_t i = 0; i < WRITERS; i++) {
    chaos_writer(&chaos, i);
  }
  int64_t until_ns = daemon_fixture_now_ns() + SETTLE_NS;
  while (atomic_load(&chaos.ledger->last_seq) == 0) { /* the checkpoint is there from now on */
    children_wait(&chaos, chaos.writers, WRITERS, until_ns);
  }
  for (uint32_t i = 0; i < LEDGER_READERS; i++) {
    chaos_reader(&chaos, i, false);
  }
  for (unsigned i = 0; i < plan->actions && !atomic_load(&chaos.ledger->stop); i++) {
    pause_ms(draw(&chaos, plan->pause_ms));
    chaos_act(&chaos);
  }
  chaos_settle(&chaos);
  for (uint32_t i = 0; i < LEDGER_READERS; i++) {
    child_kill(&chaos.readers[i]);
  }
  ledger_verdict_t verdict = stream_ledger_judge(chaos.ledger);
  print_message("seed %u: %llu operations, %llu changes seen, %llu starts, %llu lost, %llu resyncs, %llu synced\n",
                plan->seed, (unsigned long long)verdict.operations, (unsigned long long)verdict.live,
                (unsigned long long)verdict.starts, (unsigned long long)verdict.lost,
                (unsigned long long)verdict.resyncs, (unsigned long long)verdict.states);
  chaos_close(&chaos);
}
