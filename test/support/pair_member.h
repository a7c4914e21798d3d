/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Members of a pair as processes of their own, for tests to kill and to stop, and an observer outside of them.
 *
 * Each member joins the group of one checkpoint, follows it, and writes when it is active and told to. What it
 * submitted and what the service acknowledged is noted in memory that all processes share, so it outlives a SIGKILL; a
 * member that becomes active compares its mirror with that and reports what is wrong.
 *
 * Members report what happens to them through a pipe, commands go to them and answers come back through others: nobody
 * waits for time to pass, and who waits for an answer takes no report from whoever waits for that later.
 */
#ifndef VESTA_TEST_SUPPORT_PAIR_MEMBER_H
#define VESTA_TEST_SUPPORT_PAIR_MEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <vesta.h>

#include "test/support/bell.h"

#define PAIR_SECTIONS 500U

#define PAIR_WRITES_MAX (1U << 22) /* of one test */

/* Shared by all. A value is the number of a write; 0: never written. Of each section the highest counts: a member that
 * was stopped in the middle of a write goes on with it when its successor has long written others. */
typedef struct pair_ledger {
  _Atomic uint64_t next;
  _Atomic uint64_t submitted[PAIR_SECTIONS];
  _Atomic uint64_t acknowledged[PAIR_SECTIONS];
  _Atomic uint8_t refused[PAIR_WRITES_MAX]; /* by value: this one must not appear anywhere */
  _Atomic uint64_t awaited;                 /* the bell is rung when that is acknowledged; UINT64_MAX: nobody waits */
  bell_t bell;
} pair_ledger_t;

pair_ledger_t *pair_ledger_new(void);
void pair_ledger_destroy(pair_ledger_t **ledger);
uint64_t pair_ledger_acknowledged(const pair_ledger_t *ledger);
/** Let the active write some more: `count` acknowledged writes from now on, at least. */
void pair_ledger_wait_more(pair_ledger_t *ledger, uint64_t count);

typedef struct pair_member {
  pid_t pid;
  int commands; /* written to */
  int answers;  /* read from, and the reports as well */
  int reports;
} pair_member_t;

typedef enum pair_report_kind {
  PAIR_REPORT_ROLE = 1, /* role, reason, epoch; of ACTIVE: promotion, value: so many sections were wrong (if SYNCED) */
  PAIR_REPORT_SYNCED = 2, /* as standby, once after each time that it became one or was told SYNCED */
} pair_report_kind_t;

typedef struct pair_report {
  pair_report_kind_t kind;
  vesta_role_t role;
  vesta_role_reason_t reason;
  uint64_t epoch;
  uint64_t value;
  vesta_promotion_t promotion;
  int64_t time_ns; /* CLOCK_MONOTONIC */
} pair_report_t;

typedef struct pair_answer {
  uint64_t value;
  vesta_promotion_t promotion;
} pair_answer_t;

/* Commands, and what the answer's value is. */
typedef enum pair_command {
  PAIR_WRITE = 'w',     /* write whenever active. No answer */
  PAIR_WRITE_ONE = 'o', /* one write now, whatever the role: SaAisErrorT */
  PAIR_PAUSE = 'p',     /* stop writing: number of writes so far */
  PAIR_RESIGN = 'r',    /* SaAisErrorT */
  PAIR_PROMOTE = 'a',   /* SaAisErrorT; promotion */
  PAIR_COMPARE = 'c',   /* take all there is, compare the mirror with the checkpoint: number of differences */
  PAIR_LEAVE = 'l',     /* leave and end: SaAisErrorT */
} pair_command_t;

/** Start a process that joins. Call before this process has used the service itself. */
pair_member_t pair_member_start(const char *checkpoint, const vesta_pair_options_t *options, pair_ledger_t *ledger);
/** SIGKILL if it lives, and wait for its end. */
void pair_member_end(pair_member_t *member);

void pair_member_command(const pair_member_t *member, pair_command_t command);
/** The next report. Fails the test when none comes. */
pair_report_t pair_member_report(const pair_member_t *member);
/** Take reports until it has that role; fails the test on a report of wrong sections. */
pair_report_t pair_member_wait_role(const pair_member_t *member, vesta_role_t role);
void pair_member_wait_synced(const pair_member_t *member);
/** Send a command and wait for its answer. */
pair_answer_t pair_member_answer(const pair_member_t *member, pair_command_t command);
/** The same, its value alone. */
uint64_t pair_member_ask(const pair_member_t *member, pair_command_t command);
/** Take reports for so long. @return false when one of them is of a role */
bool pair_member_keeps_role(const pair_member_t *member, int duration_ms);

#endif
