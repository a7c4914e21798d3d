/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What clients of hotkv know of their writes, outside of hotkv and of Vesta: one file, mapped by all of them.
 *
 * Each key belongs to one client. It notes a write's version before it sends the SET (submitted) and after it has read
 * OK (acknowledged); versions of a key only rise. After a failover the value of a key must be a version from the
 * acknowledged one up to the submitted one: anything older is a lost write, anything else was never written.
 *
 *   version outages the client has seen << HOTKV_OUTAGE_SHIFT | how-manieth write of the key: none is used twice
 *   key     "account:000123"
 *   value   "17 account:000123 ......", version and key and dots up to the size of a value: one line of text
 */
#ifndef VESTA_BENCH_HOTKV_LEDGER_H
#define VESTA_BENCH_HOTKV_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOTKV_LOADERS 4U
#define HOTKV_KEY_BYTES 32U
#define HOTKV_VALUE_BYTES 64U
#define HOTKV_OUTAGE_SHIFT 24

typedef struct hotkv_note {
  _Atomic uint32_t submitted, acknowledged; /* versions; 0: none */
} hotkv_note_t;

/* What a client tells of itself. */
typedef struct hotkv_loader {
  _Atomic uint64_t acknowledged; /* SETs */
  _Atomic bool filled;           /* each of its keys was set */
  _Atomic uint32_t outages;      /* that it has come back from */
  _Atomic int64_t outage_ns;     /* the last: from the last OK before to the first OK after */
} hotkv_loader_t;

typedef struct hotkv_ledger {
  int port;
  uint32_t keys;
  _Atomic bool hold; /* who comes back from an outage waits until this is taken back */
  hotkv_loader_t loaders[HOTKV_LOADERS];
  hotkv_note_t notes[]; /* by key */
} hotkv_ledger_t;

/* What was found. */
typedef struct hotkv_verdict {
  uint64_t right;
  uint64_t lost;                  /* older than acknowledged, missing, or never written */
  uint64_t cut_kept, cut_dropped; /* keys with a write that was cut off: it had its effect, it had none */
} hotkv_verdict_t;

hotkv_ledger_t *hotkv_ledger_create(const char *path, int port, uint32_t keys);
hotkv_ledger_t *hotkv_ledger_open(const char *path);

/** @return size of the text, without its NUL */
size_t hotkv_ledger_key(uint32_t key, char text[HOTKV_KEY_BYTES]);
/** HOTKV_VALUE_BYTES bytes, without a NUL. */
void hotkv_ledger_value(uint32_t key, uint32_t version, char value[HOTKV_VALUE_BYTES]);

/** Judge what was found of a key while nobody writes it, and add to the verdict. What was found is settled thereby. */
void hotkv_ledger_judge(hotkv_ledger_t *ledger, uint32_t key, const char *found, size_t size, hotkv_verdict_t *verdict);

/* Over all clients. */
uint64_t hotkv_ledger_acknowledged(const hotkv_ledger_t *ledger);
/** The fewest outages that a client has come back from. */
uint32_t hotkv_ledger_outages(const hotkv_ledger_t *ledger);
/** The longest that a client's last outage took. */
int64_t hotkv_ledger_outage_ns(const hotkv_ledger_t *ledger);

#endif
