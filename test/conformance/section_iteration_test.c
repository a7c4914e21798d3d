/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Iterations over sections (clauses 14 and 0.15).
 */
#include "test/conformance/ckpt_fixture.h"

#define MANY 2000 /* several answers of the daemon */

static SaCkptSectionIterationHandleT iterate(SaCkptCheckpointHandleT checkpoint, SaCkptSectionsChosenT chosen,
                                             SaTimeT expiration) {
  SaCkptSectionIterationHandleT iteration = 0;
  OK(saCkptSectionIterationInitialize(checkpoint, chosen, expiration, &iteration));
  return iteration;
}

/* How many sections it shows; at its end it must stay there. */
static unsigned count_rest(SaCkptSectionIterationHandleT iteration) {
  SaCkptSectionDescriptorT descriptor;
  unsigned count = 0;
  SaAisErrorT result;
  while ((result = saCkptSectionIterationNext(iteration, &descriptor)) == SA_AIS_OK) {
    count++;
  }
  EXPECT(SA_AIS_ERR_NO_SECTIONS, result);
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
  return count;
}

static unsigned count_chosen(SaCkptCheckpointHandleT checkpoint, SaCkptSectionsChosenT chosen, SaTimeT expiration) {
  SaCkptSectionIterationHandleT iteration = iterate(checkpoint, chosen, expiration);
  unsigned count = count_rest(iteration);
  OK(saCkptSectionIterationFinalize(iteration));
  return count;
}

static SaCkptCheckpointHandleT checkpoint_many(const char *text) {
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSections = 2 * MANY;
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, text, &attributes);
  for (int i = 0; i < MANY; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%d", i);
    OK(section_create(checkpoint, id, "x"));
  }
  return checkpoint;
}

/* clauses 14.1, 14.2, 22.24 */
static void sections_are_chosen_by_their_expiration_time(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "chosen");
  SaTimeT t = wall_now() + SA_TIME_ONE_HOUR;
  OK(section_create_expiring(checkpoint, "before", "x", 1, t - 1));
  OK(section_create_expiring(checkpoint, "at", "x", 1, t));
  OK(section_create_expiring(checkpoint, "after", "x", 1, t + 1));
  OK(section_create_expiring(checkpoint, "never", "x", 1, SA_TIME_END));
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_FOREVER, t), 1);
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_LEQ_EXPIRATION_TIME, t), 2);
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_GEQ_EXPIRATION_TIME, t), 3);
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_CORRUPTED, t), 0);
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_ANY, -5), 4);
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_LEQ_EXPIRATION_TIME, SA_TIME_END), 4);
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_GEQ_EXPIRATION_TIME, SA_TIME_END), 1);
}

/* clause 22.25 */
static void a_section_that_no_longer_expires_is_forever(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "becomes-forever");
  SaCkptSectionIdT id = id_of("s");
  OK(section_create_expiring(checkpoint, "s", "x", 1, wall_now() + SA_TIME_ONE_HOUR));
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_FOREVER, 0), 0);
  OK(saCkptSectionExpirationTimeSet(checkpoint, &id, SA_TIME_END));
  assert_int_equal(count_chosen(checkpoint, SA_CKPT_SECTIONS_FOREVER, 0), 1);
}

/* clauses 14.1, 14.3, 14.7 */
static void iteration_parameters_that_are_none_are_refused(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "iteration-params");
  SaCkptSectionIterationHandleT iteration;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIterationInitialize(checkpoint, SA_CKPT_SECTIONS_ANY, 0, NULL));
  EXPECT(SA_AIS_ERR_INVALID_PARAM,
         saCkptSectionIterationInitialize(checkpoint, (SaCkptSectionsChosenT)0, 0, &iteration));
  EXPECT(SA_AIS_ERR_INVALID_PARAM,
         saCkptSectionIterationInitialize(checkpoint, (SaCkptSectionsChosenT)6, 0, &iteration));
  iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIterationNext(iteration, NULL));
  SaCkptSectionDescriptorT descriptor;
  SaCkptSectionIterationHandleT bad[] = {0, ~0ULL, iteration ^ (1ULL << 50), checkpoint, lib};
  for (size_t i = 0; i < 5; i++) {
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationNext(bad[i], &descriptor));
    EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationFinalize(bad[i]));
  }
  OK(saCkptSectionIterationFinalize(iteration));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationNext(iteration, &descriptor));
  EXPECT(SA_AIS_ERR_BAD_HANDLE, saCkptSectionIterationFinalize(iteration));
}

/* clauses 14.4, 1.5 */
static void iterating_needs_read_in_b_02_and_any_handle_in_b_01(void **state) {
  (void)state;
  OK(section_create(checkpoint_usual(lib, "iteration-access"), "s", "x"));
  SaCkptSectionIterationHandleT iteration;
  EXPECT(SA_AIS_ERR_ACCESS,
         saCkptSectionIterationInitialize(checkpoint_again(lib, "iteration-access", SA_CKPT_CHECKPOINT_WRITE),
                                          SA_CKPT_SECTIONS_ANY, 0, &iteration));
  SaCkptHandleT old = library_b1();
  SaCkptCheckpointHandleT writer = checkpoint_again(old, "iteration-access", SA_CKPT_CHECKPOINT_WRITE);
  assert_int_equal(count_chosen(writer, SA_CKPT_SECTIONS_ANY, 0), 1);
  OK(saCkptFinalize(old));
}

/* clauses 0.11, 14.5, 17.10 */
static void a_descriptor_tells_id_size_state_expiration_and_last_update(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "descriptor");
  SaTimeT expiration = wall_now() + SA_TIME_ONE_HOUR;
  SaTimeT before = wall_now();
  OK(section_create_expiring(checkpoint, "the id", "12345", 5, expiration));
  SaTimeT between = wall_now();
  SaCkptSectionDescriptorT descriptor;
  SaCkptSectionIterationHandleT iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  assert_int_equal(descriptor.sectionId.idLen, 6);
  assert_memory_equal(descriptor.sectionId.id, "the id", 6);
  assert_int_equal(descriptor.sectionSize, 5);
  assert_int_equal(descriptor.sectionState, SA_CKPT_SECTION_VALID);
  assert_true(descriptor.expirationTime == expiration);
  assert_true(descriptor.lastUpdate >= before && descriptor.lastUpdate <= between);
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
  OK(section_overwrite(checkpoint, "the id", "1234567"));
  iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  assert_int_equal(descriptor.sectionSize, 7);
  assert_true(descriptor.lastUpdate >= between && descriptor.lastUpdate <= wall_now());
}

/* clause 14.5 */
static void an_iteration_over_nothing_has_no_sections(void **state) {
  (void)state;
  assert_int_equal(count_chosen(checkpoint_usual(lib, "nothing"), SA_CKPT_SECTIONS_ANY, 0), 0);
}

static unsigned number_of(const SaCkptSectionDescriptorT *descriptor) {
  char text[16] = {0};
  assert_true(descriptor->sectionId.idLen < sizeof text);
  memcpy(text, descriptor->sectionId.id, descriptor->sectionId.idLen);
  return (unsigned)strtoul(text, NULL, 10);
}

/* clauses 14.6, 22.22: deleted ones are left out, new ones not shown, none twice */
static void sections_that_stay_are_shown_once_whatever_happens_meanwhile(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_many("meanwhile");
  SaCkptSectionIterationHandleT iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  unsigned char seen[2 * MANY] = {0};
  bool deleted[MANY] = {false};
  SaCkptSectionDescriptorT descriptor;
  unsigned shown = 0;
  while (saCkptSectionIterationNext(iteration, &descriptor) == SA_AIS_OK) {
    unsigned number = number_of(&descriptor);
    assert_true(number < MANY); /* none that was created since */
    assert_false(deleted[number]);
    assert_int_equal(seen[number]++, 0);
    unsigned victim = (number * 7 + shown) % MANY; /* one that may have been shown, or is still to come */
    char id[16];
    (void)snprintf(id, sizeof id, "%u", victim);
    SaCkptSectionIdT section = id_of(id);
    if (victim % 3 == 0 && !deleted[victim] && shown < MANY / 2) {
      OK(saCkptSectionDelete(checkpoint, &section));
      deleted[victim] = true;
    }
    if (shown < MANY / 2) {
      (void)snprintf(id, sizeof id, "%u", MANY + shown);
      OK(section_create(checkpoint, id, "new"));
    }
    shown++;
  }
  for (unsigned i = 0; i < MANY; i++) {
    assert_true(seen[i] == 1 || deleted[i]);
  }
}

/* clause 14.6 */
static void a_section_deleted_and_made_again_during_an_iteration_is_not_shown_twice(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_usual(lib, "made-again");
  SaCkptSectionIdT id = id_of("a");
  OK(section_create(checkpoint, "a", "x"));
  OK(section_create(checkpoint, "b", "x"));
  SaCkptSectionIterationHandleT iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  SaCkptSectionDescriptorT descriptor;
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  OK(saCkptSectionDelete(checkpoint, &id));
  OK(section_create(checkpoint, "a", "y"));
  assert_true(count_rest(iteration) <= 1);
}

/* clauses 14.8, 14.9 */
static void several_iterations_at_once_do_not_disturb_each_other(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_many("several");
  SaCkptSectionIterationHandleT iterations[3];
  SaCkptSectionDescriptorT descriptor;
  for (size_t i = 0; i < 3; i++) {
    iterations[i] = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  }
  for (unsigned i = 0; i < 3; i++) {
    for (unsigned k = 0; k < i * 700; k++) {
      OK(saCkptSectionIterationNext(iterations[i], &descriptor));
    }
  }
  assert_int_equal(count_rest(iterations[0]), MANY);
  assert_int_equal(count_rest(iterations[1]), MANY - 700);
  OK(saCkptSectionIterationFinalize(iterations[0]));
  assert_int_equal(count_rest(iterations[2]), MANY - 1400);
}

/* However often nothing could be read before, because there was no active replica. */
static void what_became_of_a_section_meanwhile_is_shown(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes =
      attributes_of(SA_CKPT_WR_ACTIVE_REPLICA | SA_CKPT_CHECKPOINT_COLLOCATED);
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "iterate-now", &attributes);
  for (int i = 0; i < 20; i++) {
    EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(checkpoint, "grows"));
  }
  OK(saCkptActiveReplicaSet(checkpoint));
  OK(section_create(checkpoint, "grows", "x"));
  SaCkptSectionIterationHandleT iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  OK(section_overwrite(checkpoint, "grows", "xxx"));
  SaCkptSectionDescriptorT descriptor;
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  assert_int_equal(descriptor.sectionSize, 3);
  iteration = iterate(checkpoint, SA_CKPT_SECTIONS_ANY, 0);
  SaCkptSectionIdT id = id_of("grows");
  OK(saCkptSectionDelete(checkpoint, &id));
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
}

/* clauses 14.10, 22.23 */
static void the_default_section_is_iterated_with_an_id_of_no_length(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_default_section(lib, "iterate-default");
  SaCkptSectionIterationHandleT iteration = iterate(checkpoint, SA_CKPT_SECTIONS_FOREVER, 0);
  SaCkptSectionDescriptorT descriptor;
  memset(&descriptor, 0xff, sizeof descriptor);
  OK(saCkptSectionIterationNext(iteration, &descriptor));
  assert_int_equal(descriptor.sectionId.idLen, 0);
  assert_null(descriptor.sectionId.id);
  assert_true(descriptor.expirationTime == SA_TIME_END);
  assert_int_equal(descriptor.sectionSize, 0);
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(sections_are_chosen_by_their_expiration_time),
      CASE(a_section_that_no_longer_expires_is_forever),
      CASE(iteration_parameters_that_are_none_are_refused),
      CASE(iterating_needs_read_in_b_02_and_any_handle_in_b_01),
      CASE(a_descriptor_tells_id_size_state_expiration_and_last_update),
      CASE(an_iteration_over_nothing_has_no_sections),
      CASE(sections_that_stay_are_shown_once_whatever_happens_meanwhile),
      CASE(a_section_deleted_and_made_again_during_an_iteration_is_not_shown_twice),
      CASE(several_iterations_at_once_do_not_disturb_each_other),
      CASE(what_became_of_a_section_meanwhile_is_shown),
      CASE(the_default_section_is_iterated_with_an_id_of_no_length),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
