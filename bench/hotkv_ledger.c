/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Notes and their judge. See hotkv_ledger.h.
 */
#include "bench/hotkv_ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/scene.h"

hotkv_ledger_t *hotkv_ledger_create(const char *path, int port, uint32_t keys) {
  hotkv_ledger_t *ledger = scene_share_create(path, sizeof *ledger + keys * sizeof ledger->notes[0]);
  ledger->port = port;
  ledger->keys = keys;
  return ledger;
}

hotkv_ledger_t *hotkv_ledger_open(const char *path) { return scene_share_open(path, NULL); }

size_t hotkv_ledger_key(uint32_t key, char text[HOTKV_KEY_BYTES]) {
  return (size_t)snprintf(text, HOTKV_KEY_BYTES, "account:%06u", key);
}

void hotkv_ledger_value(uint32_t key, uint32_t version, char value[HOTKV_VALUE_BYTES]) {
  char text[HOTKV_KEY_BYTES];
  char line[HOTKV_VALUE_BYTES];
  (void)hotkv_ledger_key(key, text);
  int size = snprintf(line, sizeof line, "%u %s ", version, text);
  memset(value, '.', HOTKV_VALUE_BYTES);
  memcpy(value, line, (size_t)size);
}

void hotkv_ledger_judge(hotkv_ledger_t *ledger, uint32_t key, const char *found, size_t size,
                        hotkv_verdict_t *verdict) {
  hotkv_note_t *note = &ledger->notes[key];
  uint32_t version = 0;
  char expected[HOTKV_VALUE_BYTES];
  if (size == HOTKV_VALUE_BYTES) {
    version = (uint32_t)strtoul(found, NULL, 10);
    hotkv_ledger_value(key, version, expected);
  }
  bool written = size == HOTKV_VALUE_BYTES ? memcmp(found, expected, size) == 0 : size == 0;
  if (!written || version < note->acknowledged || version > note->submitted) {
    verdict->lost++;
    return;
  }
  verdict->right++;
  verdict->cut_kept += version > note->acknowledged;
  verdict->cut_dropped += note->submitted > version;
  note->submitted = note->acknowledged = version; /* what was found dropped must not turn up later */
}

uint64_t hotkv_ledger_acknowledged(const hotkv_ledger_t *ledger) {
  uint64_t sum = 0;
  for (size_t i = 0; i < HOTKV_LOADERS; i++) {
    sum += ledger->loaders[i].acknowledged;
  }
  return sum;
}

uint32_t hotkv_ledger_outages(const hotkv_ledger_t *ledger) {
  uint32_t fewest = UINT32_MAX;
  for (size_t i = 0; i < HOTKV_LOADERS; i++) {
    fewest = ledger->loaders[i].outages < fewest ? ledger->loaders[i].outages : fewest;
  }
  return fewest;
}

int64_t hotkv_ledger_outage_ns(const hotkv_ledger_t *ledger) {
  int64_t longest = 0;
  for (size_t i = 0; i < HOTKV_LOADERS; i++) {
    longest = ledger->loaders[i].outage_ns > longest ? ledger->loaders[i].outage_ns : longest;
  }
  return longest;
}
