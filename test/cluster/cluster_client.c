/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An application on a node of a cluster, for test/cluster: what it was told goes to standard output, line by line, so
 * that what is found later can be compared with it.
 *
 *   cluster_client write NAME MODE SECTIONS FROM COUNT   write the numbers from FROM on, COUNT of them, into sections
 *                                                        in turn. MODE: all, active, weak, collocated
 *        ok SECTION NUMBER | unknown SECTION NUMBER | failed SECTION NUMBER ERROR
 *   cluster_client read NAME                             SECTION NUMBER for each section there is
 *
 * TRY_AGAIN is tried again, for CLIENT_PATIENCE_S at most; TIMEOUT is `unknown`. SIGTERM ends writing after the write
 * that is under way. Exit code 1 when it could not even begin, or not read all.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <saCkpt.h>

#define CLIENT_PATIENCE_S 40
#define CLIENT_SECTIONS_MAX 1024U
#define CLIENT_SECTION_BYTES 4096U
#define CLIENT_CALL_LIMIT (10 * SA_TIME_ONE_SECOND)

static time_t deadline_s;
static volatile sig_atomic_t ended;
static SaCkptHandleT library;

static time_t now_s(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

static void patience_begin(void) { deadline_s = now_s() + CLIENT_PATIENCE_S; }

/* Again? Not at once: that would keep the machine from what it is waited for. */
static bool again(SaAisErrorT error) {
  const struct timespec pause = {.tv_nsec = 2000000};
  if (error != SA_AIS_ERR_TRY_AGAIN || now_s() >= deadline_s) {
    return false;
  }
  (void)nanosleep(&pause, NULL);
  return true;
}

static void must(SaAisErrorT error, const char *what) {
  if (error != SA_AIS_OK) {
    (void)fprintf(stderr, "cluster_client: %s: error %d\n", what, (int)error);
    exit(1);
  }
}

static SaCkptCheckpointCreationFlagsT mode_flags(const char *mode) {
  if (strcmp(mode, "all") == 0) {
    return SA_CKPT_WR_ALL_REPLICAS;
  }
  if (strcmp(mode, "weak") == 0) {
    return SA_CKPT_WR_ACTIVE_REPLICA_WEAK;
  }
  return strcmp(mode, "collocated") == 0 ? SA_CKPT_WR_ALL_REPLICAS | SA_CKPT_CHECKPOINT_COLLOCATED
                                         : SA_CKPT_WR_ACTIVE_REPLICA;
}

static SaCkptCheckpointHandleT checkpoint_open(const char *name, const char *mode) {
  SaVersionT version = {.releaseCode = 'B', .majorVersion = 2, .minorVersion = 2};
  SaCkptCheckpointHandleT checkpoint;
  SaNameT full = {0};
  SaAisErrorT error;
  SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = mode == NULL ? 0 : mode_flags(mode),
                                                    .checkpointSize = CLIENT_SECTIONS_MAX * CLIENT_SECTION_BYTES,
                                                    .retentionDuration = SA_TIME_ONE_HOUR,
                                                    .maxSections = CLIENT_SECTIONS_MAX,
                                                    .maxSectionSize = CLIENT_SECTION_BYTES,
                                                    .maxSectionIdSize = 16};
  full.length = (SaUint16T)snprintf((char *)full.value, sizeof full.value, "safCkpt=%s", name);
  patience_begin();
  do {
    error = saCkptInitialize(&library, NULL, &version);
  } while (again(error));
  must(error, "saCkptInitialize");
  patience_begin();
  do {
    error = saCkptCheckpointOpen(library, &full, mode == NULL ? NULL : &attributes,
                                 SA_CKPT_CHECKPOINT_READ | SA_CKPT_CHECKPOINT_WRITE |
                                     (mode == NULL ? 0 : SA_CKPT_CHECKPOINT_CREATE),
                                 CLIENT_CALL_LIMIT, &checkpoint);
  } while (again(error) || (error == SA_AIS_ERR_TIMEOUT && again(SA_AIS_ERR_TRY_AGAIN)));
  must(error, "saCkptCheckpointOpen");
  if (mode != NULL && strcmp(mode, "collocated") == 0) {
    do {
      error = saCkptActiveReplicaSet(checkpoint);
    } while (again(error));
    must(error, "saCkptActiveReplicaSet");
  }
  return checkpoint;
}

/* ---- write ---- */

static void end(int signal) {
  (void)signal;
  ended = 1;
}

static SaAisErrorT write_once(SaCkptCheckpointHandleT checkpoint, char *section, const char *data) {
  SaCkptSectionIdT id = {.idLen = (SaUint16T)strlen(section), .id = (SaUint8T *)section};
  SaCkptSectionCreationAttributesT attributes = {.sectionId = &id, .expirationTime = SA_TIME_END};
  SaAisErrorT error = saCkptSectionOverwrite(checkpoint, &id, data, strlen(data));
  if (error == SA_AIS_ERR_NOT_EXIST) {
    error = saCkptSectionCreate(checkpoint, &attributes, data, strlen(data));
  }
  return error;
}

/* A write that was not acknowledged may still take effect. It is repeated with the same number, so that is no harm. */
static void write_number(SaCkptCheckpointHandleT checkpoint, uint64_t sections, uint64_t number) {
  char section[32];
  char data[32];
  SaAisErrorT error;
  (void)snprintf(section, sizeof section, "s%" PRIu64, number % sections);
  (void)snprintf(data, sizeof data, "%" PRIu64, number);
  patience_begin();
  do {
    error = write_once(checkpoint, section, data);
  } while (again(error));
  if (error == SA_AIS_OK) {
    (void)printf("ok %s %s\n", section, data);
  } else if (error == SA_AIS_ERR_TIMEOUT) {
    (void)printf("unknown %s %s\n", section, data);
  } else {
    (void)printf("failed %s %s %d\n", section, data, (int)error);
  }
  (void)fflush(stdout);
}

/* ---- read ---- */

static SaAisErrorT read_section(SaCkptCheckpointHandleT checkpoint, const SaCkptSectionIdT *id) {
  char data[CLIENT_SECTION_BYTES];
  SaCkptIOVectorElementT vector = {.sectionId = *id, .dataBuffer = data, .dataSize = sizeof data};
  SaUint32T index;
  SaAisErrorT error;
  do {
    error = saCkptCheckpointRead(checkpoint, &vector, 1, &index);
  } while (again(error));
  if (error == SA_AIS_OK) {
    (void)printf("%.*s %.*s\n", id->idLen, (const char *)id->id, (int)vector.readSize, data);
  }
  return error;
}

static void read_all(SaCkptCheckpointHandleT checkpoint) {
  SaCkptSectionIterationHandleT walk;
  SaCkptSectionDescriptorT descriptor;
  SaAisErrorT error;
  patience_begin();
  do {
    error = saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, &walk);
  } while (again(error));
  must(error, "saCkptSectionIterationInitialize");
  for (;;) {
    do {
      error = saCkptSectionIterationNext(walk, &descriptor);
    } while (again(error));
    if (error == SA_AIS_ERR_NO_SECTIONS) {
      break;
    }
    must(error, "saCkptSectionIterationNext");
    must(read_section(checkpoint, &descriptor.sectionId), "saCkptCheckpointRead");
  }
}

int main(int argc, char **argv) {
  if (argc == 7 && strcmp(argv[1], "write") == 0) {
    SaCkptCheckpointHandleT checkpoint = checkpoint_open(argv[2], argv[3]);
    uint64_t sections = strtoull(argv[4], NULL, 10);
    uint64_t from = strtoull(argv[5], NULL, 10);
    uint64_t count = strtoull(argv[6], NULL, 10);
    (void)signal(SIGTERM, end);
    for (uint64_t i = 0; i < count && !ended; i++) {
      write_number(checkpoint, sections, from + i);
    }
    (void)saCkptFinalize(library);
    return EXIT_SUCCESS;
  }
  if (argc == 3 && strcmp(argv[1], "read") == 0) {
    read_all(checkpoint_open(argv[2], NULL));
    (void)saCkptFinalize(library);
    return EXIT_SUCCESS;
  }
  (void)fprintf(stderr, "Usage: cluster_client write NAME MODE SECTIONS FROM COUNT | read NAME\n");
  return EXIT_FAILURE;
}
