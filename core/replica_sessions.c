/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who wrote, and with what result: the answers to requests that are sent again.
 *
 * A session gets a place in the region when it first writes. Its results lie there in a ring, stored while the change
 * itself is applied, so that both are there after a crash or neither. The way from token to place is private.
 *
 *   state of a place   FREE --apply--> USED --forget--> FREE
 *                        `---forget, operations in flight---> FORGOTTEN --the last one committed or aborted--> FREE
 *
 * A place with operations in flight is not given to another session, whatever its state, and what a forgotten session
 * still had in flight leaves no result.
 */
#include "core/replica_private.h"

static uint16_t *bucket(replica_t *replica, vesta_token_t token) {
  return &replica->session_buckets[(token.lo ^ token.hi) % REPLICA_SESSION_BUCKETS]; /* tokens are random already */
}

static uint32_t place_find(const replica_t *replica, vesta_token_t token) {
  for (uint16_t next = replica->session_buckets[(token.lo ^ token.hi) % REPLICA_SESSION_BUCKETS]; next != 0;
       next = replica->sessions[next - 1].next) {
    if (vesta_token_equal(replica->sessions[next - 1].token, token)) {
      return next - 1U;
    }
  }
  return REPLICA_NO_SESSION;
}

static void place_know(replica_t *replica, uint32_t place, vesta_token_t token) {
  replica_session_place_t *p = &replica->sessions[place];
  uint16_t *first = bucket(replica, token);
  p->token = token;
  p->request_last = 0;
  p->known = true;
  p->next = *first;
  *first = (uint16_t)(place + 1);
}

static void place_unknow(replica_t *replica, uint32_t place) {
  uint16_t *link = bucket(replica, replica->sessions[place].token);
  while (*link != place + 1) {
    VESTA_ASSERT(*link != 0);
    link = &replica->sessions[*link - 1].next;
  }
  *link = replica->sessions[place].next;
  replica->sessions[place].known = false;
}

static void place_has_result(replica_t *replica, uint32_t place, uint64_t request) {
  replica_session_place_t *p = &replica->sessions[place];
  p->request_last = request > p->request_last ? request : p->request_last;
}

static void place_free(replica_t *replica, uint32_t place) {
  replica->sessions[place].next = replica->session_free;
  replica->session_free = (uint16_t)(place + 1);
}

vesta_err_t replica_session_choose(replica_t *replica, vesta_token_t token, uint32_t *place) {
  uint32_t chosen = place_find(replica, token);
  if (chosen == REPLICA_NO_SESSION && replica->session_free != 0) {
    chosen = replica->session_free - 1U;
  }
  if (chosen == REPLICA_NO_SESSION) {
    chosen = replica->header->sessions_high;
    if (chosen == VESTA_REPLICA_SESSIONS_MAX) {
      return VESTA_ERR_NO_RESOURCES;
    }
    vesta_err_t err = replica_area_reserve(replica, replica->layout.sessions_at, &replica->header->reserved.sessions,
                                           (chosen + 1ULL) * sizeof(replica_session_t));
    if (err != VESTA_OK) {
      return err;
    }
  }
  *place = chosen;
  return VESTA_OK;
}

void replica_session_hold(replica_t *replica, uint32_t place, vesta_token_t token) {
  if (place == replica->header->sessions_high) {
    REPLICA_STORE(replica, replica->header->sessions_high, place + 1);
  } else if (replica->session_free == place + 1) {
    replica->session_free = replica->sessions[place].next;
  }
  replica->sessions[place].in_flight++;
  /* A forgotten session can still have operations in flight when its region is taken up. It stays forgotten. */
  if (!replica->sessions[place].known && replica_session_at(replica, place)->state != REPLICA_SESSION_FORGOTTEN) {
    place_know(replica, place, token);
  }
}

void replica_session_let_go(replica_t *replica, uint32_t place) {
  replica_session_place_t *p = &replica->sessions[place];
  replica_session_t *session = replica_session_at(replica, place);
  VESTA_ASSERT(p->in_flight > 0);
  if (--p->in_flight > 0 || session->state == REPLICA_SESSION_USED) {
    return;
  }
  if (p->known) {
    place_unknow(replica, place);
  }
  if (session->state != REPLICA_SESSION_FREE) {
    REPLICA_STORE(replica, session->state, (uint32_t)REPLICA_SESSION_FREE);
  }
  place_free(replica, place);
}

void replica_session_store(replica_t *replica, const replica_log_record_t *record) {
  replica_session_t *session = replica_session_at(replica, record->session_place);
  if (session->state == REPLICA_SESSION_FORGOTTEN) {
    return;
  }
  if (session->state == REPLICA_SESSION_FREE) {
    REPLICA_STORE(replica, session->token_hi, record->session_hi);
    REPLICA_STORE(replica, session->token_lo, record->session_lo);
    REPLICA_STORE(replica, session->result_count, UINT64_C(0));
    REPLICA_STORE(replica, session->state, (uint32_t)REPLICA_SESSION_USED);
  }
  uint64_t count = session->result_count;
  place_has_result(replica, record->session_place, record->request);
  if (count > 0 && session->results[(count - 1) % VESTA_SESSION_WINDOW].seq == record->seq) {
    return; /* stored before the process was killed */
  }
  replica_session_result_t *result = &session->results[count % VESTA_SESSION_WINDOW];
  REPLICA_STORE(replica, result->request, record->request);
  REPLICA_STORE(replica, result->seq, record->seq);
  REPLICA_STORE(replica, result->generated, record->generated);
  REPLICA_STORE(replica, session->result_count, count + 1);
}

void replica_session_load(replica_t *replica, uint32_t place, vesta_token_t token, replica_session_result_t result) {
  replica_session_t *session = replica_session_at(replica, place);
  if (session->state == REPLICA_SESSION_FREE) {
    REPLICA_STORE(replica, session->token_hi, token.hi);
    REPLICA_STORE(replica, session->token_lo, token.lo);
    REPLICA_STORE(replica, session->result_count, UINT64_C(0));
    REPLICA_STORE(replica, session->state, (uint32_t)REPLICA_SESSION_USED);
  }
  uint64_t count = session->result_count;
  for (uint64_t back = 1; back <= count && back <= VESTA_SESSION_WINDOW; back++) {
    if (session->results[(count - back) % VESTA_SESSION_WINDOW].request == result.request) {
      return; /* results never change */
    }
  }
  place_has_result(replica, place, result.request);
  replica_session_result_t *to = &session->results[count % VESTA_SESSION_WINDOW];
  REPLICA_STORE(replica, to->request, result.request);
  REPLICA_STORE(replica, to->seq, result.seq);
  REPLICA_STORE(replica, to->generated, result.generated);
  REPLICA_STORE(replica, session->result_count, count + 1);
}

vesta_err_t replica_request_find(const replica_t *replica, vesta_token_t token, uint64_t request,
                                 replica_result_t *result) {
  uint32_t place = place_find(replica, token);
  if (place == REPLICA_NO_SESSION || request > replica->sessions[place].request_last) {
    return VESTA_ERR_NOT_EXIST;
  }
  const replica_session_t *session = replica_session_at(replica, place);
  if (session->state != REPLICA_SESSION_USED) {
    return VESTA_ERR_NOT_EXIST; /* its first operation is in flight */
  }
  uint64_t count = session->result_count;
  for (uint64_t back = 1; back <= count && back <= VESTA_SESSION_WINDOW; back++) {
    const replica_session_result_t *r = &session->results[(count - back) % VESTA_SESSION_WINDOW];
    if (r->request == request) {
      *result =
          (replica_result_t){.seq = r->seq, .epoch = replica_epoch_of(replica, r->seq), .element = REPLICA_NO_ELEMENT};
      if (r->generated != 0) {
        result->generated_id_size = replica_generated_id(&replica->layout, r->generated, result->generated_id);
      }
      return VESTA_OK;
    }
  }
  return VESTA_ERR_NOT_EXIST;
}

void replica_session_forget(replica_t *replica, vesta_token_t token) {
  uint32_t place = place_find(replica, token);
  if (place == REPLICA_NO_SESSION) {
    return;
  }
  replica_session_t *session = replica_session_at(replica, place);
  place_unknow(replica, place);
  if (replica->sessions[place].in_flight == 0) {
    REPLICA_STORE(replica, session->state, (uint32_t)REPLICA_SESSION_FREE);
    place_free(replica, place);
  } else {
    REPLICA_STORE(replica, session->state, (uint32_t)REPLICA_SESSION_FORGOTTEN);
  }
}

uint32_t replica_sessions(const replica_t *replica, vesta_token_t *sessions, uint32_t max) {
  uint32_t count = 0;
  for (uint32_t place = 0; place < replica->header->sessions_high && count < max; place++) {
    if (replica_session_at(replica, place)->state == REPLICA_SESSION_USED) {
      sessions[count++] = replica->sessions[place].token;
    }
  }
  return count;
}

vesta_err_t replica_sessions_recover(replica_t *replica) {
  for (uint32_t place = 0; place < replica->header->sessions_high; place++) {
    const replica_session_t *session = replica_session_at(replica, place);
    vesta_token_t token = {.hi = session->token_hi, .lo = session->token_lo};
    if (session->state > REPLICA_SESSION_FORGOTTEN) {
      return VESTA_ERR_MALFORMED;
    }
    if (session->state != REPLICA_SESSION_USED) {
      continue;
    }
    if (vesta_token_is_none(token) || place_find(replica, token) != REPLICA_NO_SESSION) {
      return VESTA_ERR_MALFORMED;
    }
    place_know(replica, place, token);
    for (uint32_t i = 0; i < VESTA_SESSION_WINDOW && i < session->result_count; i++) {
      place_has_result(replica, place, session->results[i].request);
    }
  }
  return VESTA_OK;
}

void replica_sessions_recover_free(replica_t *replica) {
  for (uint32_t place = replica->header->sessions_high; place > 0; place--) {
    replica_session_t *session = replica_session_at(replica, place - 1);
    if (session->state == REPLICA_SESSION_USED || replica->sessions[place - 1].in_flight > 0) {
      continue;
    }
    if (session->state == REPLICA_SESSION_FORGOTTEN) {
      REPLICA_STORE(replica, session->state, (uint32_t)REPLICA_SESSION_FREE);
    }
    place_free(replica, place - 1);
  }
}
