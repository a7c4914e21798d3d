/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ordered operations of this node, in their order, in a file beside the replicas: what the directory was, after
 * kill -9.
 *
 *     file    = magic *record
 *     magic   = "VESTAJ1" LF
 *     record  = prefix head checksum       ; prefix and head as on the agent link (core/wire.h), payload always empty
 *     checksum= XXH3, 64 bits, of prefix and head, little-endian
 *
 * An append is one write(2) and is done when it returns: the file is memory, it survives the process and needs no
 * fsync. A kill in the middle of it leaves a torn tail, which is dropped at the next start; nothing was answered on its
 * account. A record that is wrong *before* the tail is damage that we never cause: then vestad refuses to start
 * rather than forget half of the directory.
 *
 * When the file has grown beyond a bound and is more than twice what the directory takes, it is rewritten beside and
 * renamed over the old one. Space for the next appends is reserved ahead, so that a tmpfs that replicas have filled
 * does not keep sessions from ending.
 */
#ifndef VESTA_DAEMON_JOURNAL_H
#define VESTA_DAEMON_JOURNAL_H

#include "core/wire.h"

typedef struct journal journal_t;

/**
 * Open the journal of a directory, or begin one.
 * @param size_max   rewritten above this
 * @param restore    called for each operation in order; an error of it ends the opening
 * @param[out] why   says what is wrong, in words
 * @return OK; ACCESS; MALFORMED when it is damaged or restore() said so; NO_MEMORY; NO_SPACE
 */
vesta_err_t journal_open(const char *directory, uint64_t size_max,
                         vesta_err_t (*restore)(void *context, const wire_message_t *op), void *context,
                         journal_t **out, char *why, size_t why_size);
void journal_close(journal_t **journal);

/**
 * Append one operation.
 * @return OK; NO_SPACE when the file can't grow; TOO_LARGE. The file is as before then.
 */
vesta_err_t journal_append(journal_t *journal, const wire_message_t *op);

/** Is it long enough for a rewrite to pay? */
bool journal_wants_rewrite(const journal_t *journal);

/**
 * Write it anew from a snapshot: `snapshot` calls emit(emit_context, op) for each operation and returns false when emit did.
 * @return OK; NO_SPACE, ACCESS: the old one stays and a rewrite is not wanted again before it has grown as much again
 */
vesta_err_t journal_rewrite(journal_t *journal,
                            bool (*snapshot)(void *context, bool (*emit)(void *emit_context, const wire_message_t *op),
                                             void *emit_context),
                            void *context);

typedef struct journal_counters {
  uint64_t bytes;    /* size now */
  uint64_t restored; /* operations played at start */
  uint64_t torn_bytes;
  uint64_t appended;
  uint64_t append_failed;
  uint64_t rewrites;
} journal_counters_t;
void journal_counters(const journal_t *journal, journal_counters_t *counters);

#endif
