/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Values that can be checked, notes that survive their writer, and the verdict over a copy. See witness.h.
 */
#include "bench/witness.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/scene.h"

witness_t *witness_create(const char *path, const char *checkpoint, uint32_t sections, uint32_t section_bytes,
                          bool copies) {
  witness_t *witness = scene_share_create(path, sizeof *witness + sections * sizeof witness->notes[0]);
  (void)snprintf(witness->checkpoint, sizeof witness->checkpoint, "%s", checkpoint);
  witness->sections = sections;
  witness->section_bytes = section_bytes;
  witness->copies = copies;
  witness->writer = WITNESS_NOBODY;
  return witness;
}

witness_t *witness_open(const char *path) { return scene_share_open(path, NULL); }

int witness_notes_open(const char *path) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    scene_fail("cannot open %s", path);
  }
  return fd;
}

static void witness_note(int notes_fd, uint32_t section, size_t member, uint64_t number) {
  size_t at = offsetof(witness_t, notes) + section * sizeof(witness_note_t) + member;
  if (pwrite(notes_fd, &number, sizeof number, (off_t)at) != sizeof number) {
    scene_fail("cannot write a note");
  }
}

void witness_note_submitted(int notes_fd, uint32_t section, uint64_t number) {
  witness_note(notes_fd, section, offsetof(witness_note_t, submitted), number);
}

void witness_note_acknowledged(int notes_fd, uint32_t section, uint64_t number) {
  witness_note(notes_fd, section, offsetof(witness_note_t, acknowledged), number);
}

void witness_close(witness_t *witness) {
  (void)munmap(witness, sizeof *witness + witness->sections * sizeof witness->notes[0]);
}

uint16_t witness_id(uint32_t section, char id[WITNESS_ID_BYTES_MAX]) {
  return (uint16_t)snprintf(id, WITNESS_ID_BYTES_MAX, "section-%u", section);
}

/* splitmix64 */
static uint64_t witness_mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

/* It begins with its number; what follows depends on every bit of number and section. */
void witness_value(const witness_t *witness, uint32_t section, uint64_t number, uint8_t *value) {
  uint64_t word = number;
  uint64_t state = witness_mix(number) ^ section;
  for (uint32_t at = 0; at < witness->section_bytes; at += (uint32_t)sizeof word) {
    uint32_t left = witness->section_bytes - at;
    memcpy(value + at, &word, left < sizeof word ? left : sizeof word);
    state = witness_mix(state);
    word = state;
  }
}

/* ---- copies ---- */

typedef struct copy_record {
  uint16_t id_size;
  uint64_t size;
  uint8_t id[WITNESS_ID_BYTES_MAX];
  uint8_t data[WITNESS_SECTION_BYTES_MAX];
} copy_record_t;

void witness_copy_write(FILE *copy, const void *id, uint16_t id_size, const void *data, uint64_t size) {
  if (fwrite(&id_size, sizeof id_size, 1, copy) != 1 || fwrite(id, 1, id_size, copy) != id_size ||
      fwrite(&size, sizeof size, 1, copy) != 1 || fwrite(data, 1, size, copy) != size) {
    scene_fail("cannot write a copy");
  }
}

static bool copy_read(FILE *copy, copy_record_t *record) {
  if (fread(&record->id_size, sizeof record->id_size, 1, copy) != 1) {
    return false;
  }
  if (record->id_size > sizeof record->id || fread(record->id, 1, record->id_size, copy) != record->id_size ||
      fread(&record->size, sizeof record->size, 1, copy) != 1 || record->size > sizeof record->data ||
      fread(record->data, 1, record->size, copy) != record->size) {
    scene_fail("a copy holds what nobody could have written");
  }
  return true;
}

/* ---- the verdict ---- */

/* The section that an id names; false: none that could have been created. */
static bool witness_section(const witness_t *witness, const copy_record_t *record, uint32_t *section) {
  char text[WITNESS_ID_BYTES_MAX + 1] = {0};
  char id[WITNESS_ID_BYTES_MAX];
  memcpy(text, record->id, record->id_size);
  unsigned long number = strncmp(text, "section-", 8) == 0 ? strtoul(text + 8, NULL, 10) : witness->sections;
  if (number >= witness->sections || witness_id((uint32_t)number, id) != record->id_size ||
      memcmp(id, record->id, record->id_size) != 0) {
    return false;
  }
  *section = (uint32_t)number;
  return true;
}

static void witness_judge_section(witness_t *witness, uint32_t section, const copy_record_t *record,
                                  witness_verdict_t *verdict) {
  witness_note_t *note = &witness->notes[section];
  uint64_t number;
  uint8_t value[WITNESS_SECTION_BYTES_MAX];
  if (record->size != witness->section_bytes) {
    verdict->size++;
    return;
  }
  memcpy(&number, record->data, sizeof number);
  witness_value(witness, section, number, value);
  if (memcmp(value, record->data, record->size) != 0 || number > note->submitted) {
    verdict->foreign++;
  } else if (number != note->acknowledged && number != note->submitted) {
    verdict->older++;
  } else {
    if (note->submitted != note->acknowledged) {
      verdict->cut_kept += number == note->submitted;
      verdict->cut_dropped += number == note->acknowledged;
    }
    verdict->checked++;
    note->submitted = number;
    note->acknowledged = number;
  }
}

witness_verdict_t witness_judge(witness_t *witness, const char *copy_path) {
  witness_verdict_t verdict = {0};
  bool *seen = calloc(witness->sections, sizeof *seen);
  FILE *copy = fopen(copy_path, "re");
  copy_record_t record;
  if (seen == NULL || copy == NULL) {
    scene_fail("cannot read %s", copy_path);
  }
  while (copy_read(copy, &record)) {
    uint32_t section;
    if (!witness_section(witness, &record, &section) || seen[section] || witness->notes[section].submitted == 0) {
      verdict.extra++;
    } else {
      seen[section] = true;
      witness_judge_section(witness, section, &record, &verdict);
    }
  }
  for (uint32_t section = 0; section < witness->sections; section++) {
    verdict.missing += !seen[section] && witness->notes[section].acknowledged != 0;
  }
  (void)fclose(copy);
  free(seen);
  return verdict;
}

uint64_t witness_lost(const witness_verdict_t *verdict) {
  return verdict->missing + verdict->older + verdict->foreign + verdict->extra + verdict->size;
}
