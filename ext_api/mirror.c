/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vesta_mirror_...: a stream, and the table (mirror_table.h) that its changes build.
 *
 * A change goes into the table before it is handed out. If there is no memory for that it is kept (`pending`) and tried
 * again by the next call, since nothing else may come before it.
 *
 * Verifying: the service's hash of its content comes in the stream, at the position that it is of. So nothing has to be
 * held back or remembered to compare at the same position: whenever it is taken, in vesta_mirror_next() as well as in
 * vesta_mirror_verify(), the table is there.
 *
 *   IDLE --verify()--> HASHING, all but what will change --asked for--> ASKED --NOTIFY_HASH--> EQUAL or DIFFERS
 *     ^                                                                                               |
 *     +---------------------------------------- told by verify() -------------------------------------+
 */
#include "ext_api/mirror.h"

#include "ext_api/mirror_table.h"
#include "notify/zmq/stream_subscriber.h"
#include "saf_api/agent_clock.h"

#include <stdlib.h>

#define MIRROR_LAGGING_NS (2 * SA_TIME_ONE_SECOND)
#define MIRROR_HASH_PIECE_BYTES (4ULL << 20) /* between two looks at the clock */
#define MIRROR_SCRUB_PARTS 32U               /* each time one of so many parts is hashed although it did not change */

typedef enum mirror_verifying {
  MIRROR_IDLE,
  MIRROR_HASHING,
  MIRROR_ASKED,
  MIRROR_EQUAL,
  MIRROR_DIFFERS,
} mirror_verifying_t;

struct vesta_mirror {
  vesta_stream_t *stream;
  mirror_table_t *table;
  notify_change_t pending;
  bool has_pending;
  bool of_pair;
  bool filtered; /* it has a part of the sections */
  bool diverged; /* what is there is not the service's, or of another history, until the next resync has ended */
  bool corrupt;  /* ... and not what changes were made to; until that has begun */
  bool gone;
  bool broken;             /* a change could not follow what is there */
  int64_t applied_time_ns; /* wall clock at the commit of the last change applied */
  mirror_verifying_t verifying;
  vesta_pos_t verified; /* the table was the service's content there */
};

vesta_stream_t *mirror_stream(vesta_mirror_t *mirror) { return mirror->stream; }

/* ---- taking changes ---- */

/* The service's hash: the table is at its very position. */
static vesta_err_t mirror_compare(vesta_mirror_t *mirror, const notify_change_t *change) {
  content_hash_t own;
  content_hash_t service;
  if (mirror->verifying != MIRROR_ASKED) {
    return VESTA_OK;
  }
  vesta_err_t err = mirror_table_hash(mirror->table, UINT64_MAX, &own);
  if (err != VESTA_OK) {
    return err;
  }
  bool equal = content_hash_read(change->data, &service) && content_hash_equal(own, service) &&
               mirror_table_count(mirror->table) == change->offset;
  mirror->verifying = equal ? MIRROR_EQUAL : MIRROR_DIFFERS;
  mirror->verified = equal ? change->position : (vesta_pos_t){0};
  if (!equal) {
    mirror->diverged = true;
    mirror->corrupt = true;
    stream_resync(mirror->stream);
  }
  return VESTA_OK;
}

static vesta_err_t mirror_accept(vesta_mirror_t *mirror, const notify_change_t *change) {
  vesta_err_t err;
  switch (change->kind) {
    case NOTIFY_HASH: return mirror_compare(mirror, change);
    case NOTIFY_RESYNC_BEGIN:
      err = mirror_table_resync_begin(mirror->table, change->full);
      mirror->corrupt = mirror->corrupt && err != VESTA_OK;
      return err;
    case NOTIFY_RESYNC_END:
      mirror_table_resync_end(mirror->table);
      mirror->diverged = false;
      return VESTA_OK;
    case NOTIFY_LOST:
      mirror_table_resync_abort(mirror->table);
      mirror->diverged = change->reason == VESTA_ERR_DIVERGED || change->reason == VESTA_ERR_MALFORMED;
      return VESTA_OK;
    case NOTIFY_GONE: mirror->gone = true; return VESTA_OK;
    default: /* changes of sections, and what does not concern the table; `kind` is a number, not the enum */
      if (change->time_ns != 0 && !change->resync) {
        mirror->applied_time_ns = change->time_ns;
      }
      err = mirror_table_apply(mirror->table, change);
      return mirror->corrupt && err == VESTA_ERR_MALFORMED ? VESTA_OK : err; /* what it should follow was lost */
  }
}

SaAisErrorT mirror_try(vesta_mirror_t *mirror, notify_change_t *change) {
  if (mirror->broken) {
    return SA_AIS_ERR_LIBRARY;
  }
  do {
    if (!mirror->has_pending) {
      SaAisErrorT error = stream_try(mirror->stream, &mirror->pending);
      if (error != SA_AIS_OK) {
        return error;
      }
      mirror->has_pending = true;
    }
    vesta_err_t err = mirror_accept(mirror, &mirror->pending);
    if (err == VESTA_ERR_NO_MEMORY) {
      return SA_AIS_ERR_NO_MEMORY;
    }
    mirror->has_pending = false;
    mirror->broken = err != VESTA_OK;
  } while (!mirror->broken && mirror->pending.kind == NOTIFY_HASH); /* which is not for the application */
  *change = mirror->pending;
  return mirror->broken ? SA_AIS_ERR_LIBRARY : SA_AIS_OK;
}

SaAisErrorT vesta_mirror_next(vesta_mirror_t *mirror, SaTimeT timeout, vesta_change_t *change) {
  if (mirror == NULL || change == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (mirror->of_pair) {
    return SA_AIS_ERR_BAD_OPERATION;
  }
  int64_t deadline_ns = stream_deadline_ns(timeout);
  notify_change_t taken;
  SaAisErrorT error;
  do {
    error = mirror_try(mirror, &taken);
  } while (error == SA_AIS_ERR_TIMEOUT && stream_wait(mirror->stream, deadline_ns));
  if (error == SA_AIS_OK) {
    stream_change(&taken, change);
  }
  return error;
}

/* ---- the table ---- */

SaAisErrorT vesta_mirror_get(vesta_mirror_t *mirror, const SaCkptSectionIdT *id, const void **data, SaSizeT *size) {
  if (mirror == NULL || id == NULL || (id->id == NULL && id->idLen > 0) || data == NULL || size == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  mirror_entry_t entry;
  if (!mirror_table_get(mirror->table, vesta_bytes(id->id, id->idLen), &entry)) {
    return SA_AIS_ERR_NOT_EXIST;
  }
  *data = entry.data.size == 0 ? NULL : entry.data.data;
  *size = entry.data.size;
  return SA_AIS_OK;
}

typedef struct mirror_visit {
  vesta_visit_t visit;
  void *context;
} mirror_visit_t;

static bool mirror_visit_entry(void *context, const mirror_entry_t *entry) {
  const mirror_visit_t *visit = context;
  vesta_section_t section = {.data = entry->data.size == 0 ? NULL : entry->data.data,
                             .size = entry->data.size,
                             .expiry = entry->expiry_ns,
                             .time = entry->time_ns};
  section.id.idLen = (SaUint16T)entry->id.size;
  section.id.id = (SaUint8T *)entry->id.data; /* the standard's type has no const */
  return visit->visit(visit->context, &section) != SA_FALSE;
}

SaAisErrorT vesta_mirror_each(vesta_mirror_t *mirror, vesta_visit_t visit, void *context) {
  if (mirror == NULL || visit == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  mirror_visit_t both = {.visit = visit, .context = context};
  mirror_table_each(mirror->table, mirror_visit_entry, &both);
  return SA_AIS_OK;
}

SaSizeT vesta_mirror_count(const vesta_mirror_t *mirror) {
  return mirror == NULL ? 0 : mirror_table_count(mirror->table);
}

/* ---- verifying ---- */

/* Hash what is there, so that little is left to hash when the service's comes, and ask for that. */
static SaAisErrorT mirror_hash_ahead(vesta_mirror_t *mirror, int64_t deadline_ns) {
  content_hash_t hash;
  vesta_err_t err;
  while ((err = mirror_table_hash(mirror->table, MIRROR_HASH_PIECE_BYTES, &hash)) == VESTA_ERR_TRY_AGAIN) {
    if (deadline_ns != INT64_MAX && stream_steady_ns() >= deadline_ns) {
      return SA_AIS_ERR_TIMEOUT;
    }
  }
  if (err != VESTA_OK) {
    return SA_AIS_ERR_NO_MEMORY;
  }
  mirror->verifying = MIRROR_ASKED;
  stream_want_hash(mirror->stream);
  return SA_AIS_OK;
}

/* The service's hash, if it is next. */
static SaAisErrorT mirror_try_hash(vesta_mirror_t *mirror) {
  if (mirror->has_pending) {
    return SA_AIS_ERR_TRY_AGAIN;
  }
  SaAisErrorT error = stream_try_hash(mirror->stream, &mirror->pending);
  if (error == SA_AIS_OK) {
    mirror->has_pending = mirror_accept(mirror, &mirror->pending) != VESTA_OK;
    return mirror->has_pending ? SA_AIS_ERR_NO_MEMORY : SA_AIS_OK;
  }
  SaAisErrorT refusal = stream_hash_refusal(mirror->stream);
  if (error == SA_AIS_ERR_TIMEOUT && refusal != SA_AIS_OK) {
    mirror->verifying = MIRROR_IDLE;
    return refusal;
  }
  return error;
}

static SaAisErrorT mirror_await_hash(vesta_mirror_t *mirror, int64_t deadline_ns) {
  while (mirror->verifying == MIRROR_ASKED) {
    SaAisErrorT error = mirror_try_hash(mirror);
    bool waits = error == SA_AIS_ERR_TIMEOUT && stream_wait(mirror->stream, deadline_ns);
    if (error != SA_AIS_OK && !waits) {
      return error;
    }
  }
  return SA_AIS_OK;
}

SaAisErrorT vesta_mirror_verify(vesta_mirror_t *mirror, SaTimeT timeout) {
  if (mirror == NULL || timeout < 0) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!stream_mine(mirror->stream)) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  if (mirror->filtered) {
    return SA_AIS_ERR_NOT_SUPPORTED;
  }
  if (mirror->broken || stream_follows_roles(mirror->stream)) {
    return mirror->broken ? SA_AIS_ERR_LIBRARY : SA_AIS_ERR_BAD_OPERATION;
  }
  int64_t deadline_ns = stream_deadline_ns(timeout);
  SaAisErrorT error = SA_AIS_OK;
  if (mirror->verifying == MIRROR_IDLE) {
    mirror->verifying = MIRROR_HASHING;
    mirror_table_scrub(mirror->table, MIRROR_SCRUB_PARTS);
  }
  if (mirror->verifying == MIRROR_HASHING) {
    error = mirror_hash_ahead(mirror, deadline_ns);
  }
  if (error == SA_AIS_OK) {
    error = mirror_await_hash(mirror, deadline_ns);
  }
  if (error == SA_AIS_OK) {
    error = mirror->verifying == MIRROR_EQUAL ? SA_AIS_OK : SA_AIS_ERR_FAILED_OPERATION;
    mirror->verifying = MIRROR_IDLE;
  }
  return error;
}

/* ---- status ---- */

/* How long it has been behind: at most since there was last nothing to take, and at most since the last change that was
 * applied was made. */
static int64_t mirror_lag_ns(const vesta_mirror_t *mirror, const stream_standing_t *standing) {
  int64_t since_drained_ns = stream_steady_ns() - standing->drained_ns;
  int64_t since_applied_ns = agent_wall_ns() - mirror->applied_time_ns;
  int64_t lag_ns = since_applied_ns < since_drained_ns ? since_applied_ns : since_drained_ns;
  return lag_ns > 1 ? lag_ns : 1; /* it is behind: 0 would say that it isn't */
}

static vesta_not_promotable_t mirror_reason(const vesta_mirror_t *mirror, const vesta_status_t *status, bool synced,
                                            bool no_quorum) {
  if (mirror->gone) {
    return VESTA_ENDED;
  }
  if (mirror->diverged) {
    return VESTA_DIVERGED;
  }
  if (!synced || mirror->broken || mirror->has_pending) {
    return VESTA_NOT_SYNCED;
  }
  if (no_quorum) {
    return VESTA_NO_QUORUM;
  }
  return status->lag > MIRROR_LAGGING_NS ? VESTA_LAGGING : VESTA_PROMOTABLE;
}

SaAisErrorT vesta_mirror_status(vesta_mirror_t *mirror, vesta_status_t *status) {
  if (mirror == NULL || status == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (!stream_mine(mirror->stream)) {
    return SA_AIS_ERR_BAD_HANDLE;
  }
  stream_standing_t standing;
  stream_standing(mirror->stream, true, &standing);
  const subscriber_status_t *subscriber = &standing.subscriber;
  vesta_pos_t applied = subscriber->handed_out;
  if (mirror->has_pending && !mirror->pending.resync && vesta_pos_equal(applied, mirror->pending.position)) {
    applied.seq--; /* it was taken, but neither applied nor handed out: no EPOCH, since those need no memory */
  }
  vesta_pos_t committed = subscriber->published;
  bool one_history = applied.lineage == committed.lineage && applied.seq <= committed.seq;
  memset(status, 0, sizeof *status);
  status->committed = stream_public_position(committed);
  status->received = stream_public_position(subscriber->received);
  status->applied = stream_public_position(applied);
  status->verified = stream_public_position(mirror->verified);
  status->lag_operations = one_history ? committed.seq - applied.seq : committed.seq;
  bool level = subscriber->synced && status->lag_operations == 0;
  status->lag_bytes = level ? 0 : subscriber->held_bytes; /* what was handed out last is held until the next call */
  status->lag = level ? 0 : mirror_lag_ns(mirror, &standing);
  status->silence = stream_steady_ns() - standing.heard_ns;
  status->reason = mirror_reason(mirror, status, subscriber->synced, subscriber->no_quorum);
  status->promotable = status->reason == VESTA_PROMOTABLE ? SA_TRUE : SA_FALSE;
  return SA_AIS_OK;
}

/* ---- life ---- */

/* What is mirrored: an open checkpoint, or one of a service on another machine. */
typedef struct mirror_source {
  SaCkptCheckpointHandleT checkpoint;
  const vesta_server_t *server;
  const char *name; /* NULL: the former */
} mirror_source_t;

static SaAisErrorT mirror_open(const mirror_source_t *source, const vesta_mirror_options_t *options, bool of_pair,
                               vesta_mirror_t **mirror) {
  static const vesta_mirror_options_t defaults;
  options = options == NULL ? &defaults : options;
  if (mirror == NULL || !RESERVED_IS_ZERO(options)) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  vesta_mirror_t *made = calloc(1, sizeof *made);
  if (made == NULL) {
    return SA_AIS_ERR_NO_MEMORY;
  }
  made->of_pair = of_pair;
  made->filtered = options->prefix_count != 0;
  made->table = mirror_table_new();
  SaAisErrorT error = SA_AIS_ERR_NO_MEMORY;
  if (made->table != NULL) {
    vesta_stream_options_t of_stream = {.from = VESTA_FROM_SNAPSHOT,
                                        .buffer_bytes = options->buffer_bytes,
                                        .prefixes = options->prefixes,
                                        .prefix_count = options->prefix_count,
                                        .when_slow = options->when_slow};
    error = source->name == NULL ? vesta_stream_open(source->checkpoint, &of_stream, &made->stream)
                                 : vesta_stream_open_at(source->server, source->name, &of_stream, &made->stream);
  }
  if (error != SA_AIS_OK) {
    mirror_destroy(&made);
    return error;
  }
  *mirror = made;
  return SA_AIS_OK;
}

SaAisErrorT vesta_mirror_open(SaCkptCheckpointHandleT checkpoint, const vesta_mirror_options_t *options,
                              vesta_mirror_t **mirror) {
  return mirror_open(&(mirror_source_t){.checkpoint = checkpoint}, options, false, mirror);
}

SaAisErrorT vesta_mirror_open_at(const vesta_server_t *server, const char *checkpoint,
                                 const vesta_mirror_options_t *options, vesta_mirror_t **mirror) {
  if (checkpoint == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return mirror_open(&(mirror_source_t){.server = server, .name = checkpoint}, options, false, mirror);
}

SaAisErrorT mirror_open_for_pair(SaCkptCheckpointHandleT checkpoint, const vesta_mirror_options_t *options,
                                 vesta_mirror_t **mirror) {
  return mirror_open(&(mirror_source_t){.checkpoint = checkpoint}, options, true, mirror);
}

SaAisErrorT vesta_mirror_fd(vesta_mirror_t *mirror, SaSelectionObjectT *fd) {
  if (mirror == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  return mirror->of_pair ? SA_AIS_ERR_BAD_OPERATION : vesta_stream_fd(mirror->stream, fd);
}

SaAisErrorT vesta_mirror_position(vesta_mirror_t *mirror, vesta_position_t *position) {
  return mirror == NULL ? SA_AIS_ERR_INVALID_PARAM : vesta_stream_position(mirror->stream, position);
}

void mirror_destroy(vesta_mirror_t **mirror) {
  if (*mirror != NULL) {
    (void)vesta_stream_close(&(*mirror)->stream);
    mirror_table_destroy(&(*mirror)->table);
    free(*mirror);
    *mirror = NULL;
  }
}

SaAisErrorT vesta_mirror_close(vesta_mirror_t **mirror) {
  if (mirror == NULL) {
    return SA_AIS_ERR_INVALID_PARAM;
  }
  if (*mirror != NULL && (*mirror)->of_pair) {
    return SA_AIS_ERR_BAD_OPERATION;
  }
  mirror_destroy(mirror);
  return SA_AIS_OK;
}
