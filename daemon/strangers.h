/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who was refused and named in the log: each is named once, as long as it is remembered.
 *
 * A stranger costs nothing to be: it may come with a new key each time. So one a second is named at most; the others are
 * counted only, and named when they come again. Where somebody came from who was let in, another one may just be gone
 * before it was. Pure.
 */
#ifndef VESTA_DAEMON_STRANGERS_H
#define VESTA_DAEMON_STRANGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"

/* All zero at first. */
typedef struct strangers {
  uint64_t known[VESTA_STRANGERS_MAX];  /* hashes; 0: free */
  uint64_t guests[VESTA_STRANGERS_MAX]; /* hashes of addresses of who was let in; 0: free */
  uint32_t next, guest_next;            /* who is forgotten next */
  int64_t pause_ns;                     /* nobody is named before */
} strangers_t;

/**
 * Somebody was refused.
 * @param key   what it came with, "" nothing: then it is known if it was named with any key before
 * @return true: name it now
 */
bool strangers_name(strangers_t *strangers, const char *address, const char *key, int64_t now_ns);

/** Somebody from there was let in. */
void strangers_welcome(strangers_t *strangers, const char *address);
/** Was, as far as is remembered? */
bool strangers_welcomed(const strangers_t *strangers, const char *address);

#endif
