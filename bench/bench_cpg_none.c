/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Without corosync's libraries there is no group. See bench_between.h.
 */
#include "bench/bench_between.h"
#include "bench/scene.h"

bench_cpg_t *bench_cpg_new(const bench_nodes_t *nodes) {
  (void)nodes;
  return NULL;
}

void bench_cpg_destroy(bench_cpg_t **cpg) { (void)cpg; }

void bench_cpg_block(void *cpg, int64_t duration_ns, bench_samples_t *samples) {
  (void)cpg, (void)duration_ns, (void)samples;
  scene_fail("no corosync");
}

void bench_cpg_wait_members(bench_cpg_t *cpg, uint32_t members) { (void)cpg, (void)members; }

int64_t bench_cpg_wait_loss(bench_cpg_t *cpg, uint32_t members) {
  (void)cpg, (void)members;
  return scene_now_ns();
}
