/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See table.h. Chains are singly linked; a table is never more than full on average unless memory is short.
 */
#include "core/table.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TABLE_BUCKETS_FIRST 64U

bool table_init(table_t *table) {
  *table = (table_t){.buckets = calloc(TABLE_BUCKETS_FIRST, sizeof *table->buckets)};
  table->bucket_count = table->buckets == NULL ? 0 : TABLE_BUCKETS_FIRST; /* so that it may be walked all the same */
  return table->buckets != NULL;
}

void table_fini(table_t *table) {
  free(table->buckets);
  *table = (table_t){0};
}

static table_link_t **table_bucket(const table_t *table, uint64_t hash) {
  return &table->buckets[hash & (table->bucket_count - 1)];
}

static void table_grow(table_t *table) {
  table_t larger = {.bucket_count = table->bucket_count * 2, .count = table->count};
  larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
  if (larger.buckets == NULL) {
    return; /* chains get longer, that is all */
  }
  for (size_t i = 0; i < table->bucket_count; i++) {
    table_link_t *link = table->buckets[i];
    while (link != NULL) {
      table_link_t *next = link->next;
      table_link_t **bucket = table_bucket(&larger, link->hash);
      link->next = *bucket;
      *bucket = link;
      link = next;
    }
  }
  free(table->buckets);
  *table = larger;
}

void table_insert(table_t *table, table_link_t *link, uint64_t hash) {
  if (table->count >= table->bucket_count) {
    table_grow(table);
  }
  table_link_t **bucket = table_bucket(table, hash);
  link->hash = hash;
  link->next = *bucket;
  *bucket = link;
  table->count++;
}

void table_remove(table_t *table, table_link_t *link) {
  table_link_t **at = table_bucket(table, link->hash);
  while (*at != link) {
    at = &(*at)->next;
  }
  *at = link->next;
  link->next = NULL;
  table->count--;
}

static table_link_t *table_same_hash(table_link_t *link, uint64_t hash) {
  while (link != NULL && link->hash != hash) {
    link = link->next;
  }
  return link;
}

table_link_t *table_find(const table_t *table, uint64_t hash) {
  return table_same_hash(*table_bucket(table, hash), hash);
}

table_link_t *table_find_next(const table_link_t *link) { return table_same_hash(link->next, link->hash); }

table_link_t *table_each(const table_t *table, size_t *bucket, const table_link_t *link) {
  if (link != NULL && link->next != NULL) {
    return link->next;
  }
  if (link != NULL) {
    (*bucket)++;
  }
  while (*bucket < table->bucket_count && table->buckets[*bucket] == NULL) {
    (*bucket)++;
  }
  return *bucket < table->bucket_count ? table->buckets[*bucket] : NULL;
}

uint64_t table_hash_bytes(vesta_bytes_t bytes) { return XXH3_64bits(bytes.data, bytes.size); }
uint64_t table_hash_number(uint64_t number) { return XXH3_64bits(&number, sizeof number); }
