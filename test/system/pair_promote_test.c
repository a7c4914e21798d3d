/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Roles that are asked for and roles that are taken from who stands still, against a real vestad. As in pair_test.c
 * every member that becomes active compares its mirror with what was acknowledged to those before it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/application.h"
#include "test/support/daemon_fixture.h"
#include "test/support/pair_member.h"

/* Long enough for an active that lives to say so four times, on a machine that has much else to do. */
#define HEARTBEAT (2000 * SA_TIME_ONE_MILLISECOND)
#define LONGER_MS 4500 /* than two heartbeats */
#define LARGE_SECTIONS 128
#define LARGE_SECTION_BYTES (1U << 20)

static pair_ledger_t *ledger;

static int set_up(void **state) {
  (void)state;
  ledger = pair_ledger_new();
  daemon_fixture_open(&daemon_of_test);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  daemon_fixture_close(&daemon_of_test);
  pair_ledger_destroy(&ledger);
  return 0;
}

static const vesta_pair_options_t manual = {.manual = SA_TRUE};
static const vesta_pair_options_t beating = {.heartbeat = HEARTBEAT};

static pair_member_t start_standby(const vesta_pair_options_t *options) {
  pair_member_t member = pair_member_start("pair", options, ledger);
  pair_member_wait_synced(&member);
  return member;
}

static pair_member_t start_active(const vesta_pair_options_t *options) {
  pair_member_t member = pair_member_start("pair", options, ledger);
  (void)pair_member_wait_role(&member, VESTA_ROLE_ACTIVE);
  pair_member_command(&member, PAIR_WRITE);
  return member;
}

static void promote(const pair_member_t *member) {
  pair_answer_t answer = pair_member_answer(member, PAIR_PROMOTE);
  assert_int_equal(answer.value, SA_AIS_OK);
  assert_int_equal(answer.promotion.result, VESTA_PROMOTION_SYNCED);
}

/* ---- asked for ---- */

static void a_manual_member_stands_by_until_it_is_told(void **state) {
  (void)state;
  pair_member_t first = start_standby(&manual);
  pair_member_t second = start_standby(&manual);
  assert_int_equal(pair_member_ask(&first, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(pair_member_ask(&second, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  promote(&second);
  pair_report_t report = pair_member_wait_role(&second, VESTA_ROLE_ACTIVE);
  assert_int_equal(report.promotion.result, VESTA_PROMOTION_SYNCED);
  assert_int_equal(pair_member_ask(&second, PAIR_WRITE_ONE), SA_AIS_OK);
  promote(&second); /* once more: it is already */
  pair_member_end(&second);
  assert_int_equal(pair_member_ask(&first, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  promote(&first);
  (void)pair_member_wait_role(&first, VESTA_ROLE_ACTIVE);
  pair_member_end(&first);
}

static void promoting_over_a_living_active_fences_it_and_loses_nothing(void **state) {
  (void)state;
  pair_member_t first = start_standby(&manual);
  pair_member_t second = start_standby(&manual);
  promote(&first);
  uint64_t epoch = 0;
  for (int round = 0; round < 6; round++) {
    const pair_member_t *active = round % 2 == 0 ? &first : &second;
    const pair_member_t *standby = round % 2 == 0 ? &second : &first;
    pair_report_t report = pair_member_wait_role(active, VESTA_ROLE_ACTIVE);
    assert_true(report.epoch > epoch);
    epoch = report.epoch;
    pair_member_command(active, PAIR_WRITE);
    pair_ledger_wait_more(ledger, 1000);
    promote(standby); /* in the middle of its writes */
    assert_int_equal(pair_member_ask(active, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  }
  pair_member_end(&first);
  pair_member_end(&second);
}

static void who_was_promoted_over_is_told(void **state) {
  (void)state;
  pair_member_t first = start_active(NULL);
  pair_member_t second = start_standby(NULL); /* an automatic member may ask as well */
  pair_ledger_wait_more(ledger, 100);
  promote(&second);
  pair_report_t report = pair_member_wait_role(&first, VESTA_ROLE_FENCED);
  report = pair_member_report(&first);
  assert_int_equal(report.role, VESTA_ROLE_STANDBY);
  assert_int_equal(report.reason, VESTA_ROLE_AGAIN);
  (void)pair_member_wait_role(&second, VESTA_ROLE_ACTIVE);
  pair_member_end(&second);
  (void)pair_member_wait_role(&first, VESTA_ROLE_ACTIVE); /* and follows, as ever */
  pair_member_end(&first);
}

static void a_manual_member_that_resigns_leaves_the_role_to_who_asks_next(void **state) {
  (void)state;
  pair_member_t first = start_standby(&manual);
  pair_member_t second = start_standby(&manual);
  promote(&first);
  (void)pair_member_wait_role(&first, VESTA_ROLE_ACTIVE);
  pair_member_command(&first, PAIR_WRITE);
  pair_ledger_wait_more(ledger, 1000);
  assert_int_equal(pair_member_ask(&first, PAIR_RESIGN), SA_AIS_OK);
  assert_int_equal(pair_member_wait_role(&first, VESTA_ROLE_STANDBY).reason, VESTA_ROLE_RESIGNED);
  assert_int_equal(pair_member_ask(&first, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  assert_int_equal(pair_member_ask(&second, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  promote(&second);
  (void)pair_member_wait_role(&second, VESTA_ROLE_ACTIVE);
  pair_member_end(&first);
  pair_member_end(&second);
}

static vesta_event_t next_event(vesta_pair_t *pair, vesta_event_kind_t kind) {
  vesta_event_t event;
  do {
    assert_int_equal(vesta_pair_next(pair, APPLICATION_DEADLINE, &event), SA_AIS_OK);
  } while (event.kind != kind);
  return event;
}

static void fill_large(application_t *application) {
  char id[16];
  uint8_t *data = calloc(1, LARGE_SECTION_BYTES);
  assert_non_null(data);
  for (int i = 0; i < LARGE_SECTIONS; i++) {
    (void)snprintf(id, sizeof id, "s%d", i);
    assert_int_equal(application_create(application, id, data, LARGE_SECTION_BYTES), SA_AIS_OK);
  }
  free(data);
}

static void open_large(application_t *application) {
  const SaCkptCheckpointCreationAttributesT attributes = {.creationFlags = SA_CKPT_WR_ALL_REPLICAS,
                                                          .checkpointSize =
                                                              (SaSizeT)LARGE_SECTIONS * LARGE_SECTION_BYTES,
                                                          .maxSections = LARGE_SECTIONS,
                                                          .maxSectionSize = LARGE_SECTION_BYTES,
                                                          .maxSectionIdSize = 16};
  application_open_as(application, "large", APPLICATION_ALL, &attributes);
}

static void who_is_promoted_before_it_has_everything_is_active_dirty_and_told_what_is_missing(void **state) {
  (void)state;
  application_t application;
  vesta_pair_t *pair = NULL;
  vesta_promotion_t promotion = {.result = VESTA_PROMOTION_SYNCED};
  open_large(&application);
  fill_large(&application);
  assert_int_equal(vesta_pair_join(application.checkpoint, &manual, &pair), SA_AIS_OK);
  SaAisErrorT error;
  do { /* the service may be busy for so long: then nothing has changed */
    error = vesta_pair_promote(pair, 10 * SA_TIME_ONE_MILLISECOND, &promotion);
  } while (error == SA_AIS_ERR_TIMEOUT);
  assert_int_equal(error, SA_AIS_OK);
  assert_int_equal(promotion.result, VESTA_PROMOTION_DIRTY);
  assert_int_equal(promotion.missing_after.seq, 0);
  assert_int_equal(promotion.missing_to.seq, LARGE_SECTIONS + 1); /* the grant comes behind them all */
  vesta_event_t event;
  do {
    event = next_event(pair, VESTA_EVENT_ROLE);
    assert_int_not_equal(event.role, VESTA_ROLE_FENCED);
  } while (event.role != VESTA_ROLE_ACTIVE);
  assert_int_equal(event.promotion.result, VESTA_PROMOTION_DIRTY);
  assert_int_equal(event.promotion.missing_after.lineage, 0);
  assert_int_equal(event.promotion.missing_to.lineage, promotion.missing_to.lineage);
  assert_int_equal(event.promotion.missing_to.epoch, event.role_epoch);
  assert_int_equal(event.promotion.missing_to.seq, promotion.missing_to.seq);
  assert_true(vesta_mirror_count(vesta_pair_mirror(pair)) < LARGE_SECTIONS);
  assert_int_equal(application_overwrite(&application, "s0", "mine", 4), SA_AIS_OK);
  assert_int_equal(vesta_pair_promote(pair, 0, &promotion), SA_AIS_OK); /* is told again what it was promoted with */
  assert_int_equal(promotion.result, VESTA_PROMOTION_DIRTY);
  assert_int_equal(vesta_pair_leave(&pair), SA_AIS_OK);
  application_close(&application);
}

static void who_must_be_synced_is_promoted_only_when_it_is(void **state) {
  (void)state;
  application_t application;
  vesta_pair_t *pair = NULL;
  vesta_promotion_t promotion;
  vesta_event_t event;
  const vesta_pair_options_t careful = {.manual = SA_TRUE, .require_synced = SA_TRUE};
  open_large(&application);
  fill_large(&application);
  assert_int_equal(vesta_pair_join(application.checkpoint, &careful, &pair), SA_AIS_OK);
  assert_int_equal(vesta_pair_promote(pair, SA_TIME_ONE_SECOND, &promotion), SA_AIS_ERR_TRY_AGAIN);
  do {
    event = next_event(pair, VESTA_EVENT_CHANGE);
  } while (event.change.kind != VESTA_CHANGE_SYNCED);
  assert_int_equal(event.role, VESTA_ROLE_STANDBY);
  assert_int_equal(vesta_pair_promote(pair, SA_TIME_ONE_SECOND, &promotion), SA_AIS_OK);
  assert_int_equal(promotion.result, VESTA_PROMOTION_SYNCED);
  assert_int_equal(next_event(pair, VESTA_EVENT_ROLE).role, VESTA_ROLE_PROMOTING);
  event = next_event(pair, VESTA_EVENT_ROLE);
  assert_int_equal(event.role, VESTA_ROLE_ACTIVE);
  assert_int_equal(event.promotion.result, VESTA_PROMOTION_SYNCED);
  assert_int_equal(vesta_mirror_count(vesta_pair_mirror(pair)), LARGE_SECTIONS);
  assert_int_equal(vesta_pair_leave(&pair), SA_AIS_OK);
  application_close(&application);
}

static void a_promotion_without_a_service_changes_nothing(void **state) {
  (void)state;
  pair_member_t active = start_active(NULL);
  pair_member_t standby = start_standby(&manual);
  pair_ledger_wait_more(ledger, 100);
  daemon_fixture_kill(&daemon_of_test);
  assert_int_equal(pair_member_ask(&standby, PAIR_PROMOTE), SA_AIS_ERR_TIMEOUT);
  daemon_fixture_start(&daemon_of_test);
  pair_ledger_wait_more(ledger, 100); /* it is active as before */
  assert_true(pair_member_keeps_role(&active, 0));
  assert_int_equal(pair_member_ask(&standby, PAIR_PROMOTE), SA_AIS_OK); /* its stream may still be on its way back */
  (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
  pair_member_end(&standby);
  pair_member_end(&active);
}

static void a_service_that_is_asked_while_it_is_stopped_does_not_do_it_later(void **state) {
  (void)state;
  pair_member_t active = start_active(NULL);
  pair_member_t standby = start_standby(&manual);
  pair_ledger_wait_more(ledger, 100);
  assert_int_equal(kill(daemon_of_test.pid, SIGSTOP), 0);
  assert_int_equal(pair_member_ask(&standby, PAIR_PROMOTE), SA_AIS_ERR_FAILED_OPERATION);
  assert_int_equal(kill(daemon_of_test.pid, SIGCONT), 0);
  pair_ledger_wait_more(ledger, 1000);
  assert_true(pair_member_keeps_role(&active, 0));
  pair_member_end(&standby);
  pair_member_end(&active);
}

/* ---- silent ---- */

static void a_stopped_active_is_succeeded_after_its_heartbeat_and_told_when_it_wakes_up(void **state) {
  (void)state;
  pair_member_t stopped = start_active(&beating);
  pair_member_t next = start_standby(NULL);
  pair_ledger_wait_more(ledger, 1000);
  int64_t stopped_ns = daemon_fixture_now_ns();
  assert_int_equal(kill(stopped.pid, SIGSTOP), 0); /* in the middle of its writes */
  pair_report_t report = pair_member_wait_role(&next, VESTA_ROLE_ACTIVE);
  print_message("takeover from a stopped active took %.2f ms\n", (double)(report.time_ns - stopped_ns) / 1e6);
  pair_member_command(&next, PAIR_WRITE);
  pair_ledger_wait_more(ledger, 1000);
  assert_int_equal(kill(stopped.pid, SIGCONT), 0);
  (void)pair_member_wait_role(&stopped, VESTA_ROLE_FENCED);
  report = pair_member_report(&stopped);
  assert_int_equal(report.role, VESTA_ROLE_STANDBY);
  assert_int_equal(report.reason, VESTA_ROLE_AGAIN);
  assert_int_equal(pair_member_ask(&stopped, PAIR_WRITE_ONE), SA_AIS_ERR_BAD_OPERATION);
  pair_member_wait_synced(&stopped);
  pair_member_end(&next);
  (void)pair_member_wait_role(&stopped, VESTA_ROLE_ACTIVE);
  pair_member_end(&stopped);
}

static void a_stopped_active_without_a_heartbeat_or_a_successor_stays_active(void **state) {
  (void)state;
  pair_member_t plain = start_active(NULL);
  pair_member_t standby = start_standby(&beating); /* its own heartbeat says nothing of the active's */
  assert_int_equal(kill(plain.pid, SIGSTOP), 0);
  assert_true(pair_member_keeps_role(&standby, LONGER_MS));
  assert_int_equal(kill(plain.pid, SIGCONT), 0);
  pair_ledger_wait_more(ledger, 100);
  pair_member_end(&plain);
  (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
  pair_member_command(&standby, PAIR_WRITE);
  pair_member_t hand = start_standby(&manual); /* not eligible */
  pair_ledger_wait_more(ledger, 100);
  assert_int_equal(kill(standby.pid, SIGSTOP), 0);
  assert_true(pair_member_keeps_role(&hand, LONGER_MS));
  assert_int_equal(kill(standby.pid, SIGCONT), 0);
  pair_ledger_wait_more(ledger, 100);
  assert_true(pair_member_keeps_role(&standby, 0));
  pair_member_end(&standby);
  pair_member_end(&hand);
}

static void an_active_that_has_nothing_to_do_gives_signs_of_life(void **state) {
  (void)state;
  pair_member_t idle = start_active(&beating); /* waits for its descriptor */
  pair_member_t standby = start_standby(NULL);
  (void)pair_member_ask(&idle, PAIR_PAUSE);
  assert_true(pair_member_keeps_role(&standby, LONGER_MS));
  assert_int_equal(pair_member_ask(&idle, PAIR_WRITE_ONE), SA_AIS_OK);
  pair_member_end(&standby);
  pair_member_end(&idle);
}

static void an_active_that_waits_for_an_event_gives_signs_of_life(void **state) {
  (void)state;
  pair_member_t standby = pair_member_start("pair", NULL, ledger);
  (void)pair_member_wait_role(&standby, VESTA_ROLE_ACTIVE);
  application_t application;
  vesta_pair_t *pair = NULL;
  vesta_promotion_t promotion;
  vesta_event_t event;
  application_open(&application, "pair", APPLICATION_ALL);
  assert_int_equal(vesta_pair_join(application.checkpoint, &beating, &pair), SA_AIS_OK);
  assert_int_equal(vesta_pair_promote(pair, SA_TIME_ONE_SECOND, &promotion), SA_AIS_OK);
  do {
    event = next_event(pair, VESTA_EVENT_ROLE);
  } while (event.role != VESTA_ROLE_ACTIVE);
  pair_member_wait_synced(&standby);
  assert_int_equal(vesta_pair_next(pair, LONGER_MS * SA_TIME_ONE_MILLISECOND, &event), SA_AIS_ERR_TIMEOUT);
  assert_true(pair_member_keeps_role(&standby, 0));
  assert_int_equal(vesta_pair_leave(&pair), SA_AIS_OK);
  application_close(&application);
  pair_member_end(&standby);
}

static void a_service_that_was_stopped_itself_blames_nobody(void **state) {
  (void)state;
  pair_member_t active = start_active(&beating);
  pair_member_t standby = start_standby(NULL);
  pair_ledger_wait_more(ledger, 100);
  for (int round = 0; round < 2; round++) {
    assert_int_equal(kill(daemon_of_test.pid, SIGSTOP), 0);
    assert_true(pair_member_keeps_role(&standby, LONGER_MS));
    assert_int_equal(kill(daemon_of_test.pid, SIGCONT), 0);
    pair_ledger_wait_more(ledger, 1000);
    assert_true(pair_member_keeps_role(&active, 0));
  }
  pair_member_end(&standby);
  pair_member_end(&active);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_manual_member_stands_by_until_it_is_told),
      TEST(promoting_over_a_living_active_fences_it_and_loses_nothing),
      TEST(who_was_promoted_over_is_told),
      TEST(a_manual_member_that_resigns_leaves_the_role_to_who_asks_next),
      TEST(a_promotion_without_a_service_changes_nothing),
      TEST(a_service_that_is_asked_while_it_is_stopped_does_not_do_it_later),
      TEST(a_stopped_active_is_succeeded_after_its_heartbeat_and_told_when_it_wakes_up),
      TEST(a_stopped_active_without_a_heartbeat_or_a_successor_stays_active),
      TEST(an_active_that_has_nothing_to_do_gives_signs_of_life),
      TEST(a_service_that_was_stopped_itself_blames_nobody),
      /* these use the service in this process, from which no more members can be started then */
      TEST(an_active_that_waits_for_an_event_gives_signs_of_life),
      TEST(who_is_promoted_before_it_has_everything_is_active_dirty_and_told_what_is_missing),
      TEST(who_must_be_synced_is_promoted_only_when_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
