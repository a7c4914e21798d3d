/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A replica in memory for the replica tests: its region, a storage that is strict, and its state as text.
 *
 * Pages that are not reserved cannot be touched at all (PROT_NONE), so a store into memory that was not reserved, or
 * that was given back, ends the test. Reserving can be told to fail at its n-th call.
 *
 * fixture_dump() writes down everything a caller can see, so that two replicas, or one at two moments, can be compared.
 */
#ifndef VESTA_TEST_UNIT_REPLICA_FIXTURE_H
#define VESTA_TEST_UNIT_REPLICA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/replica.h"

#define PAGE_BYTES 4096U
#define NOW INT64_C(1000000)

/* The pages of one region. */
typedef struct pages {
  uint8_t *region;
  uint64_t size;
  uint8_t *reserved; /* one byte a page; NULL for regions that are too large for it */
  uint64_t reserve_calls;
  uint64_t fail_at;        /* the reserve call, counted from 1, that fails; 0: none */
  uint64_t reserved_count; /* pages */
} pages_t;

typedef struct fixture {
  pages_t pages;
  replica_storage_t storage;
  replica_t *replica;
  vesta_attributes_t attributes;
} fixture_t;

static inline vesta_bytes_t text(const char *s) { return vesta_bytes(s, strlen(s)); }

static inline vesta_err_t pages_reserve(void *context, uint64_t offset, uint64_t size) {
  pages_t *pages = context;
  assert_true(offset % PAGE_BYTES == 0 && size > 0 && offset + size <= pages->size);
  pages->reserve_calls++;
  if (pages->reserve_calls == pages->fail_at) {
    return VESTA_ERR_NO_SPACE;
  }
  uint64_t end = (offset + size + PAGE_BYTES - 1) / PAGE_BYTES;
  for (uint64_t page = offset / PAGE_BYTES; page < end && pages->reserved != NULL; page++) {
    pages->reserved_count += pages->reserved[page] == 0 ? 1 : 0;
    pages->reserved[page] = 1;
  }
  assert_int_equal(mprotect(pages->region + offset, end * PAGE_BYTES - offset, PROT_READ | PROT_WRITE), 0);
  return VESTA_OK;
}

static inline void pages_release(void *context, uint64_t offset, uint64_t size) {
  pages_t *pages = context;
  assert_true(offset % PAGE_BYTES == 0 && size % PAGE_BYTES == 0 && size > 0 && offset + size <= pages->size);
  for (uint64_t page = offset / PAGE_BYTES; page < (offset + size) / PAGE_BYTES && pages->reserved != NULL; page++) {
    pages->reserved_count -= pages->reserved[page];
    pages->reserved[page] = 0;
  }
  assert_int_equal(madvise(pages->region + offset, size, MADV_DONTNEED), 0);
  assert_int_equal(mprotect(pages->region + offset, size, PROT_NONE), 0);
}

static inline void pages_open(pages_t *pages, uint64_t size, bool is_mapped_by_page) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  *pages = (pages_t){.size = size};
  pages->region = mmap(NULL, size, PROT_NONE, flags, -1, 0);
  assert_true(pages->region != MAP_FAILED);
  if (is_mapped_by_page) {
    pages->reserved = calloc(1, size / PAGE_BYTES);
    assert_non_null(pages->reserved);
  }
}

static inline void pages_close(pages_t *pages) {
  munmap(pages->region, pages->size);
  free(pages->reserved);
}

/* Make `to` what `from` is now: the same pages reserved, with the same content. */
static inline void pages_copy(const pages_t *from, pages_t *to) {
  assert_int_equal(from->size, to->size);
  uint64_t count = from->size / PAGE_BYTES;
  for (uint64_t page = 0; page < count;) {
    uint64_t end = page;
    while (end < count && from->reserved[end] == from->reserved[page] && to->reserved[end] == to->reserved[page]) {
      end++;
    }
    uint64_t at = page * PAGE_BYTES;
    uint64_t size = (end - page) * PAGE_BYTES;
    if (from->reserved[page] != 0) {
      if (to->reserved[page] == 0) {
        assert_int_equal(mprotect(to->region + at, size, PROT_READ | PROT_WRITE), 0);
      }
      memcpy(to->region + at, from->region + at, size);
    } else if (to->reserved[page] != 0) {
      assert_int_equal(madvise(to->region + at, size, MADV_DONTNEED), 0);
      assert_int_equal(mprotect(to->region + at, size, PROT_NONE), 0);
    }
    memcpy(to->reserved + page, from->reserved + page, end - page);
    page = end;
  }
  to->reserved_count = from->reserved_count;
}

static inline vesta_attributes_t attributes_of(uint32_t sections_max, uint64_t section_bytes_max,
                                               uint32_t section_id_bytes_max) {
  return (vesta_attributes_t){
      .creation_flags = VESTA_CREATE_ALL_REPLICAS,
      .checkpoint_bytes = sections_max * section_bytes_max,
      .retention_ns = 77,
      .sections_max = sections_max,
      .section_bytes_max = section_bytes_max,
      .section_id_bytes_max = section_id_bytes_max,
  };
}

static inline void fixture_open(fixture_t *f, uint32_t sections_max, uint64_t section_bytes_max,
                                uint32_t section_id_bytes_max) {
  uint64_t size = 0;
  memset(f, 0, sizeof *f);
  f->attributes = attributes_of(sections_max, section_bytes_max, section_id_bytes_max);
  assert_int_equal(replica_region_size(&f->attributes, &size), VESTA_OK);
  pages_open(&f->pages, size, size < (UINT64_C(1) << 34));
  f->storage = (replica_storage_t){.context = &f->pages, .reserve = pages_reserve, .release = pages_release};
  replica_identity_t identity = {
      .checkpoint_id = 42, .lineage = 4711, .name = text("a checkpoint"), .attributes = f->attributes};
  assert_int_equal(replica_format(f->pages.region, size, &identity, &f->storage, NOW, &f->replica), VESTA_OK);
}

static inline void fixture_close(fixture_t *f) {
  replica_destroy(&f->replica);
  pages_close(&f->pages);
}

/* As if the process had been killed and started again. */
static inline void fixture_restart(fixture_t *f) {
  replica_destroy(&f->replica);
  assert_int_equal(replica_recover(f->pages.region, f->pages.size, &f->storage, &f->replica), VESTA_OK);
  assert_true(replica_check(f->replica));
}

/* ---- operations in one line ---- */

static inline replica_element_t create(const char *id, const char *data) {
  return (replica_element_t){
      .kind = VESTA_KIND_CREATED, .id = text(id), .data = text(data), .expiry_ns = VESTA_TIME_END};
}
static inline replica_element_t create_until(const char *id, const char *data, int64_t expiry_ns) {
  return (replica_element_t){.kind = VESTA_KIND_CREATED, .id = text(id), .data = text(data), .expiry_ns = expiry_ns};
}
static inline replica_element_t write_at(const char *id, uint64_t offset, const char *data) {
  return (replica_element_t){.kind = VESTA_KIND_WRITTEN, .id = text(id), .offset = offset, .data = text(data)};
}
static inline replica_element_t overwrite(const char *id, const char *data) {
  return (replica_element_t){.kind = VESTA_KIND_OVERWRITTEN, .id = text(id), .data = text(data)};
}
static inline replica_element_t overwrite_bytes(const char *id, const void *data, size_t size) {
  return (replica_element_t){.kind = VESTA_KIND_OVERWRITTEN, .id = text(id), .data = vesta_bytes(data, size)};
}
static inline replica_element_t delete_of(const char *id) {
  return (replica_element_t){.kind = VESTA_KIND_DELETED, .id = text(id)};
}
static inline replica_element_t expired(const char *id) {
  return (replica_element_t){.kind = VESTA_KIND_EXPIRED, .id = text(id)};
}
static inline replica_element_t expiry_set(const char *id, int64_t expiry_ns) {
  return (replica_element_t){.kind = VESTA_KIND_EXPIRY_SET, .id = text(id), .expiry_ns = expiry_ns};
}
static inline replica_element_t epoch_to(uint64_t epoch, uint64_t member) {
  return (replica_element_t){.kind = VESTA_KIND_EPOCH, .epoch = epoch, .member = member};
}
static inline replica_element_t of_kind(vesta_kind_t kind, int64_t expiry_ns) {
  return (replica_element_t){.kind = kind, .expiry_ns = expiry_ns};
}

/* The elements of a literal list. */
#define ELEMENTS(...) \
  (const replica_element_t[]){__VA_ARGS__}, (sizeof((replica_element_t[]){__VA_ARGS__}) / sizeof(replica_element_t))

static inline replica_op_t op_of(const replica_element_t *elements, size_t count) {
  return (replica_op_t){.time_ns = NOW, .elements = elements, .element_count = (uint32_t)count};
}

static inline vesta_err_t apply(fixture_t *f, const replica_element_t *elements, size_t count,
                                replica_result_t *result) {
  replica_op_t op = op_of(elements, count);
  return replica_apply(f->replica, &op, result);
}

static inline void must_apply(fixture_t *f, const replica_element_t *elements, size_t count) {
  replica_result_t result;
  assert_int_equal(apply(f, elements, count, &result), VESTA_OK);
}

/* Refused, with this code and element, and nothing is different. */
static inline void must_refuse(fixture_t *f, vesta_err_t code, uint32_t element, const replica_element_t *elements,
                               size_t count);

/* ---- everything that can be seen, as text ---- */

typedef struct dump {
  char *text;
  size_t size;
  uint64_t history_first;
} dump_t;

static inline uint64_t digest(const void *data, size_t size) {
  const uint8_t *bytes = data;
  uint64_t d = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < size; i++) {
    d = (d ^ bytes[i]) * UINT64_C(1099511628211);
  }
  return d;
}

static inline void dump_bytes(FILE *out, vesta_bytes_t bytes) {
  for (size_t i = 0; i < bytes.size && i < 24; i++) {
    fprintf(out, "%02x", bytes.data[i]);
  }
  fprintf(out, "(%zu,%llx)", bytes.size, (unsigned long long)digest(bytes.data, bytes.size));
}

static inline void dump_record(FILE *out, replica_record_t *record) {
  fprintf(out, "record %llu.%llu time=%lld session=%llx request=%llu elements=%u", (unsigned long long)record->epoch,
          (unsigned long long)record->seq, (long long)record->time_ns, (unsigned long long)record->session.lo,
          (unsigned long long)record->request, record->element_count);
  replica_change_t change;
  while (replica_record_next(record, &change)) {
    fprintf(out, " [%d slot=%u offset=%llu expiry=%lld epoch=%llu member=%llu id=", (int)change.element.kind,
            change.slot, (unsigned long long)change.element.offset, (long long)change.element.expiry_ns,
            (unsigned long long)change.element.epoch, (unsigned long long)change.element.member);
    dump_bytes(out, change.element.id);
    fprintf(out, " data=");
    dump_bytes(out, change.element.data);
    fprintf(out, "]");
  }
  fprintf(out, "\n");
}

static inline void dump_sections(FILE *out, const replica_t *replica) {
  replica_section_t s;
  for (uint32_t slot = 0; replica_slot_next(replica, slot, UINT32_MAX, &s); slot = s.slot + 1) {
    fprintf(out, "section %u expiry=%lld update=%lld at=%llu.%llu created=%llu id=", s.slot, (long long)s.expiry_ns,
            (long long)s.last_update_ns, (unsigned long long)s.epoch, (unsigned long long)s.seq,
            (unsigned long long)s.created_seq);
    dump_bytes(out, s.id);
    fprintf(out, " data=");
    dump_bytes(out, vesta_bytes(s.data, s.size));
    fprintf(out, "\n");
  }
  int64_t expiry_ns = replica_expiry_next(replica, &s);
  fprintf(out, "expires %lld\n", (long long)expiry_ns);
}

static inline void dump_sessions(FILE *out, const replica_t *replica) {
  vesta_token_t tokens[8];
  uint32_t count = replica_sessions(replica, tokens, 8);
  for (uint32_t i = 0; i < count; i++) {
    fprintf(out, "session %llx", (unsigned long long)tokens[i].lo);
    for (uint64_t request = 1; request <= 3 * VESTA_SESSION_WINDOW; request++) {
      replica_result_t r;
      if (replica_request_find(replica, tokens[i], request, &r) == VESTA_OK) {
        fprintf(out, " %llu:%llu:%.*s", (unsigned long long)request, (unsigned long long)r.seq,
                (int)r.generated_id_size, (const char *)r.generated_id);
      }
    }
    fprintf(out, "\n");
  }
}

static inline dump_t fixture_dump(const replica_t *replica) {
  dump_t dump = {0};
  FILE *out = open_memstream(&dump.text, &dump.size);
  assert_non_null(out);
  replica_status_t s;
  replica_status(replica, &s);
  dump.history_first = s.history_first;
  fprintf(out, "at %llu.%llu prepared=%llu sections=%u bytes=%llu retention=%lld unlinked=%d member=%llu from=%llu\n",
          (unsigned long long)s.committed.epoch, (unsigned long long)s.committed.seq,
          (unsigned long long)s.prepared_seq, s.section_count, (unsigned long long)s.data_bytes,
          (long long)s.retention_ns, s.unlinked, (unsigned long long)s.granted_member,
          (unsigned long long)s.tombstones_from);
  vesta_epoch_row_t rows[VESTA_EPOCHS_MAX];
  uint32_t row_count = replica_epochs(replica, rows, VESTA_EPOCHS_MAX);
  fprintf(out, "epochs %u %llx\n", row_count, (unsigned long long)digest(rows, row_count * sizeof rows[0]));
  dump_sections(out, replica);
  dump_sessions(out, replica);
  uint64_t cursor = 0;
  uint64_t epoch = 0;
  uint64_t seq = 0;
  vesta_bytes_t id;
  while (replica_tombstone_next(replica, 0, &cursor, &id, &epoch, &seq)) {
    fprintf(out, "tombstone %llu.%llu %llx\n", (unsigned long long)epoch, (unsigned long long)seq,
            (unsigned long long)digest(id.data, id.size));
  }
  fclose(out);
  return dump;
}

static inline void dump_free(dump_t *dump) { free(dump->text); }

static inline void must_refuse(fixture_t *f, vesta_err_t code, uint32_t element, const replica_element_t *elements,
                               size_t count) {
  dump_t before = fixture_dump(f->replica);
  replica_result_t result;
  assert_int_equal(apply(f, elements, count, &result), code);
  assert_int_equal(result.element, element);
  dump_t after = fixture_dump(f->replica);
  assert_string_equal(after.text, before.text);
  assert_int_equal(after.history_first, before.history_first);
  assert_true(replica_check(f->replica));
  dump_free(&before);
  dump_free(&after);
}

/* The section's data is this text. */
static inline void must_read(const fixture_t *f, const char *id, const char *data) {
  replica_section_t s;
  assert_true(replica_find(f->replica, text(id), NOW, &s));
  assert_int_equal(s.size, strlen(data));
  assert_memory_equal(s.data, data, s.size);
}
static inline void must_not_find(const fixture_t *f, const char *id) {
  replica_section_t s;
  assert_false(replica_find(f->replica, text(id), NOW, &s));
}

#endif
