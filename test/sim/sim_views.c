/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sim_views.h. It looks into the order (core/order_state.h) for what an operator could not see: the digest of its
 * history at an index.
 */
#include "test/sim/sim_views.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/node_cluster.h"
#include "core/order_state.h"
#include "test/sim/sim_memory.h"
#include "test/sim/sim_model.h"
#include "test/sim/sim_world.h"

void sim_views_fini(sim_views_t *views) {
  free(views->digests);
  *views = (sim_views_t){0};
}

void sim_views_copy(sim_views_t *views, const sim_views_t *from) {
  *views = *from;
  views->digests = sim_memory_copy(from->digests, from->count * sizeof *from->digests);
}

/* ---- quorum ---- */

static void must_have_quorum(const sim_node_t *node) {
  sim_world_t *world = node->world;
  const order_t *order = node->node->cluster->order;
  if (!order_usable(order)) {
    return;
  }
  if (!order_ring_equal(order_view_ring(order), node->quorate)) {
    sim_fail(world, "QUORUM", "node %" PRIu32 " goes on in ring %" PRIu64 ", for which nobody said quorum", node->id,
             order_view_ring(order).seq);
  }
  uint32_t count = 0;
  (void)order_participants(order, &count);
  uint32_t dead = (uint32_t)__builtin_popcount(node->known_dead);
  bool half =
      2 * count == world->node_count && (world->plan.policy == ORDER_TRUST || count + dead >= world->node_count);
  if (2 * count <= world->node_count && !half) {
    sim_fail(world, "QUORUM", "node %" PRIu32 " goes on with %" PRIu32 " participants of %" PRIu32, node->id, count,
             world->node_count);
  }
}

/* ---- one order ---- */

static void must_agree(sim_node_t *node) {
  sim_world_t *world = node->world;
  sim_views_t *views = &node->side->views;
  const order_t *order = node->node->cluster->order;
  uint64_t applied = order_stable(order);
  if (applied >= views->count) {
    uint64_t count = 2 * applied + 64;
    views->digests = sim_memory_grow(views->digests, count * sizeof *views->digests);
    memset(views->digests + views->count, 0, (count - views->count) * sizeof *views->digests);
    views->count = count;
  }
  uint64_t digest = 0;
  for (uint64_t index = applied; index > 0 && order_history_digest(order->history, index, &digest); index--) {
    if (views->digests[index] == digest) {
      return; /* and so is what was before it */
    }
    if (views->digests[index] != 0) {
      sim_fail(world, "ONE-ORDER", "node %" PRIu32 " has applied another history than others had at index %" PRIu64,
               node->id, index);
    }
    views->digests[index] = digest;
  }
}

/* ---- versions ---- */

static void must_speak_low_enough(const sim_node_t *node) {
  const sim_world_t *world = node->world;
  const order_t *order = node->node->cluster->order;
  uint32_t count = 0;
  const uint32_t *nodes = order_participants(order, &count);
  for (uint32_t i = 0; i < count; i++) {
    if (order_version(order) > world->plan.version_max[nodes[i] - 1]) {
      sim_fail((sim_world_t *)(uintptr_t)world, "VERSION",
               "node %" PRIu32 " speaks version %" PRIu32 ", which participant %" PRIu32 " does not", node->id,
               order_version(order), nodes[i]);
    }
  }
}

const char *sim_views_restless(sim_world_t *world) {
  uint32_t all = UINT32_MAX;
  for (uint32_t i = 0; i < world->node_count; i++) {
    all = world->plan.version_max[i] < all ? world->plan.version_max[i] : all;
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    uint32_t version = order_version(world->nodes[i].node->cluster->order);
    if (version != all) {
      return sim_restless(world, "node %" PRIu32 " speaks version %" PRIu32 ", and all can speak %" PRIu32, i + 1,
                          version, all);
    }
  }
  return NULL;
}

void sim_views_step(sim_node_t *node) {
  must_have_quorum(node);
  must_agree(node);
  sim_model_step(node);
  must_speak_low_enough(node);
}

/* ---- the journal ---- */

static bool rows_take(void *context, const wire_message_t *row) {
  sim_journal_add(context, row);
  return true;
}

static sim_journal_t rows_of(const node_t *node) {
  sim_journal_t rows = {0};
  bool whole = directory_snapshot(node->directory, rows_take, &rows);
  VESTA_ASSERT(whole);
  sim_journal_sort(&rows);
  return rows;
}

/* A node that has read the journal applies what it has of it, as far as the other one has applied. */
static vesta_err_t catch_up(node_t *node, uint64_t upto) {
  order_t *order = node->cluster->order;
  while (order->applied < upto && order->applied < order->history->last) {
    const wire_message_t *op = order_history_at(order->history, order->applied + 1)->message;
    if (!order->config.sink.stable(order->config.sink.context, op, order->applied + 1)) {
      return VESTA_ERR_NO_MEMORY;
    }
    order->applied++;
  }
  return VESTA_OK;
}

static void must_be_in_journal(sim_node_t *node, const node_t *other) {
  sim_world_t *world = node->world;
  const order_t *here = node->node->cluster->order, *there = other->cluster->order;
  if (there->term != here->term || there->promised != here->promised || there->history->last != here->history->last ||
      order_history_digest_last(there->history) != order_history_digest_last(here->history)) {
    sim_fail(world, "JOURNAL",
             "node %" PRIu32 " is in term %" PRIu64 ", has promised %" PRIu64 " and delivered %" PRIu64
             ", its journal says %" PRIu64 ", %" PRIu64 ", %" PRIu64,
             node->id, here->term, here->promised, here->history->last, there->term, there->promised,
             there->history->last);
  }
  if (there->applied != here->applied) {
    return; /* what it knows to be stable it may not apply now: quorum is lost, or memory is short */
  }
  sim_journal_t mine = rows_of(node->node), read = rows_of(other);
  if (!sim_journal_equal(&mine, &read)) {
    sim_fail(world, "JOURNAL",
             "the journal of node %" PRIu32 " gives another directory: %" PRIu32 " rows, not %" PRIu32, node->id,
             read.count, mine.count);
  }
  sim_journal_fini(&mine);
  sim_journal_fini(&read);
}

void sim_views_compare(sim_node_t *node) {
  sim_world_t *world = node->world;
  if (node->journal_broken || node->blank) {
    return; /* it is written anew before the node joins again; there is none */
  }
  node_t *other = NULL;
  sim_disk_t empty;
  sim_disk_init(&empty, &world->random, &world->story);
  node_config_t config = {.node_id = node->id,
                          .clustered = true,
                          .incarnation = 1,
                          .random = 1,
                          .version_min = 1,
                          .version_max = 1,
                          .storage = sim_disk_storage(&empty)};
  vesta_err_t err = node_new(&config, &other);
  for (uint32_t i = 0; err == VESTA_OK && i < node->disk.journal.count; i++) {
    wire_message_t op;
    vesta_bytes_t bytes = node->disk.journal.ops[i];
    err = wire_decode(node->decoder, bytes.data, bytes.size, &op);
    err = err == VESTA_OK ? node_restore(other, &op) : err;
  }
  err = err == VESTA_OK ? catch_up(other, order_stable(node->node->cluster->order)) : err;
  if (err != VESTA_OK) {
    sim_fail(world, "JOURNAL", "the journal of node %" PRIu32 " can't be read: %s", node->id, vesta_err_name(err));
  }
  must_be_in_journal(node, other);
  node_destroy(&other);
  sim_disk_fini(&empty);
}
