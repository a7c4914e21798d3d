/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A change as a subscriber sees it: one element of one operation, or a word of the stream itself.
 */
#ifndef VESTA_NOTIFY_CHANGE_H
#define VESTA_NOTIFY_CHANGE_H

#include "core/types.h"

/* The stream's own words, after vesta_kind_t's numbers. */
typedef enum notify_word {
  NOTIFY_SYNCED = 32, /* everything up to this position was handed out; live changes follow */
  NOTIFY_LOST = 33,   /* changes after `from` up to `position` will not come one by one: a resync follows */
  NOTIFY_RESYNC_BEGIN =
      34, /* from `from` (epoch 0: from nothing); full: ids not named until RESYNC_END are gone. One more
                               before the END, always full, starts it over: what was named until then counts no more */
  NOTIFY_RESYNC_END = 35, /* the state is consistent again, as of `position` */
  NOTIFY_GONE = 36,       /* the checkpoint is no more, or may no longer be read; nothing follows */
  NOTIFY_COALESCED = 37,  /* in a resync for who is slow and wanted it so: the section is this; the changes of it after
                             `from` up to `position` come as this one. Not a word: it has an id and data */
  NOTIFY_HASH = 38,       /* who asked for it alone: what the service's content is at this position; `data` is its hash,
                             `offset` the number of its sections */
} notify_word_t;

typedef struct notify_change {
  uint32_t kind; /* vesta_kind_t or notify_word_t */
  vesta_pos_t position;
  vesta_pos_t from;      /* LOST, RESYNC_BEGIN, COALESCED */
  bool full;             /* RESYNC_BEGIN: a full one */
  bool resync;           /* part of a resync: a CREATED is then "the section is this", it may be there already */
  uint32_t reason;       /* LOST: vesta_err_t: LOST (history is gone), DIVERGED (another history), TIMEOUT (silence),
                        TOO_LARGE (own buffer overflowed), MALFORMED (the hash differed: subscriber_resync()) */
  uint32_t index, count; /* place within its operation; 0 and 1 in a resync, where each change stands alone */
  vesta_bytes_t id;      /* valid until the next call that hands out a change */
  uint64_t offset;
  vesta_bytes_t data; /* same; who wants keys only gets its size, and NULL */
  int64_t expiry_ns;  /* CREATED, EXPIRY_SET; RETENTION_SET: the duration */
  int64_t time_ns;    /* wall clock at the commit */
  uint64_t member;    /* EPOCH: who was granted the role, 0 nobody */
  bool awaited;       /* somebody waits for this, or what came before it, to be applied */
} notify_change_t;

#endif
