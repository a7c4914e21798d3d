/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an outside observer knows of a group's writes, so that it can judge a takeover without asking Vesta.
 *
 * One file: the writing process notes the number of each write before it calls the API (submitted) and after the API
 * said OK (acknowledged). A SIGKILL at any moment leaves the notes as they are. The notes are mapped by the observer
 * alone and written by pwrite(2): the kernel takes a dead process's memory down page by page before it tells anybody,
 * and the observer's notes are not to be part of the failover that it measures. Of each section the
 * value found after a takeover must be the newest acknowledged one, or the one submitted after it whose call was cut
 * off: nothing older (that would be a lost write), nothing else.
 *
 *   number   epoch of the writer's grant << 40 | its how-manieth write: unique, and rising from writer to writer
 *   value    section_bytes bytes that follow from section and number, so every byte of it can be checked
 *   copy     what a process says it has: a file of records `id size, id, size, data`, judged by the observer
 *
 * The same file carries what observer and members tell each other.
 */
#ifndef VESTA_BENCH_WITNESS_H
#define VESTA_BENCH_WITNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define WITNESS_MEMBERS_MAX 16U
#define WITNESS_NOBODY UINT32_MAX
#define WITNESS_SECTION_BYTES_MAX 4096U
#define WITNESS_ID_BYTES_MAX 32U
#define WITNESS_NAME_BYTES 64U

/* How far a member is. */
typedef enum witness_step {
  WITNESS_STARTING,
  WITNESS_STANDBY, /* joined */
  WITNESS_SYNCED,  /* and has everything there is */
  WITNESS_ACTIVE,  /* took over: its copy is written, if one was asked for */
  WITNESS_WRITING,
} witness_step_t;

typedef struct witness_member {
  _Atomic(witness_step_t) step;
  _Atomic int64_t active_ns;       /* when ACTIVE was handed to it */
  _Atomic uint64_t changes;        /* taken as standby */
  _Atomic uint64_t lag_operations; /* committed but not taken, a moment ago */
  _Atomic uint64_t resyncs;        /* LOST told */
} witness_member_t;

typedef struct witness_note {
  _Atomic uint64_t submitted, acknowledged; /* numbers; 0: none */
} witness_note_t;

typedef struct witness {
  /* set before anybody starts */
  char checkpoint[WITNESS_NAME_BYTES];
  uint32_t sections, section_bytes;
  bool copies; /* a new active writes down what it has */

  _Atomic uint32_t writer;       /* the member that may write; WITNESS_NOBODY: none */
  _Atomic uint64_t created;      /* sections so far */
  _Atomic uint64_t acknowledged; /* writes in all, creations included */
  _Atomic int64_t plain_ns;      /* how long open, iterate and read all took the process that did it */
  witness_member_t members[WITNESS_MEMBERS_MAX];
  witness_note_t notes[]; /* by section */
} witness_t;

/* What was found in a copy. */
typedef struct witness_verdict {
  uint64_t checked;               /* sections that are as they should be */
  uint64_t missing;               /* acknowledged, but not there */
  uint64_t older;                 /* a value before the newest acknowledged one */
  uint64_t foreign;               /* a value nobody submitted, or a damaged one */
  uint64_t extra;                 /* an id nobody created, or one twice */
  uint64_t size;                  /* another size than submitted */
  uint64_t cut_kept, cut_dropped; /* calls that the kill cut off: had their effect, had none */
} witness_verdict_t;

witness_t *witness_create(const char *path, const char *checkpoint, uint32_t sections, uint32_t section_bytes,
                          bool copies);
/** What stands before the notes is all that may be touched. */
witness_t *witness_open(const char *path);
/** For witness_note_...(). */
int witness_notes_open(const char *path);
void witness_note_submitted(int notes_fd, uint32_t section, uint64_t number);
void witness_note_acknowledged(int notes_fd, uint32_t section, uint64_t number);
void witness_close(witness_t *witness);

/** Text of a section's id. @return its size */
uint16_t witness_id(uint32_t section, char id[WITNESS_ID_BYTES_MAX]);
/** The value with this number, section_bytes of it. */
void witness_value(const witness_t *witness, uint32_t section, uint64_t number, uint8_t *value);

/** One record of a copy. */
void witness_copy_write(FILE *copy, const void *id, uint16_t id_size, const void *data, uint64_t size);

/**
 * Judge a copy while nobody writes. What was found is settled thereby: a write that was cut off and found dropped must
 * not turn up later.
 */
witness_verdict_t witness_judge(witness_t *witness, const char *copy_path);
/** Everything that is wrong in it, counted. */
uint64_t witness_lost(const witness_verdict_t *verdict);

#endif
