/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What sections cost in memory, all told: the private memory of vestad (PSS of all its mappings but those of shared
 * memory) and the blocks that its replica directory takes in the tmpfs. A mapped page of a replica is in both the PSS
 * and the blocks: it is counted once, with the blocks. The log, bounded and the same however long the checkpoint is
 * used, is told apart.
 *
 * A daemon for each measurement, so that nothing of an earlier one is counted.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench_parts.h"
#include "bench/opener.h"
#include "bench/scene.h"
#include "core/replica_layout.h"

#define SECTIONS 100000U
#define QUICK_SECTIONS 1000U
#define SECTION_BYTES_MAX 1024U
#define ID_BYTES 32U
#define BLOCK_BYTES 512U

typedef struct memory_use {
  uint64_t private_bytes; /* of vestad */
  uint64_t replica_bytes; /* blocks of its files, without the log */
  uint64_t log_bytes;
} memory_use_t;

/* ---- measuring ---- */

/* A line "Name:  123 kB" of smaps_rollup. */
static uint64_t memory_field(const char *text, const char *name) {
  const char *line = strstr(text, name);
  return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) << 10;
}

static uint64_t memory_private(pid_t process) {
  char path[64];
  char text[4096];
  (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", process);
  FILE *file = fopen(path, "re");
  size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
  if (size == 0) {
    scene_fail("cannot read %s", path);
  }
  (void)fclose(file);
  text[size] = '\0';
  return memory_field(text, "\nPss:") - memory_field(text, "\nPss_Shmem:");
}

/* Bytes that a sparse file has between two offsets. */
static uint64_t memory_data_bytes(int fd, uint64_t from, uint64_t to) {
  uint64_t sum = 0;
  off_t at = (off_t)from;
  while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (uint64_t)at < to) {
    off_t end = lseek(fd, at, SEEK_HOLE);
    end = (uint64_t)end < to ? end : (off_t)to;
    sum += (uint64_t)(end - at);
    at = end;
  }
  return sum;
}

static void memory_of_file(int directory, const char *name, const replica_layout_t *layout, memory_use_t *use) {
  struct stat status;
  int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0) {
    scene_fail("cannot look at %s", name);
  }
  uint64_t blocks = (uint64_t)status.st_blocks * BLOCK_BYTES;
  uint64_t log = strncmp(name, "replica-", 8) == 0 ? memory_data_bytes(fd, layout->log_index_at, layout->slots_at) : 0;
  use->replica_bytes += blocks - log;
  use->log_bytes += log;
  (void)close(fd);
}

static memory_use_t memory_measure(const scene_t *scene, const replica_layout_t *layout) {
  memory_use_t use = {.private_bytes = memory_private(scene_daemon(scene))};
  char path[128];
  (void)snprintf(path, sizeof path, "%s/replicas", scene_dir(scene));
  DIR *directory = opendir(path);
  if (directory == NULL) {
    scene_fail("cannot look into %s", path);
  }
  for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    if (entry->d_type == DT_REG) {
      memory_of_file(dirfd(directory), entry->d_name, layout, &use);
    }
  }
  (void)closedir(directory);
  return use;
}

/* ---- filling ---- */

static replica_layout_t memory_layout(uint32_t sections) {
  replica_layout_t layout;
  const vesta_attributes_t attributes = {.creation_flags = VESTA_CREATE_ALL_REPLICAS,
                                         .checkpoint_bytes = (uint64_t)sections * SECTION_BYTES_MAX,
                                         .sections_max = sections,
                                         .section_bytes_max = SECTION_BYTES_MAX,
                                         .section_id_bytes_max = ID_BYTES};
  if (replica_layout_make(&attributes, &layout) != VESTA_OK) {
    scene_fail("no such geometry");
  }
  return layout;
}

/* @return payload over memory without the log */
static double memory_row(bench_context_t *bench, uint32_t sections, uint32_t bytes) {
  scene_t *scene = scene_open();
  opener_t opener = opener_create("bench-memory", sections, SECTION_BYTES_MAX, ID_BYTES);
  replica_layout_t layout = memory_layout(sections);
  static uint8_t payload[SECTION_BYTES_MAX];
  memset(payload, 0x5a, sizeof payload);
  for (uint32_t i = 0; i < sections; i++) {
    char id[ID_BYTES + 8];
    (void)snprintf(id, sizeof id, "section-with-an-id-of-32-%07u", i);
    opener_section_create(&opener, id, ID_BYTES, payload, bytes);
    if (i % 1000 == 0) {
      scene_pause(0);
    }
  }
  memory_use_t use = memory_measure(scene, &layout);
  double payload_bytes = (double)sections * bytes;
  double ratio = (double)(use.private_bytes + use.replica_bytes) / payload_bytes;
  (void)printf("  %8u x %4u B %10.1f %12.1f %10.1f %10.1f %8.2f\n", sections, bytes, payload_bytes / 1e6,
               (double)use.private_bytes / 1e6, (double)use.replica_bytes / 1e6, (double)use.log_bytes / 1e6, ratio);
  bench_report_add(&bench->report, "memory",
                   json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "sections", (json_int_t)sections, "section_bytes",
                             (json_int_t)bytes, "section_bytes_max", (json_int_t)SECTION_BYTES_MAX,
                             "daemon_private_bytes", (json_int_t)use.private_bytes, "replica_bytes",
                             (json_int_t)use.replica_bytes, "log_bytes", (json_int_t)use.log_bytes, "ratio", ratio));
  opener_close(&opener);
  scene_close(&scene);
  return ratio;
}

void bench_memory_part(bench_context_t *bench) {
  uint32_t sections = bench->quick ? QUICK_SECTIONS : SECTIONS;
  bench_report_title("memory in MB, maxSectionSize %u, ids of %u B\n  %17s %10s %12s %10s %10s %8s", SECTION_BYTES_MAX,
                     ID_BYTES, "", "payload", "of vestad", "replica", "log apart", "ratio");
  double full = memory_row(bench, sections, SECTION_BYTES_MAX);
  (void)memory_row(bench, sections, SECTION_BYTES_MAX / 2);
  (void)memory_row(bench, sections, 100);
  bench_report_target(&bench->report, "memory_over_payload", full, 1.3);
}
