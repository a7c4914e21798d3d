/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal over one file descriptor. Reading maps the file; writing goes through one buffer of the largest record.
 */
#include "daemon/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/log.h"

#define JOURNAL_MAGIC "VESTAJ1\n"
#define JOURNAL_MAGIC_BYTES 8U
#define JOURNAL_CHECKSUM_BYTES 8U
#define JOURNAL_AHEAD_BYTES (256ULL << 10) /* reserved beyond the end */
#define JOURNAL_PATH_BYTES 1200U
#define JOURNAL_RECORD_BYTES_MAX (WIRE_PREFIX_BYTES + VESTA_FRAME_HEAD_BYTES_MAX + JOURNAL_CHECKSUM_BYTES)

struct journal {
  char path[JOURNAL_PATH_BYTES];
  char new_path[JOURNAL_PATH_BYTES + 4];
  int fd;
  uint64_t size;
  uint64_t reserved; /* pages are certain up to here */
  uint64_t size_max;
  uint64_t rewritten_size; /* what the last rewrite, or attempt, left */
  uint8_t *record;
  journal_counters_t counters;
};

static uint64_t journal_checksum(const uint8_t *record, size_t size) { return XXH3_64bits(record, size); }

static void journal_u64_put(uint8_t *to, uint64_t value) {
  for (int i = 0; i < 8; i++) {
    to[i] = (uint8_t)(value >> (8 * i));
  }
}

static uint64_t journal_u64_get(const uint8_t *from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) {
    value |= (uint64_t)from[i] << (8 * i);
  }
  return value;
}

/* Write all of it at an offset, or leave the file as long as it was. */
static bool journal_write_at(int fd, uint64_t offset, const uint8_t *from, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t written = pwrite(fd, from + done, size - done, (off_t)(offset + done));
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      int why = errno;
      VESTA_ASSERT(ftruncate(fd, (off_t)offset) == 0); /* shorter always goes */
      errno = why;
      return false;
    }
    done += (size_t)written;
  }
  return true;
}

/* Encode into the record buffer. */
static vesta_err_t journal_encode(journal_t *journal, const wire_message_t *op, size_t *size) {
  size_t head;
  vesta_err_t err = wire_encode(op, journal->record + WIRE_PREFIX_BYTES, VESTA_FRAME_HEAD_BYTES_MAX, &head);
  if (err != VESTA_OK) {
    return err;
  }
  wire_prefix_encode(journal->record, (uint32_t)head, 0);
  size_t covered = WIRE_PREFIX_BYTES + head;
  journal_u64_put(journal->record + covered, journal_checksum(journal->record, covered));
  *size = covered + JOURNAL_CHECKSUM_BYTES;
  return VESTA_OK;
}

/* Reserve ahead. That it can't is no fault yet: the append will find out. */
static void journal_reserve(journal_t *journal, uint64_t end) {
  if (end > journal->reserved) {
    if (fallocate(journal->fd, FALLOC_FL_KEEP_SIZE, (off_t)journal->size,
                  (off_t)(end - journal->size + JOURNAL_AHEAD_BYTES)) == 0) {
      journal->reserved = end + JOURNAL_AHEAD_BYTES;
    }
  }
}

vesta_err_t journal_append(journal_t *journal, const wire_message_t *op) {
  size_t size;
  vesta_err_t err = journal_encode(journal, op, &size);
  if (err != VESTA_OK) {
    return err;
  }
  journal_reserve(journal, journal->size + size);
  if (!journal_write_at(journal->fd, journal->size, journal->record, size)) {
    journal->counters.append_failed++;
    journal->reserved = journal->size; /* cutting the file gave the pages ahead back */
    log_write(LOG_ID_JOURNAL_FULL, "path=%s bytes=%" PRIu64 " text=\"%s\"", journal->path, journal->size,
              strerror(errno));
    return VESTA_ERR_NO_SPACE;
  }
  journal->size += size;
  journal->counters.appended++;
  return VESTA_OK;
}

/* ---- start ---- */

typedef struct journal_scan {
  const uint8_t *bytes;
  uint64_t size;
  uint64_t good; /* up to here records are whole */
  bool torn;     /* what follows can be one record cut short */
} journal_scan_t;

/* The next record's head; false at the end of what is good. */
static bool journal_scan_next(journal_scan_t *scan, vesta_bytes_t *head) {
  uint64_t left = scan->size - scan->good;
  const uint8_t *at = scan->bytes + scan->good;
  uint32_t head_bytes = 0;
  uint32_t payload_bytes = 0;
  scan->torn = true;
  if (left < WIRE_PREFIX_BYTES) {
    return false;
  }
  if (wire_prefix_decode(at, &head_bytes, &payload_bytes) != VESTA_OK || payload_bytes != 0) {
    scan->torn = false;
    return false;
  }
  uint64_t covered = WIRE_PREFIX_BYTES + (uint64_t)head_bytes;
  if (left < covered + JOURNAL_CHECKSUM_BYTES) {
    return false;
  }
  if (journal_u64_get(at + covered) != journal_checksum(at, covered)) {
    scan->torn = left == covered + JOURNAL_CHECKSUM_BYTES;
    return false;
  }
  *head = vesta_bytes(at + WIRE_PREFIX_BYTES, head_bytes);
  scan->good += covered + JOURNAL_CHECKSUM_BYTES;
  return true;
}

static vesta_err_t journal_play(journal_t *journal, journal_scan_t *scan,
                                vesta_err_t (*restore)(void *context, const wire_message_t *op), void *context,
                                char *why, size_t why_size) {
  wire_decoder_t *decoder = wire_decoder_new();
  vesta_err_t err = decoder == NULL ? VESTA_ERR_NO_MEMORY : VESTA_OK;
  vesta_bytes_t head;
  while (err == VESTA_OK && journal_scan_next(scan, &head)) {
    wire_message_t op;
    err = wire_decode(decoder, head.data, head.size, &op);
    if (err == VESTA_OK) {
      err = restore(context, &op);
      journal->counters.restored++;
    }
  }
  wire_decoder_destroy(&decoder);
  if (err != VESTA_OK) {
    (void)snprintf(why, why_size, "%s: the operation that ends at byte %" PRIu64 " can't be played: %s", journal->path,
                   scan->good, vesta_err_text(err));
    return err;
  }
  if (scan->good < scan->size && !scan->torn) {
    (void)snprintf(why, why_size, "%s is damaged at byte %" PRIu64 " of %" PRIu64, journal->path, scan->good,
                   scan->size);
    return VESTA_ERR_MALFORMED;
  }
  return VESTA_OK;
}

/* Begin an empty file, or play the one that is there and cut its torn tail. */
static vesta_err_t journal_take_up(journal_t *journal, uint64_t size,
                                   vesta_err_t (*restore)(void *context, const wire_message_t *op), void *context,
                                   char *why, size_t why_size) {
  if (size < JOURNAL_MAGIC_BYTES) {
    if (ftruncate(journal->fd, 0) != 0 ||
        !journal_write_at(journal->fd, 0, (const uint8_t *)JOURNAL_MAGIC, JOURNAL_MAGIC_BYTES)) {
      (void)snprintf(why, why_size, "cannot begin %s: %s", journal->path, strerror(errno));
      return VESTA_ERR_NO_SPACE;
    }
    journal->size = JOURNAL_MAGIC_BYTES;
    return VESTA_OK;
  }
  uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, journal->fd, 0);
  if (bytes == MAP_FAILED) {
    (void)snprintf(why, why_size, "cannot map %s: %s", journal->path, strerror(errno));
    return VESTA_ERR_NO_MEMORY;
  }
  journal_scan_t scan = {.bytes = bytes, .size = size, .good = JOURNAL_MAGIC_BYTES};
  vesta_err_t err;
  if (memcmp(bytes, JOURNAL_MAGIC, JOURNAL_MAGIC_BYTES) != 0) {
    (void)snprintf(why, why_size, "%s is no journal of this version", journal->path);
    err = VESTA_ERR_MALFORMED;
  } else {
    err = journal_play(journal, &scan, restore, context, why, why_size);
  }
  VESTA_ASSERT(munmap(bytes, size) == 0);
  if (err != VESTA_OK) {
    return err;
  }
  journal->size = scan.good;
  journal->counters.torn_bytes = size - scan.good;
  if (scan.good < size) {
    log_write(LOG_ID_JOURNAL_TORN, "path=%s bytes=%" PRIu64, journal->path, size - scan.good);
    VESTA_ASSERT(ftruncate(journal->fd, (off_t)scan.good) == 0);
  }
  return VESTA_OK;
}

vesta_err_t journal_open(const char *directory, uint64_t size_max,
                         vesta_err_t (*restore)(void *context, const wire_message_t *op), void *context,
                         journal_t **out, char *why, size_t why_size) {
  journal_t *journal = calloc(1, sizeof *journal);
  uint8_t *record = malloc(JOURNAL_RECORD_BYTES_MAX);
  vesta_err_t err = VESTA_ERR_NO_MEMORY;
  struct stat status;
  if (journal == NULL || record == NULL) {
    (void)snprintf(why, why_size, "out of memory");
    free(journal);
    free(record);
    return err;
  }
  journal->record = record;
  journal->size_max = size_max;
  (void)snprintf(journal->path, sizeof journal->path, "%s/journal", directory);
  (void)snprintf(journal->new_path, sizeof journal->new_path, "%s.new", journal->path);
  (void)unlink(journal->new_path); /* a rewrite that was cut off */
  journal->fd = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (journal->fd < 0 || fstat(journal->fd, &status) != 0) {
    (void)snprintf(why, why_size, "cannot open %s: %s", journal->path, strerror(errno));
    err = VESTA_ERR_ACCESS;
  } else {
    err = journal_take_up(journal, (uint64_t)status.st_size, restore, context, why, why_size);
  }
  if (err != VESTA_OK) {
    journal_close(&journal);
    return err;
  }
  journal->rewritten_size = journal->size < size_max ? 0 : journal->size / 2;
  *out = journal;
  return VESTA_OK;
}

void journal_close(journal_t **journal) {
  if (*journal != NULL) {
    if ((*journal)->fd >= 0) {
      (void)close((*journal)->fd);
    }
    free((*journal)->record);
    free(*journal);
    *journal = NULL;
  }
}

/* ---- rewriting ---- */

bool journal_wants_rewrite(const journal_t *journal) {
  return journal->size > journal->size_max && journal->size > 2 * journal->rewritten_size;
}

typedef struct journal_copy {
  journal_t *journal;
  int fd;
  uint64_t size;
} journal_copy_t;

static bool journal_copy_emit(void *context, const wire_message_t *op) {
  journal_copy_t *copy = context;
  size_t size;
  if (journal_encode(copy->journal, op, &size) != VESTA_OK ||
      !journal_write_at(copy->fd, copy->size, copy->journal->record, size)) {
    return false;
  }
  copy->size += size;
  return true;
}

vesta_err_t journal_rewrite(journal_t *journal,
                            bool (*snapshot)(void *context, bool (*emit)(void *emit_context, const wire_message_t *op),
                                             void *emit_context),
                            void *context) {
  journal_copy_t copy = {.journal = journal, .size = JOURNAL_MAGIC_BYTES};
  copy.fd = open(journal->new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  vesta_err_t err = VESTA_OK;
  if (copy.fd < 0) {
    err = VESTA_ERR_ACCESS;
  } else if (!journal_write_at(copy.fd, 0, (const uint8_t *)JOURNAL_MAGIC, JOURNAL_MAGIC_BYTES) ||
             !snapshot(context, journal_copy_emit, &copy)) {
    err = VESTA_ERR_NO_SPACE;
  } else if (rename(journal->new_path, journal->path) != 0) {
    err = VESTA_ERR_ACCESS;
  }
  if (err != VESTA_OK) {
    log_write(LOG_ID_JOURNAL_REWRITE, "path=%s error=%s", journal->path, vesta_err_name(err));
    if (copy.fd >= 0) {
      (void)close(copy.fd);
      (void)unlink(journal->new_path);
    }
    journal->rewritten_size = journal->size;
    return err;
  }
  (void)close(journal->fd);
  journal->fd = copy.fd;
  journal->size = copy.size;
  journal->reserved = copy.size;
  journal->rewritten_size = copy.size;
  journal->counters.rewrites++;
  return VESTA_OK;
}

void journal_counters(const journal_t *journal, journal_counters_t *counters) {
  *counters = journal->counters;
  counters->bytes = journal->size;
}
