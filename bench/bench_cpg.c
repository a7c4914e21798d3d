/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client of libcpg. See bench_between.h; bench_cpg_none.c stands in for it without corosync's libraries.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <corosync/cpg.h>

#include "bench/bench_between.h"
#include "bench/scene.h"

#define CPG_GROUP "vesta-bench"
#define CPG_BYTES 156U
#define CPG_LIMIT_MS 30000

struct bench_cpg {
  cpg_handle_t handle;
  struct pollfd ready;
  uint64_t delivered;
  uint32_t members, ring_members;
};

static void cpg_delivered(cpg_handle_t handle, const struct cpg_name *name, uint32_t node, uint32_t pid, void *bytes,
                          size_t size) {
  void *context = NULL;
  (void)name, (void)node, (void)pid, (void)bytes, (void)size;
  (void)cpg_context_get(handle, &context);
  ((bench_cpg_t *)context)->delivered++;
}

static void cpg_members(cpg_handle_t handle, const struct cpg_name *name, const struct cpg_address *members,
                        size_t member_count, const struct cpg_address *left, size_t left_count,
                        const struct cpg_address *joined, size_t joined_count) {
  void *context = NULL;
  (void)name, (void)members, (void)left, (void)left_count, (void)joined, (void)joined_count;
  (void)cpg_context_get(handle, &context);
  ((bench_cpg_t *)context)->members = (uint32_t)member_count;
}

static void cpg_ring(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t member_count, const uint32_t *members) {
  void *context = NULL;
  (void)ring, (void)members;
  (void)cpg_context_get(handle, &context);
  ((bench_cpg_t *)context)->ring_members = member_count;
}

static void cpg_take(bench_cpg_t *cpg) {
  if (poll(&cpg->ready, 1, CPG_LIMIT_MS) != 1) {
    scene_fail("corosync says nothing");
  }
  if (cpg_dispatch(cpg->handle, CS_DISPATCH_ALL) != CS_OK) {
    scene_fail("corosync is gone");
  }
}

bench_cpg_t *bench_cpg_new(const bench_nodes_t *nodes) {
  cpg_model_v1_data_t model = {.model = CPG_MODEL_V1,
                               .cpg_deliver_fn = cpg_delivered,
                               .cpg_confchg_fn = cpg_members,
                               .cpg_totem_confchg_fn = cpg_ring,
                               .flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF};
  struct cpg_name name = {.length = sizeof CPG_GROUP - 1};
  bench_cpg_t *cpg = calloc(1, sizeof *cpg);
  int fd = -1;
  memcpy(name.value, CPG_GROUP, sizeof CPG_GROUP - 1);
  bench_nodes_enter(nodes, 1);
  cs_error_t made = cpg_model_initialize(&cpg->handle, CPG_MODEL_V1, (cpg_model_data_t *)(void *)&model, cpg);
  bench_nodes_leave();
  if (made != CS_OK || cpg_fd_get(cpg->handle, &fd) != CS_OK || cpg_join(cpg->handle, &name) != CS_OK) {
    scene_fail("cannot join a group of corosync (%d)", (int)made);
  }
  cpg->ready = (struct pollfd){.fd = fd, .events = POLLIN};
  while (cpg->members == 0) {
    cpg_take(cpg);
  }
  return cpg;
}

void bench_cpg_destroy(bench_cpg_t **cpg) {
  if (*cpg != NULL) {
    (void)cpg_finalize((*cpg)->handle);
    free(*cpg);
    *cpg = NULL;
  }
}

void bench_cpg_block(void *context, int64_t duration_ns, bench_samples_t *samples) {
  bench_cpg_t *cpg = context;
  uint8_t bytes[CPG_BYTES] = {0};
  struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
  int64_t start_ns = scene_now_ns();
  int64_t now_ns = start_ns;
  while (now_ns < start_ns + duration_ns) {
    int64_t before_ns = now_ns;
    uint64_t before = cpg->delivered;
    cs_error_t sent;
    do {
      sent = cpg_mcast_joined(cpg->handle, CPG_TYPE_AGREED, &part, 1);
    } while (sent == CS_ERR_TRY_AGAIN);
    if (sent != CS_OK) {
      scene_fail("corosync takes no message");
    }
    while (cpg->delivered == before) {
      cpg_take(cpg);
    }
    now_ns = scene_now_ns();
    bench_samples_add(samples, (double)(now_ns - before_ns));
  }
}

void bench_cpg_wait_members(bench_cpg_t *cpg, uint32_t members) {
  while (cpg->ring_members < members) {
    cpg_take(cpg);
  }
}

int64_t bench_cpg_wait_loss(bench_cpg_t *cpg, uint32_t members) {
  while (cpg->ring_members >= members) {
    cpg_take(cpg);
  }
  return scene_now_ns();
}
