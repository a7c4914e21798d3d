/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Follows a checkpoint by a stream and by a mirror, whatever happens to the nodes, and holds both to their word: every
 * operation, in order, without a gap, or LOST and a resync that says from where to where.
 *
 *   saw SECTION NUMBER      the stream: this was written, as it happened
 *   state SECTION NUMBER    the stream, in a resync: this is there now. Whatever came before it in this section is covered
 *   lost REASON SEQ SEQ     what will not come one by one
 *   epoch EPOCH | resync full|part | synced
 *   stream SECTION NUMBER   at the end (SIGTERM; the file GOAL says how far that is): the table that the changes have built
 *   mirror SECTION NUMBER   the mirror's, which the service has verified
 *   ended
 *
 * What breaks a promise is said on standard error, and ends it with 1.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "test/cluster/cluster_client.h"

typedef struct judge {
  vesta_stream_t *stream;
  vesta_mirror_t *mirror;
  vesta_position_t last;  /* of the last change outside a resync, or where a resync ended */
  SaUint32T index, count; /* its place in its operation; count 0: complete */
  bool begun;             /* `last` is one */
  bool lost;              /* LOST was said, and RESYNC_BEGIN has to follow */
  bool resync;
  vesta_position_t promised; /* LOST: where the resync reaches at least */
  uint64_t table[CLIENT_SECTIONS_MAX];
  bool there[CLIENT_SECTIONS_MAX];
  bool named[CLIENT_SECTIONS_MAX]; /* in a full resync */
} judge_t;

static bool same(vesta_position_t a, vesta_position_t b) {
  return a.lineage == b.lineage && a.epoch == b.epoch && a.seq == b.seq;
}

static const char *text_of(vesta_position_t position) {
  static char text[2][VESTA_POSITION_TEXT_BYTES];
  static unsigned next;
  next ^= 1U;
  (void)vesta_position_format(&position, text[next]);
  return text[next];
}

/* Sections are "s0", "s1", ... */
static uint64_t section_of(const vesta_change_t *change) {
  char id[CLIENT_ID_BYTES + 1] = {0};
  if (change->id.idLen < 2 || change->id.idLen > CLIENT_ID_BYTES || change->id.id[0] != 's') {
    client_fail("WRONG: a change of a section that nobody made, at %s", text_of(change->position));
  }
  memcpy(id, change->id.id, change->id.idLen);
  uint64_t section = strtoull(id + 1, NULL, 10);
  if (section >= CLIENT_SECTIONS_MAX) {
    client_fail("WRONG: a change of section %s, at %s", id, text_of(change->position));
  }
  return section;
}

static uint64_t number_in(const void *data, size_t size) {
  char text[32] = {0};
  if (size != 0) {
    memcpy(text, data, size < sizeof text - 1 ? size : sizeof text - 1);
  }
  return strtoull(text, NULL, 10);
}

/* ---- what the stream says ---- */

static void judge_content(judge_t *judge, const vesta_change_t *change) {
  uint64_t section = section_of(change);
  judge->there[section] = change->kind != VESTA_CHANGE_DELETED && change->kind != VESTA_CHANGE_EXPIRED;
  judge->named[section] = true;
  if (!judge->there[section] || change->kind == VESTA_CHANGE_EXPIRY_SET) {
    return;
  }
  judge->table[section] = number_in(change->data, change->size);
  (void)printf("%s s%" PRIu64 " %" PRIu64 "\n", change->resync ? "state" : "saw", section, judge->table[section]);
}

/* The next change of the operation, or the first of the next one. */
static void judge_place(judge_t *judge, const vesta_change_t *change) {
  bool within = judge->begun && judge->count != 0;
  bool good = !judge->lost && change->index < change->count;
  if (within) {
    good = good && same(change->position, judge->last) && change->index == judge->index + 1;
  } else if (judge->begun) {
    good = good && change->position.lineage == judge->last.lineage && change->position.seq == judge->last.seq + 1 &&
           change->position.epoch >= judge->last.epoch && change->index == 0;
  }
  if (!good) {
    client_fail("WRONG: a gap: %s (%u of %u) after %s%s", text_of(change->position), (unsigned)change->index,
                (unsigned)change->count, text_of(judge->last), judge->lost ? ", which LOST had given up" : "");
  }
  judge->begun = true;
  judge->last = change->position;
  judge->index = change->index;
  judge->count = change->index + 1 == change->count ? 0 : change->count;
}

static void judge_resync_end(judge_t *judge, const vesta_change_t *change) {
  if (!judge->resync ||
      (judge->lost && change->position.lineage == judge->promised.lineage &&
       change->position.epoch == judge->promised.epoch && change->position.seq < judge->promised.seq)) {
    client_fail("WRONG: a resync ended at %s, and LOST had promised %s", text_of(change->position),
                text_of(judge->promised));
  }
  judge->resync = false;
  judge->lost = false;
  judge->begun = true;
  judge->last = change->position;
  judge->count = 0;
}

static void judge_resync_begin(judge_t *judge, const vesta_change_t *change) {
  (void)printf("resync %s\n", change->full ? "full" : "part");
  judge->resync = true;
  memset(judge->named, change->full ? 0 : 1, sizeof judge->named);
}

static void judge_lost(judge_t *judge, const vesta_change_t *change) {
  (void)printf("lost %d %" PRIu64 " %" PRIu64 "\n", (int)change->reason, (uint64_t)change->from.seq,
               (uint64_t)change->position.seq);
  judge->lost = true;
  judge->promised = change->position;
}

static void judge_change(judge_t *judge, const vesta_change_t *change) {
  if (change->kind < VESTA_CHANGE_SYNCED && !change->resync) {
    judge_place(judge, change);
  }
  switch (change->kind) {
    case VESTA_CHANGE_CREATED:
    case VESTA_CHANGE_WRITTEN:
    case VESTA_CHANGE_OVERWRITTEN:
    case VESTA_CHANGE_DELETED:
    case VESTA_CHANGE_EXPIRED:
    case VESTA_CHANGE_EXPIRY_SET: judge_content(judge, change); break;
    case VESTA_CHANGE_EPOCH: (void)printf("epoch %" PRIu64 "\n", (uint64_t)change->position.epoch); break;
    case VESTA_CHANGE_SYNCED: (void)printf("synced\n"); break;
    case VESTA_CHANGE_LOST: judge_lost(judge, change); break;
    case VESTA_CHANGE_RESYNC_BEGIN: judge_resync_begin(judge, change); break;
    case VESTA_CHANGE_RESYNC_END:
      for (size_t i = 0; i < CLIENT_SECTIONS_MAX; i++) {
        judge->there[i] = judge->there[i] && judge->named[i];
      }
      judge_resync_end(judge, change);
      break;
    case VESTA_CHANGE_UNLINKED:
    case VESTA_CHANGE_RETENTION_SET: break;
    case VESTA_CHANGE_COALESCED:
    case VESTA_CHANGE_GONE: client_fail("WRONG: the stream says %d, which nothing here leads to", (int)change->kind);
  }
}

/* ---- taking ---- */

/* Nothing more now? */
static bool judge_idle(SaAisErrorT error, const char *what) {
  bool short_of = error == SA_AIS_ERR_NO_RESOURCES || error == SA_AIS_ERR_NO_MEMORY;
  if (error != SA_AIS_OK && error != SA_AIS_ERR_TIMEOUT && !short_of) {
    client_fail("WRONG: %s: error %d", what, (int)error);
  }
  return error != SA_AIS_OK;
}

static void judge_take(judge_t *judge) {
  vesta_change_t change;
  while (!judge_idle(vesta_stream_next(judge->stream, 0, &change), "vesta_stream_next")) {
    judge_change(judge, &change);
  }
  while (!judge_idle(vesta_mirror_next(judge->mirror, 0, &change), "vesta_mirror_next")) {
  }
  (void)fflush(stdout);
}

static void judge_follow(judge_t *judge) {
  SaSelectionObjectT stream_fd, mirror_fd;
  client_must(vesta_stream_fd(judge->stream, &stream_fd), "vesta_stream_fd");
  client_must(vesta_mirror_fd(judge->mirror, &mirror_fd), "vesta_mirror_fd");
  struct pollfd fds[] = {{.fd = (int)stream_fd, .events = POLLIN}, {.fd = (int)mirror_fd, .events = POLLIN}};
  while (!client_ended()) {
    (void)poll(fds, 2, 500); /* SIGTERM may have come just before it */
    judge_take(judge);
  }
}

/* ---- the end: nobody writes any more ---- */

static SaBoolT judge_tell(void *context, const vesta_section_t *section) {
  (void)context;
  (void)printf("mirror %.*s %" PRIu64 "\n", section->id.idLen, (const char *)section->id.id,
               number_in(section->data, section->size));
  return SA_TRUE;
}

/* How far the checkpoint has come. The node here may not know that yet. */
static vesta_position_t judge_goal(const char *path) {
  char text[VESTA_POSITION_TEXT_BYTES] = {0};
  vesta_position_t goal;
  FILE *file = fopen(path, "re");
  if (file == NULL || fscanf(file, "%63s", text) != 1) {
    client_fail("no position in %s", path);
  }
  (void)fclose(file);
  client_must(vesta_position_parse(text, &goal), "vesta_position_parse");
  return goal;
}

/* What the mirror has is what the service has, and both have come as far as there is anything. */
static void judge_finish(judge_t *judge, vesta_position_t goal) {
  vesta_status_t status;
  SaAisErrorT error;
  client_patience_begin();
  for (;;) {
    judge_take(judge);
    error = vesta_mirror_verify(judge->mirror, SA_TIME_ONE_SECOND / 10);
    error = error == SA_AIS_ERR_TIMEOUT ? SA_AIS_ERR_TRY_AGAIN : error;
    client_must(vesta_mirror_status(judge->mirror, &status), "vesta_mirror_status");
    bool level = error == SA_AIS_OK && !judge->resync && !judge->lost && same(judge->last, status.applied) &&
                 judge->last.lineage == goal.lineage && judge->last.seq >= goal.seq;
    if (level) {
      return;
    }
    if (!client_again(error == SA_AIS_OK ? SA_AIS_ERR_TRY_AGAIN : error)) {
      client_fail("WRONG: not level at the end: stream at %s, mirror at %s, wanted seq %" PRIu64 ", verify says %d",
                  text_of(judge->last), text_of(status.applied), (uint64_t)goal.seq, (int)error);
    }
  }
}

void judge_run(SaCkptCheckpointHandleT checkpoint, const char *goal_path) {
  static judge_t judge;
  client_patience_begin();
  SaAisErrorT error;
  do {
    error = vesta_stream_open(checkpoint, NULL, &judge.stream);
  } while (client_again(error));
  client_must(error, "vesta_stream_open");
  do {
    error = vesta_mirror_open(checkpoint, NULL, &judge.mirror);
  } while (client_again(error));
  client_must(error, "vesta_mirror_open");
  judge_follow(&judge);
  judge_finish(&judge, judge_goal(goal_path));
  for (size_t i = 0; i < CLIENT_SECTIONS_MAX; i++) {
    if (judge.there[i]) {
      (void)printf("stream s%zu %" PRIu64 "\n", i, judge.table[i]);
    }
  }
  client_must(vesta_mirror_each(judge.mirror, judge_tell, NULL), "vesta_mirror_each");
  (void)vesta_mirror_close(&judge.mirror);
  (void)vesta_stream_close(&judge.stream);
  (void)printf("ended\n");
}
