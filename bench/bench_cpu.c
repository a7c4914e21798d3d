/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The scheduler's own count of each thread. See bench_cpu.h.
 */
#include "bench/bench_cpu.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

static int64_t cpu_thread_ns(const char *tasks, const char *thread) {
  char path[320];
  int64_t ran_ns = 0;
  (void)snprintf(path, sizeof path, "%s/%s/schedstat", tasks, thread);
  FILE *file = fopen(path, "re");
  if (file != NULL) {
    ran_ns = fscanf(file, "%" SCNd64, &ran_ns) == 1 ? ran_ns : 0;
    (void)fclose(file);
  }
  return ran_ns;
}

int64_t bench_cpu_ns(pid_t process) {
  char path[32];
  int64_t sum_ns = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/task", process);
  DIR *tasks = opendir(path);
  if (tasks == NULL) {
    return 0;
  }
  for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
    sum_ns += task->d_name[0] == '.' ? 0 : cpu_thread_ns(path, task->d_name);
  }
  (void)closedir(tasks);
  return sum_ns;
}
