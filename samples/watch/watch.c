/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prints every change of a checkpoint, one line each: what is there, then what happens, in order and without a gap.
 *
 *   ./watch counters                 what is there first
 *   ./watch counters POSITION        go on from a position that an earlier run printed
 *
 * With VESTA_STREAM_SERVER=tcp://ADDRESS:PORT in the environment (and VESTA_STREAM_SERVER_KEY, VESTA_STREAM_KEY) it is
 * that service's checkpoint, on a machine that needs none of its own.
 *
 * A line is: position, what happened, and what it happened to. Ids are printed in quotes; a byte that is no printable
 * ASCII character comes as \xNN, and a quote or backslash with a backslash before it, so that no two ids look the same.
 *
 * Build it with: cc watch.c $(pkg-config --cflags --libs vesta) -o watch
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <saCkpt.h>
#include <vesta.h>

static void check(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    fprintf(stderr, "watch: %s: %s\n", what, saAisStrError(error));
    exit(1);
  }
}

static void print_id(const SaCkptSectionIdT *id) {
  putchar('"');
  for (SaUint16T i = 0; i < id->idLen; i++) {
    unsigned char byte = id->id[i];
    if (byte == '"' || byte == '\\') {
      printf("\\%c", byte);
    } else if (byte >= ' ' && byte <= '~') {
      putchar(byte);
    } else {
      printf("\\x%02x", byte);
    }
  }
  putchar('"');
}

static const char *kind_name(vesta_change_kind_t kind) {
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

static void print_change(const vesta_change_t *change) {
  char position[VESTA_POSITION_TEXT_BYTES];
  vesta_position_format(&change->position, position);
  printf("%s %s", position, kind_name(change->kind));
  if (change->kind <= VESTA_CHANGE_EXPIRY_SET) {
    putchar(' ');
    print_id(&change->id);
  }
  if (change->kind <= VESTA_CHANGE_OVERWRITTEN) {
    printf(" offset=%llu size=%llu", change->offset, change->size);
  }
  if (change->count > 1) {
    printf(" part=%u/%u", change->index + 1, change->count);
  }
  if (change->kind == VESTA_CHANGE_EPOCH) {
    printf(" active=%llu", change->member);
  }
  putchar('\n');
  fflush(stdout);
}

/* Of the service on this machine: a library handle, and a handle of the checkpoint. */
static void open_here(const SaNameT *name, const vesta_stream_options_t *options, SaCkptHandleT *library,
                      vesta_stream_t **stream) {
  SaVersionT version = {'B', 2, 2};
  SaCkptCheckpointHandleT checkpoint;
  check(saCkptInitialize(library, NULL, &version), "initialize");
  check(saCkptCheckpointOpen(*library, name, NULL, SA_CKPT_CHECKPOINT_READ, 10 * SA_TIME_ONE_SECOND, &checkpoint),
        "open checkpoint");
  check(vesta_stream_open(checkpoint, options, stream), "open stream");
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3 || strlen(argv[1]) > SA_MAX_NAME_LENGTH - sizeof "safCkpt=") {
    fprintf(stderr, "usage: watch CHECKPOINT [POSITION]\n");
    return 2;
  }
  SaNameT name = {0};
  name.length = (SaUint16T)snprintf((char *)name.value, sizeof name.value, "safCkpt=%s", argv[1]);
  vesta_stream_options_t options = {0};
  if (argc == 3) {
    options.from = VESTA_FROM_POSITION;
    check(vesta_position_parse(argv[2], &options.position), "position");
  }
  SaCkptHandleT library = 0;
  vesta_stream_t *stream;
  if (getenv("VESTA_STREAM_SERVER") != NULL) {
    check(vesta_stream_open_at(NULL, (const char *)name.value, &options, &stream), "open stream");
  } else {
    open_here(&name, &options, &library, &stream);
  }

  vesta_change_t change = {0};
  while (change.kind != VESTA_CHANGE_GONE) {
    check(vesta_stream_next(stream, SA_TIME_END, &change), "next change");
    print_change(&change);
  }
  vesta_stream_close(&stream);
  if (library != 0) {
    saCkptFinalize(library);
  }
  return 0;
}
