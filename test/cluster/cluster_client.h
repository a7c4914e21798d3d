/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The parts of cluster_client: an application on a node of a cluster, which tells on standard output, line by line, what
 * it was told. One checkpoint, and sections "s0", "s1", ... that hold a number as text each.
 *
 *   cluster_client.c    which of them, and the checkpoint that all of them open
 *   cluster_writer.c    write: numbers, one after the other
 *   cluster_reader.c    read: all sections, as the standard's calls read them
 *   cluster_judge.c     judge: a stream and a mirror that follow everything, and complain of the first gap
 *   cluster_member.c    member: of the checkpoint's group, and writes while it is active
 */
#ifndef VESTA_TEST_CLUSTER_CLIENT_H
#define VESTA_TEST_CLUSTER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <vesta.h>

#define CLIENT_PATIENCE_S 40 /* so long TRY_AGAIN is tried again */
#define CLIENT_SECTIONS_MAX 1024U
#define CLIENT_SECTION_BYTES 32768U
#define CLIENT_ID_BYTES 32U

/* What a write came to. */
typedef enum client_outcome {
  CLIENT_OK,
  CLIENT_UNKNOWN, /* TIMEOUT */
  CLIENT_FAILED,
  CLIENT_NOT_YET, /* TRY_AGAIN: without effect */
} client_outcome_t;

/** SIGTERM asks for the end, and ends the patience that has begun. */
bool client_ended(void);
/** From now on client_again() is patient for CLIENT_PATIENCE_S. */
void client_patience_begin(void);
/** Is it TRY_AGAIN, and is there patience left? Pauses a little then. */
bool client_again(SaAisErrorT error);
/** Ends the program, with a line that says so, unless it is OK. */
void client_must(SaAisErrorT error, const char *what);
/** Says a line and ends the program. */
_Noreturn void client_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** @param mode   NULL: it must be there */
SaCkptCheckpointHandleT client_open(const char *name, const char *mode);
/** Say what came of a write, unless that is TRY_AGAIN. */
client_outcome_t client_told(SaAisErrorT error, const char *section, uint64_t number);
/** Write a number into its section, once, and say what came of it unless that is NOT_YET. */
client_outcome_t client_write(SaCkptCheckpointHandleT checkpoint, uint64_t sections, uint64_t number, uint64_t padding);

void writer_run(SaCkptCheckpointHandleT checkpoint, uint64_t sections, uint64_t from, uint64_t count, uint64_t padding);
void reader_run(SaCkptCheckpointHandleT checkpoint);
void judge_run(SaCkptCheckpointHandleT checkpoint, const char *goal_path);
void member_run(SaCkptCheckpointHandleT checkpoint, const char *name, uint64_t sections, uint64_t heartbeat_ms,
                uint64_t applied_by);

#endif
