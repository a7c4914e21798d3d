/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections are made, deleted and expire (clauses 11 to 13, 21.1), and what clause 0 says of section
 * ids.
 */
#include "test/conformance/ckpt_fixture.h"

static SaCkptCheckpointHandleT ckpt;

static int ckpt_open(void **state) {
  (void)lib_open(state);
  SaNameT name = name_of("sections");
  (void)saCkptCheckpointUnlink(lib, &name); /* of the test before */
  ckpt = checkpoint_usual(lib, "sections");
  return 0;
}

#define WITH_CHECKPOINT(test) cmocka_unit_test_setup_teardown(test, ckpt_open, lib_close)

static SaAisErrorT create_with(SaCkptSectionIdT *id, SaTimeT expiration, const void *data, SaSizeT size) {
  SaCkptSectionCreationAttributesT attributes = {.sectionId = id, .expirationTime = expiration};
  return saCkptSectionCreate(ckpt, &attributes, data, size);
}

static SaAisErrorT delete_section(SaCkptCheckpointHandleT checkpoint, const char *text) {
  SaCkptSectionIdT id = id_of(text);
  return saCkptSectionDelete(checkpoint, &id);
}

/* clauses 11.1, 0.13, 21.1, 0.14 */
static void generated_ids_are_unique_and_given_back_with_id_free_or_free(void **state) {
  (void)state;
  SaCkptSectionIdT ids[20];
  for (int i = 0; i < 20; i++) {
    ids[i] = (SaCkptSectionIdT)SA_CKPT_GENERATED_SECTION_ID;
    OK(create_with(&ids[i], SA_TIME_END, "x", 1));
    assert_true(ids[i].idLen >= 1 && ids[i].idLen <= 16);
    assert_non_null(ids[i].id);
    for (int k = 0; k < i; k++) {
      assert_false(ids[i].idLen == ids[k].idLen && memcmp(ids[i].id, ids[k].id, ids[i].idLen) == 0);
    }
  }
  assert_int_equal(status_of(ckpt).numberOfSections, 20);
  for (int i = 0; i < 20; i++) {
    OK(saCkptSectionDelete(ckpt, &ids[i]));
    if (i % 2 == 0) {
      OK(saCkptSectionIdFree(ckpt, ids[i].id));
    } else {
      free(ids[i].id);
    }
  }
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionIdFree(ckpt, NULL));
}

/* clause 11.1 */
static void generated_ids_fit_into_a_tiny_maximum(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.maxSectionIdSize = 3;
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "tiny-ids", &attributes);
  for (int i = 0; i < 100; i++) {
    SaCkptSectionIdT id = SA_CKPT_GENERATED_SECTION_ID;
    SaCkptSectionCreationAttributesT section = {.sectionId = &id, .expirationTime = SA_TIME_END};
    OK(saCkptSectionCreate(checkpoint, &section, NULL, 0));
    assert_true(id.idLen >= 1 && id.idLen <= 3);
    free(id.id);
  }
}

/* clauses 0.13, 11.2 */
static void ids_are_any_bytes_up_to_the_maximum_and_not_one_more(void **state) {
  (void)state;
  SaUint8T bytes[17] = {0, 255, 0, '/', '%', 10};
  for (SaUint16T length = 1; length <= 16; length++) {
    SaCkptSectionIdT id = {.idLen = length, .id = bytes};
    OK(create_with(&id, SA_TIME_END, "x", 1));
  }
  assert_int_equal(status_of(ckpt).numberOfSections, 16);
  SaCkptSectionIdT id = {.idLen = 17, .id = bytes};
  EXPECT(SA_AIS_ERR_INVALID_PARAM, create_with(&id, SA_TIME_END, "x", 1));
}

/* clause 11.3 */
static void initial_data_is_at_most_a_section_and_may_be_empty(void **state) {
  (void)state;
  char data[1001] = {0};
  SaCkptSectionIdT a = id_of("a");
  SaCkptSectionIdT b = id_of("b");
  SaCkptSectionIdT c = id_of("c");
  OK(create_with(&a, SA_TIME_END, data, 1000));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, create_with(&b, SA_TIME_END, data, 1001));
  OK(create_with(&b, SA_TIME_END, NULL, 0));
  OK(create_with(&c, SA_TIME_END, data, 0));
  assert_section(ckpt, "b", "");
  assert_section(ckpt, "c", "");
  SaCkptSectionIdT d = id_of("d");
  EXPECT(SA_AIS_ERR_INVALID_PARAM, create_with(&d, SA_TIME_END, NULL, 1));
}

/* clause 11.4 */
static void an_id_that_exists_can_not_be_created_again(void **state) {
  (void)state;
  OK(section_create(ckpt, "s", "first"));
  EXPECT(SA_AIS_ERR_EXIST, section_create(ckpt, "s", "second"));
  assert_section(ckpt, "s", "first");
}

/* clause 11.4 */
static void where_the_default_section_is_the_only_one_create_is_always_exist(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_default_section(lib, "create-default");
  SaCkptSectionIdT generated = SA_CKPT_GENERATED_SECTION_ID;
  SaCkptSectionCreationAttributesT section = {.sectionId = &generated, .expirationTime = SA_TIME_END};
  EXPECT(SA_AIS_ERR_EXIST, section_create(checkpoint, "s", "x"));
  EXPECT(SA_AIS_ERR_EXIST, saCkptSectionCreate(checkpoint, &section, "x", 1));
  assert_null(generated.id);
}

/* clauses 11.5, 12.4 */
static void max_sections_can_be_made_and_one_more_is_no_space_until_one_is_deleted(void **state) {
  (void)state;
  char text[16];
  for (int i = 0; i < 100; i++) {
    (void)snprintf(text, sizeof text, "%d", i);
    OK(section_create(ckpt, text, text));
  }
  EXPECT(SA_AIS_ERR_NO_SPACE, section_create(ckpt, "more", "x"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(ckpt, "more"));
  assert_int_equal(status_of(ckpt).numberOfSections, 100);
  OK(delete_section(ckpt, "50"));
  OK(section_create(ckpt, "more", "x"));
  EXPECT(SA_AIS_ERR_NO_SPACE, section_create(ckpt, "50", "x"));
}

/* clauses 11.6, 12.3, 13.3 */
static void changing_sections_needs_write(void **state) {
  (void)state;
  OK(section_create(ckpt, "s", "x"));
  SaCkptCheckpointHandleT reader = checkpoint_again(lib, "sections", SA_CKPT_CHECKPOINT_READ);
  SaCkptSectionIdT id = id_of("s");
  EXPECT(SA_AIS_ERR_ACCESS, section_create(reader, "t", "x"));
  EXPECT(SA_AIS_ERR_ACCESS, delete_section(reader, "s"));
  EXPECT(SA_AIS_ERR_ACCESS, saCkptSectionExpirationTimeSet(reader, &id, SA_TIME_END));
}

/* clauses 0.3, 0.4, 11.6, 12.3, 22.10 */
static void ids_that_are_none_are_invalid_params_before_anything_else(void **state) {
  (void)state;
  SaUint8T byte = 'x';
  SaCkptSectionIdT without_bytes = {.idLen = 3, .id = NULL};
  SaCkptSectionIdT without_length = {.idLen = 0, .id = &byte};
  const SaCkptSectionIdT *bad[] = {NULL, &without_bytes, &without_length};
  SaCkptCheckpointHandleT handles[] = {ckpt, 0};
  for (size_t i = 0; i < 3; i++) {
    for (size_t k = 0; k < 2; k++) {
      SaCkptSectionIdT copy = bad[i] != NULL ? *bad[i] : without_bytes;
      SaCkptSectionCreationAttributesT section = {.sectionId = bad[i] != NULL ? &copy : NULL,
                                                  .expirationTime = SA_TIME_END};
      EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(handles[k], &section, "x", 1));
      EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionDelete(handles[k], bad[i]));
      EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(handles[k], bad[i], SA_TIME_END));
      EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionOverwrite(handles[k], bad[i], "x", 1));
    }
  }
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionCreate(ckpt, NULL, "x", 1));
}

/* clauses 11.7, 13.5, 22.8 */
static void a_section_that_expires_in_the_past_is_accepted_and_gone_at_once(void **state) {
  (void)state;
  SaTimeT past[] = {0, 1, wall_now() - SECOND, wall_now()};
  for (size_t i = 0; i < 4; i++) {
    OK(section_create_expiring(ckpt, "s", "x", 1, past[i]));
    EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(ckpt, "s"));
    assert_int_equal(status_of(ckpt).numberOfSections, 0);
  }
  EXPECT(SA_AIS_ERR_INVALID_PARAM, section_create_expiring(ckpt, "s", "x", 1, -1));
  SaCkptSectionIdT id = id_of("t");
  OK(section_create(ckpt, "t", "x"));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(ckpt, &id, -1));
  OK(saCkptSectionExpirationTimeSet(ckpt, &id, 0));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(ckpt, "t"));
}

/* clauses 11.8, 22.9 */
static void the_sum_of_sections_may_exceed_the_checkpoint_size(void **state) {
  (void)state;
  SaCkptCheckpointCreationAttributesT attributes = attributes_of(SA_CKPT_WR_ALL_REPLICAS);
  attributes.checkpointSize = 10;
  SaCkptCheckpointHandleT checkpoint = checkpoint_create(lib, "small-size", &attributes);
  OK(section_create(checkpoint, "a", "0123456789"));
  OK(section_create(checkpoint, "b", "0123456789"));
}

/* clauses 12.1, 12.4 */
static void a_deleted_section_is_gone_and_its_id_is_free(void **state) {
  (void)state;
  OK(section_create(ckpt, "s", "old content"));
  OK(delete_section(ckpt, "s"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, delete_section(ckpt, "s"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(ckpt, "s"));
  OK(section_create(ckpt, "s", "new"));
  assert_section(ckpt, "s", "new");
}

/* clauses 12.2, 13.2 */
static void the_default_section_can_not_be_deleted_nor_expire(void **state) {
  (void)state;
  SaCkptCheckpointHandleT checkpoint = checkpoint_default_section(lib, "default-stays");
  SaCkptSectionIdT id = SA_CKPT_DEFAULT_SECTION_ID;
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionDelete(checkpoint, &id));
  EXPECT(SA_AIS_ERR_INVALID_PARAM, saCkptSectionExpirationTimeSet(checkpoint, &id, wall_now() + SECOND));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionDelete(ckpt, &id)); /* where there is none */
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionExpirationTimeSet(ckpt, &id, SA_TIME_END));
}

/* clauses 13.1, 13.5, 22.21: to the millisecond, on every way of looking */
static void an_expired_section_does_not_exist_for_any_call(void **state) {
  (void)state;
  SaCkptSectionIdT id = id_of("s");
  OK(section_create(ckpt, "s", "x"));
  SaTimeT expiration = wall_now() + 100 * SA_TIME_ONE_MILLISECOND;
  OK(saCkptSectionExpirationTimeSet(ckpt, &id, expiration));
  SaAisErrorT before = section_try(ckpt, "s");
  assert_true(before == SA_AIS_OK || wall_now() >= expiration); /* it is there, unless this machine stood still */
  wall_wait(expiration);
  SaCkptIOVectorElementT element = element_of("s", "y", 1, 0);
  SaCkptSectionIterationHandleT iteration;
  SaCkptSectionDescriptorT descriptor;
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_try(ckpt, "s"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, section_overwrite(ckpt, "s", "y"));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptCheckpointWrite(ckpt, &element, 1, NULL));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionExpirationTimeSet(ckpt, &id, SA_TIME_END));
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionDelete(ckpt, &id));
  OK(saCkptSectionIterationInitialize(ckpt, SA_CKPT_SECTIONS_ANY, 0, &iteration));
  EXPECT(SA_AIS_ERR_NO_SECTIONS, saCkptSectionIterationNext(iteration, &descriptor));
  assert_int_equal(status_of(ckpt).numberOfSections, 0);
  OK(section_create(ckpt, "s", "again"));
}

/* clauses 13.5, 22.21: their slots are free */
static void expired_sections_make_room_for_new_ones(void **state) {
  (void)state;
  char text[16];
  for (int i = 0; i < 100; i++) {
    (void)snprintf(text, sizeof text, "%d", i);
    OK(section_create_expiring(ckpt, text, "x", 1, i < 50 ? 0 : SA_TIME_END));
  }
  for (int i = 0; i < 50; i++) {
    (void)snprintf(text, sizeof text, "%d", i);
    OK(section_create(ckpt, text, "y"));
  }
  EXPECT(SA_AIS_ERR_NO_SPACE, section_create(ckpt, "more", "x"));
}

/* clause 13.4 */
static void the_expiration_time_of_an_unknown_section_can_not_be_set(void **state) {
  (void)state;
  SaCkptSectionIdT id = id_of("unknown");
  EXPECT(SA_AIS_ERR_NOT_EXIST, saCkptSectionExpirationTimeSet(ckpt, &id, SA_TIME_END));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_CHECKPOINT(generated_ids_are_unique_and_given_back_with_id_free_or_free),
      WITH_CHECKPOINT(generated_ids_fit_into_a_tiny_maximum),
      WITH_CHECKPOINT(ids_are_any_bytes_up_to_the_maximum_and_not_one_more),
      WITH_CHECKPOINT(initial_data_is_at_most_a_section_and_may_be_empty),
      WITH_CHECKPOINT(an_id_that_exists_can_not_be_created_again),
      WITH_CHECKPOINT(where_the_default_section_is_the_only_one_create_is_always_exist),
      WITH_CHECKPOINT(max_sections_can_be_made_and_one_more_is_no_space_until_one_is_deleted),
      WITH_CHECKPOINT(changing_sections_needs_write),
      WITH_CHECKPOINT(ids_that_are_none_are_invalid_params_before_anything_else),
      WITH_CHECKPOINT(a_section_that_expires_in_the_past_is_accepted_and_gone_at_once),
      WITH_CHECKPOINT(the_sum_of_sections_may_exceed_the_checkpoint_size),
      WITH_CHECKPOINT(a_deleted_section_is_gone_and_its_id_is_free),
      WITH_CHECKPOINT(the_default_section_can_not_be_deleted_nor_expire),
      WITH_CHECKPOINT(an_expired_section_does_not_exist_for_any_call),
      WITH_CHECKPOINT(expired_sections_make_room_for_new_ones),
      WITH_CHECKPOINT(the_expiration_time_of_an_unknown_section_can_not_be_set),
  };
  return cmocka_run_group_tests(tests, group_open, group_close);
}
