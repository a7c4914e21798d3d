/* SPDX-License-Identifier: BSD-2-Clause
 *
 * watch: every change of a checkpoint, one line each, until SIGINT or SIGTERM, or until it is gone.
 *
 *   POSITION kind ["id"] [name=value]...
 *
 * or a JSON object a line, with the data. The signals are taken from a descriptor beside the stream's, so that the
 * program ends between two lines and says goodbye to the service.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <vesta.h>

#include "cli/checkpoint_access.h"
#include "cli/id_text.h"
#include "cli/report.h"

static const char *watch_kind(vesta_change_kind_t kind) {
  switch (kind) {
    case VESTA_CHANGE_CREATED: return "created";
    case VESTA_CHANGE_WRITTEN: return "written";
    case VESTA_CHANGE_OVERWRITTEN: return "overwritten";
    case VESTA_CHANGE_DELETED: return "deleted";
    case VESTA_CHANGE_EXPIRED: return "expired";
    case VESTA_CHANGE_EXPIRY_SET: return "expiry-set";
    case VESTA_CHANGE_UNLINKED: return "unlinked";
    case VESTA_CHANGE_RETENTION_SET: return "retention-set";
    case VESTA_CHANGE_EPOCH: return "epoch";
    case VESTA_CHANGE_SYNCED: return "synced";
    case VESTA_CHANGE_LOST: return "lost";
    case VESTA_CHANGE_RESYNC_BEGIN: return "resync-begin";
    case VESTA_CHANGE_RESYNC_END: return "resync-end";
    case VESTA_CHANGE_GONE: return "gone";
    case VESTA_CHANGE_COALESCED: return "coalesced";
  }
  return "unknown"; /* a kind that came with a later version */
}

static const char *watch_reason(vesta_lost_reason_t reason) {
  switch (reason) {
    case VESTA_LOST_HISTORY: return "history";
    case VESTA_LOST_DIVERGED: return "diverged";
    case VESTA_LOST_SILENCE: return "silence";
    case VESTA_LOST_OVERFLOW: return "overflow";
    case VESTA_LOST_CORRUPT: return "corrupt";
  }
  return "unknown";
}

static bool watch_of_section(const vesta_change_t *change) {
  return change->kind <= VESTA_CHANGE_EXPIRY_SET || change->kind == VESTA_CHANGE_COALESCED;
}

static bool watch_has_data(const vesta_change_t *change) {
  return change->kind <= VESTA_CHANGE_OVERWRITTEN || change->kind == VESTA_CHANGE_COALESCED;
}

static bool watch_has_expiry(const vesta_change_t *change) {
  return change->kind == VESTA_CHANGE_CREATED || change->kind == VESTA_CHANGE_COALESCED ||
         change->kind == VESTA_CHANGE_EXPIRY_SET || change->kind == VESTA_CHANGE_RETENTION_SET;
}

static bool watch_has_from(const vesta_change_t *change) {
  return change->kind == VESTA_CHANGE_LOST || change->kind == VESTA_CHANGE_RESYNC_BEGIN ||
         change->kind == VESTA_CHANGE_COALESCED;
}

static void watch_print_text(const vesta_change_t *change, const char *position, const char *from) {
  char id[ID_TEXT_BYTES(VESTA_SECTION_ID_BYTES_MAX)];
  (void)printf("%s %s", position, watch_kind(change->kind));
  if (watch_of_section(change)) {
    id_text_format(vesta_bytes(change->id.id, change->id.idLen), id);
    (void)printf(" \"%s\"", id);
  }
  if (watch_has_data(change)) {
    (void)printf(" offset=%llu bytes=%llu", (unsigned long long)change->offset, (unsigned long long)change->size);
  }
  if (watch_has_expiry(change) && change->expiry == SA_TIME_END) {
    (void)fputs(" expiry_ns=never", stdout);
  } else if (watch_has_expiry(change)) {
    (void)printf(" expiry_ns=%lld", (long long)change->expiry);
  }
  if (change->count > 1) {
    (void)printf(" part=%u/%u", change->index + 1, change->count);
  }
  if (change->kind == VESTA_CHANGE_EPOCH) {
    (void)printf(" active=%llu", (unsigned long long)change->member);
  }
  if (watch_has_from(change)) {
    (void)printf(" from=%s", from);
  }
  if (change->kind == VESTA_CHANGE_LOST) {
    (void)printf(" reason=%s", watch_reason(change->reason));
  }
  (void)puts(change->kind == VESTA_CHANGE_RESYNC_BEGIN && change->full ? " full" : "");
}

static bool watch_print_json(const vesta_change_t *change, const char *position, const char *from) {
  bool whole = true;
  json_t *row = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "position", position, "kind", watch_kind(change->kind),
                          "resync", change->resync != SA_FALSE, "index", (json_int_t)change->index, "count",
                          (json_int_t)change->count, "time_ns", (json_int_t)change->time);
  if (watch_of_section(change)) {
    report_set_id(row, "id", change->id.id, change->id.idLen);
  }
  if (watch_has_data(change)) {
    (void)json_object_set_new(row, "offset", json_integer((json_int_t)change->offset));
    (void)json_object_set_new(row, "bytes", json_integer((json_int_t)change->size));
    bool fetched = change->data != NULL || change->size == 0;
    whole = !fetched || report_set_data(row, "data", change->data, change->size);
  }
  if (watch_has_expiry(change)) {
    (void)json_object_set_new(row, "expiry_ns", report_time(change->expiry));
  }
  if (change->kind == VESTA_CHANGE_EPOCH) {
    (void)json_object_set_new(row, "active", json_integer((json_int_t)change->member));
  }
  if (watch_has_from(change)) {
    (void)json_object_set_new(row, "from", json_string(from));
  }
  if (change->kind == VESTA_CHANGE_LOST) {
    (void)json_object_set_new(row, "reason", json_string(watch_reason(change->reason)));
  }
  if (change->kind == VESTA_CHANGE_RESYNC_BEGIN) {
    (void)json_object_set_new(row, "full", json_boolean(change->full));
  }
  if (whole) {
    report_line(row);
  }
  json_decref(row);
  return whole;
}

static SaAisErrorT watch_print(const vesta_change_t *change, bool json) {
  char position[VESTA_POSITION_TEXT_BYTES];
  char from[VESTA_POSITION_TEXT_BYTES];
  (void)vesta_position_format(&change->position, position);
  (void)vesta_position_format(&change->from, from);
  if (json) {
    return watch_print_json(change, position, from) ? SA_AIS_OK : SA_AIS_ERR_NO_MEMORY;
  }
  watch_print_text(change, position, from);
  return SA_AIS_OK;
}

/* Print what there is, flush, wait. @return OK when asked to end or gone */
static SaAisErrorT watch_follow(vesta_stream_t *stream, int signals, bool json) {
  SaSelectionObjectT fd = 0;
  vesta_change_t change = {0};
  SaAisErrorT error = vesta_stream_fd(stream, &fd);
  while (error == SA_AIS_OK && change.kind != VESTA_CHANGE_GONE && !ferror(stdout)) {
    struct pollfd ready[] = {{.fd = (int)fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    error = vesta_stream_next(stream, 0, &change);
    if (error == SA_AIS_OK) {
      error = watch_print(&change, json);
      (void)poll(ready + 1, 1, 0);
    } else if (error == SA_AIS_ERR_TIMEOUT) {
      error = SA_AIS_OK;
      (void)fflush(stdout);
      (void)poll(ready, 2, -1);
    }
    if (ready[1].revents != 0) {
      break;
    }
  }
  return error;
}

/* What to ask for, and what that points to. */
typedef struct watch_choice {
  vesta_stream_options_t options;
  SaCkptSectionIdT prefixes[VESTA_PREFIXES_MAX];
  uint8_t bytes[VESTA_PREFIXES_MAX][VESTA_SECTION_ID_BYTES_MAX];
} watch_choice_t;

/* The bit of the kind of that name; 0: there is none. */
static SaUint32T watch_kind_bit(const char *name, size_t length) {
  for (SaUint32T kind = VESTA_CHANGE_CREATED; kind <= VESTA_CHANGE_EPOCH; kind++) {
    const char *known = watch_kind((vesta_change_kind_t)kind);
    if (strlen(known) == length && memcmp(known, name, length) == 0) {
      return VESTA_KIND_BIT(kind);
    }
  }
  return 0;
}

static int watch_choose_kinds(const char *names, SaUint32T *kinds) {
  for (;;) {
    size_t length = strcspn(names, ",");
    SaUint32T bit = watch_kind_bit(names, length);
    if (bit == 0) {
      return command_usage("no kind of change (created written overwritten deleted expired expiry-set unlinked "
                           "retention-set epoch): ",
                           names);
    }
    *kinds |= bit;
    if (names[length] == '\0') {
      return EXIT_SUCCESS;
    }
    names += length + 1;
  }
}

static int watch_choose_prefixes(const command_line_t *line, watch_choice_t *choice) {
  for (uint32_t i = 0; i < line->prefix_count; i++) {
    size_t size = 0;
    if (!id_text_parse(line->prefixes[i], choice->bytes[i], sizeof choice->bytes[i], &size) || size == 0) {
      return command_usage("no beginning of an id: ", line->prefixes[i]);
    }
    choice->prefixes[i] = (SaCkptSectionIdT){.idLen = (SaUint16T)size, .id = choice->bytes[i]};
  }
  choice->options.prefixes = choice->prefixes;
  choice->options.prefix_count = line->prefix_count;
  return EXIT_SUCCESS;
}

static int watch_choose(const command_line_t *line, watch_choice_t *choice) {
  vesta_stream_options_t *options = &choice->options;
  *options = (vesta_stream_options_t){
      .keys_only = line->keys ? SA_TRUE : SA_FALSE,
      .when_slow = line->coalesce ? VESTA_WHEN_SLOW_COALESCE : VESTA_WHEN_SLOW_RESYNC,
  };
  if (line->from != NULL) {
    options->from = strcmp(line->from, "now") == 0 ? VESTA_FROM_NOW : VESTA_FROM_POSITION;
    if (options->from == VESTA_FROM_POSITION && vesta_position_parse(line->from, &options->position) != SA_AIS_OK) {
      return command_usage("no position (nor `now`): ", line->from);
    }
  }
  int result = line->kinds == NULL ? EXIT_SUCCESS : watch_choose_kinds(line->kinds, &options->kinds);
  return result != EXIT_SUCCESS ? result : watch_choose_prefixes(line, choice);
}

/* Of what was said of the server something is wrong: what? */
static const char *watch_server_wrong(const command_line_t *line) {
  bool keys = (line->key != NULL || getenv("VESTA_STREAM_KEY") != NULL) &&
              (line->server_key != NULL || getenv("VESTA_STREAM_SERVER_KEY") != NULL);
  if (strncmp(line->server, "tcp://", strlen("tcp://")) != 0) {
    return "that is no tcp://ADDRESS:PORT";
  }
  return keys
             ? "the port is none, or --server-key or --key is no file of such keys, or others may read the one of --key"
             : "--server-key and --key are needed";
}

static const char *watch_server_advice(const command_line_t *line, SaAisErrorT error) {
  switch (error) {
    case SA_AIS_ERR_ACCESS: return "it does not let this key in: its public part belongs into --stream-keys there";
    case SA_AIS_ERR_FAILED_OPERATION: return "who answers there has not the key that --server-key says";
    case SA_AIS_ERR_TRY_AGAIN: return "nobody answers there";
    case SA_AIS_ERR_TIMEOUT: return "it does not answer";
    case SA_AIS_ERR_NOT_EXIST: return "it has no such checkpoint";
    case SA_AIS_ERR_NO_RESOURCES: return "it serves as many streams as it may";
    case SA_AIS_ERR_INVALID_PARAM: return watch_server_wrong(line);
    default: return saAisStrError(error);
  }
}

/* Of a service on another machine. */
static int watch_server_open(const command_line_t *line, const vesta_stream_options_t *options,
                             vesta_stream_t **stream) {
  char name[VESTA_NAME_BYTES_MAX + 1];
  const vesta_server_t server = {.endpoints = line->server, .server_keys = line->server_key, .key = line->key};
  memcpy(name, line->name, line->name_bytes);
  name[line->name_bytes] = '\0';
  SaAisErrorT error = vesta_stream_open_at(&server, name, options, stream);
  if (error != SA_AIS_OK) {
    (void)fprintf(stderr, "vesta: watch %s at %s: %s\n", line->arguments[0], line->server,
                  watch_server_advice(line, error));
  }
  return error == SA_AIS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_watch(const command_line_t *line) {
  checkpoint_access_t access;
  watch_choice_t choice;
  vesta_stream_t *stream = NULL;
  sigset_t ending;
  int result = watch_choose(line, &choice);
  if (result != EXIT_SUCCESS) {
    return result;
  }
  (void)sigemptyset(&ending);
  (void)sigaddset(&ending, SIGINT);
  (void)sigaddset(&ending, SIGTERM);
  (void)sigprocmask(SIG_BLOCK, &ending, NULL);
  int signals = signalfd(-1, &ending, SFD_CLOEXEC);
  if (signals < 0) {
    return checkpoint_access_result(line, "signals", SA_AIS_ERR_NO_RESOURCES);
  }
  bool here = line->server == NULL;
  result = here ? checkpoint_access_open(&access, line, SA_CKPT_CHECKPOINT_READ, NULL)
                : watch_server_open(line, &choice.options, &stream);
  if (result != EXIT_SUCCESS) {
    (void)close(signals);
    return EXIT_FAILURE;
  }
  SaAisErrorT error = here ? vesta_stream_open(access.checkpoint, &choice.options, &stream) : SA_AIS_OK;
  if (error == SA_AIS_OK) {
    error = watch_follow(stream, signals, line->json);
    (void)vesta_stream_close(&stream);
  }
  if (here) {
    checkpoint_access_close(&access);
  }
  (void)close(signals);
  return checkpoint_access_result(line, "watch", error);
}
