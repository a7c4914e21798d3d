/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The hash table. See table.h.
 */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_PARTS 64

struct table {
  size_t chain_count; /* a power of two */
  size_t count;
  size_t swept; /* the chain where the next sweep begins */
  entry_t **chains;
};

static void *allocate(size_t size) {
  void *memory = malloc(size);
  if (memory == NULL) {
    fprintf(stderr, "hotkv: out of memory\n");
    exit(1);
  }
  return memory;
}

/* FNV-1a */
static entry_t **chain_of(const table_t *table, slice_t key) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (size_t i = 0; i < key.size; i++) {
    hash = (hash ^ (unsigned char)key.bytes[i]) * 0x100000001b3U;
  }
  return &table->chains[(hash ^ hash >> 32) & (table->chain_count - 1)];
}

/* The pointer that leads to a key's entry; *it is NULL when there is none. */
static entry_t **link_to(const table_t *table, slice_t key) {
  entry_t **link = chain_of(table, key);
  while (*link != NULL && !((*link)->key.size == key.size && memcmp((*link)->key.bytes, key.bytes, key.size) == 0)) {
    link = &(*link)->next;
  }
  return link;
}

static void unlink_entry(table_t *table, entry_t **link) {
  entry_t *entry = *link;
  *link = entry->next;
  free(entry);
  table->count--;
}

table_t *table_new(size_t keys) {
  table_t *table = allocate(sizeof *table);
  *table = (table_t){.chain_count = SWEEP_PARTS};
  while (table->chain_count < keys) {
    table->chain_count *= 2;
  }
  table->chains = allocate(table->chain_count * sizeof *table->chains);
  memset(table->chains, 0, table->chain_count * sizeof *table->chains);
  return table;
}

void table_clear(table_t *table) {
  for (size_t i = 0; i < table->chain_count; i++) {
    while (table->chains[i] != NULL) {
      unlink_entry(table, &table->chains[i]);
    }
  }
}

size_t table_count(const table_t *table) { return table->count; }

const entry_t *table_find(const table_t *table, slice_t key) { return *link_to(table, key); }

void table_put(table_t *table, slice_t key, slice_t value, SaTimeT expiry) {
  entry_t *entry = allocate(sizeof *entry + key.size + value.size);
  char *bytes = (char *)(entry + 1);
  memcpy(bytes, key.bytes, key.size);
  if (value.size > 0) {
    memcpy(bytes + key.size, value.bytes, value.size);
  }
  entry_t **link = link_to(table, key);
  if (*link != NULL) {
    unlink_entry(table, link);
  }
  *entry = (entry_t){*link, expiry, {bytes, key.size}, {bytes + key.size, value.size}};
  *link = entry;
  table->count++;
}

void table_set_expiry(table_t *table, slice_t key, SaTimeT expiry) {
  entry_t *entry = *link_to(table, key);
  if (entry != NULL) {
    entry->expiry = expiry;
  }
}

void table_remove(table_t *table, slice_t key) {
  entry_t **link = link_to(table, key);
  if (*link != NULL) {
    unlink_entry(table, link);
  }
}

void table_sweep(table_t *table, SaTimeT now) {
  for (size_t i = 0; i < table->chain_count / SWEEP_PARTS; i++) {
    entry_t **link = &table->chains[table->swept++ & (table->chain_count - 1)];
    while (*link != NULL) {
      if ((*link)->expiry <= now) {
        unlink_entry(table, link);
      } else {
        link = &(*link)->next;
      }
    }
  }
}
