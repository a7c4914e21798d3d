/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An application on a node of a cluster, for test/cluster (see cluster_client.h): what it was told goes to standard
 * output, line by line, so that what is found later can be compared with it.
 *
 *   cluster_client write NAME MODE SECTIONS FROM COUNT [BYTES]
 *        the numbers from FROM on, COUNT of them, into sections in turn, each made BYTES long.
 *        MODE: all, active, weak, collocated (ALL_REPLICAS), collocated-active
 *        ok SECTION NUMBER | unknown SECTION NUMBER | failed SECTION NUMBER ERROR
 *   cluster_client read NAME                  SECTION NUMBER for each section there is, or SECTION corrupted
 *   cluster_client judge NAME GOAL            see cluster_judge.c
 *   cluster_client member NAME MODE SECTIONS MEMBER HEARTBEAT_MS [APPLIED]     see cluster_member.c
 *
 * TRY_AGAIN is tried again, for CLIENT_PATIENCE_S at most; TIMEOUT is `unknown`. SIGTERM ends writing after the write
 * that is under way. Exit code 1 when it could not even begin, or not read all.
 */
#include "test/cluster/cluster_client.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/support/call_again.h"

#define CLIENT_CALL_LIMIT (10 * SA_TIME_ONE_SECOND)

static int64_t deadline_ns;
static volatile sig_atomic_t ended;
static sig_atomic_t ended_before; /* patience began */
static SaCkptHandleT library;

/* ---- patience ---- */

static void end(int signal) {
  (void)signal;
  ended = 1;
}

bool client_ended(void) { return ended != 0; }

void client_patience_begin(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  deadline_ns = (int64_t)(now.tv_sec + CLIENT_PATIENCE_S) * 1000000000 + now.tv_nsec;
  ended_before = ended;
}

bool client_again(SaAisErrorT error) { return ended == ended_before && call_again(error, deadline_ns); }

void client_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fputs("cluster_client: ", stderr);
  (void)vfprintf(stderr, format, arguments);
  (void)fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

void client_must(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    client_fail("%s: error %d", what, (int)error);
  }
}

/* ---- the checkpoint ---- */

static SaCkptCheckpointCreationFlagsT mode_flags(const char *mode) {
  static const struct {
    const char *name;
    SaCkptCheckpointCreationFlagsT flags;
  } modes[] = {{"all", SA_CKPT_WR_ALL_REPLICAS},
               {"active", SA_CKPT_WR_ACTIVE_REPLICA},
               {"weak", SA_CKPT_WR_ACTIVE_REPLICA_WEAK},
               {"collocated", SA_CKPT_WR_ALL_REPLICAS | SA_CKPT_CHECKPOINT_COLLOCATED},
               {"collocated-active", SA_CKPT_WR_ACTIVE_REPLICA | SA_CKPT_CHECKPOINT_COLLOCATED}};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (strcmp(mode, modes[i].name) == 0) {
      return modes[i].flags;
    }
  }
  client_fail("there is no mode %s", mode);
}

static void library_initialize(void) {
  SaVersionT version = {.releaseCode = 'B', .majorVersion = 2, .minorVersion = 2};
  SaAisErrorT error;
  client_patience_begin();
  do {
    error = saCkptInitialize(&library, NULL, &version);
  } while (client_again(error));
  client_must(error, "saCkptInitialize");
}

SaCkptCheckpointHandleT client_open(const char *name, const char *mode) {
  SaCkptCheckpointHandleT checkpoint;
  SaNameT full = {0};
  SaAisErrorT error;
  SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = mode == NULL ? 0 : mode_flags(mode),
                                                    .checkpointSize = CLIENT_SECTIONS_MAX * CLIENT_SECTION_BYTES,
                                                    .retentionDuration = SA_TIME_ONE_HOUR,
                                                    .maxSections = CLIENT_SECTIONS_MAX,
                                                    .maxSectionSize = CLIENT_SECTION_BYTES,
                                                    .maxSectionIdSize = CLIENT_ID_BYTES};
  library_initialize();
  full.length = (SaUint16T)snprintf((char *)full.value, sizeof full.value, "safCkpt=%s", name);
  client_patience_begin();
  do {
    error = saCkptCheckpointOpen(library, &full, mode == NULL ? NULL : &attributes,
                                 SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE |
                                     (mode == NULL ? 0 : SA_CKPT_CHECKPOINT_CREATE),
                                 CLIENT_CALL_LIMIT, &checkpoint);
  } while (client_again(error) || (error == SA_AIS_ERR_TIMEOUT && client_again(SA_AIS_ERR_TRY_AGAIN)));
  client_must(error, "saCkptCheckpointOpen");
  if (mode != NULL && strcmp(mode, "collocated-active") == 0) {
    do {
      error = saCkptActiveReplicaSet(checkpoint);
    } while (client_again(error));
    client_must(error, "saCkptActiveReplicaSet");
  }
  return checkpoint;
}

/* ---- writing ---- */

static SaAisErrorT write_once(SaCkptCheckpointHandleT checkpoint, char *section, const char *data, size_t size) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(section), .id = (SaUint8T *)section};
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
  SaAisErrorT error = saCkptSectionOverwrite(checkpoint, &id, data, size);
  if (error == SA_AIS_ERR_NOT_EXIST) {
    error = saCkptSectionCreate(checkpoint, &attributes, data, size);
  }
  return error;
}

client_outcome_t client_told(SaAisErrorT error, const char *section, uint64_t number) {
  client_outcome_t outcome = CLIENT_FAILED;
  if (error == SA_AIS_ERR_TRY_AGAIN) {
    return CLIENT_NOT_YET;
  }
  if (error == SA_AIS_OK) {
    outcome = CLIENT_OK;
    (void)printf("ok %s %" PRIu64 "\n", section, number);
  } else if (error == SA_AIS_ERR_TIMEOUT) {
    outcome = CLIENT_UNKNOWN;
    (void)printf("unknown %s %" PRIu64 "\n", section, number);
  } else {
    (void)printf("failed %s %" PRIu64 " %d\n", section, number, (int)error);
  }
  (void)fflush(stdout);
  return outcome;
}

client_outcome_t client_write(SaCkptCheckpointHandleT checkpoint, uint64_t sections, uint64_t number,
                              uint64_t padding) {
  char section[CLIENT_ID_BYTES];
  char data[CLIENT_SECTION_BYTES];
  (void)snprintf(section, sizeof section, "s%" PRIu64, number % sections);
  size_t size = (size_t)snprintf(data, sizeof data, "%" PRIu64 " ", number);
  if (padding > size && padding <= sizeof data) {
    memset(data + size, '.', padding - size);
    size = padding;
  }
  return client_told(write_once(checkpoint, section, data, size), section, number);
}

/* ---- which of them ---- */

static uint64_t number_of(const char *text) { return strtoull(text, NULL, 10); }

int main(int argc, char **argv) {
  const struct sigaction action = {.sa_handler = end};
  (void)sigaction(SIGTERM, &action, NULL);
  const char *what = argc > 2 ? argv[1] : "";
  if ((argc == 7 || argc == 8) && strcmp(what, "write") == 0) {
    writer_run(client_open(argv[2], argv[3]), number_of(argv[4]), number_of(argv[5]), number_of(argv[6]),
               argc == 8 ? number_of(argv[7]) : 0);
  } else if (argc == 3 && strcmp(what, "read") == 0) {
    reader_run(client_open(argv[2], NULL));
  } else if (argc == 4 && strcmp(what, "judge") == 0) {
    judge_run(client_open(argv[2], NULL), argv[3]);
  } else if ((argc == 7 || argc == 8) && strcmp(what, "member") == 0) {
    member_run(client_open(argv[2], argv[3]), argv[5], number_of(argv[4]), number_of(argv[6]),
               argc == 8 ? number_of(argv[7]) : 0);
  } else {
    client_fail("usage: cluster_client write NAME MODE SECTIONS FROM COUNT [BYTES] | read NAME | judge NAME GOAL | "
                "member NAME MODE SECTIONS MEMBER HEARTBEAT_MS [APPLIED]");
  }
  (void)saCkptFinalize(library);
  return EXIT_SUCCESS;
}
