/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saAis.h and saCkpt.h are binary compatible with what programs on 64-bit Linux were compiled against (OpenSAF's
 * headers for AIS B.05 and CKPT B.02.02): sizes, offsets, values, prototypes. Nearly all of it is judged by the
 * compiler; that it compiles is the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <saCkpt.h>
#include <cmocka.h>

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type)
#define PLACE(type, member, offset, size)                                               \
  _Static_assert(offsetof(type, member) == (offset), "place of " #member " in " #type); \
  _Static_assert(sizeof(((type *)0)->member) == (size), "size of " #member " in " #type)
#define VALUE(name, value) _Static_assert((name) == (value), "value of " #name)
#define IS(expression, type) _Static_assert(_Generic((expression), type : 1, default : 0), #expression " is " #type)

/* ---- saAis.h ---- */

IS((SaInt8T)0, char);
IS((SaInt16T)0, short);
IS((SaInt32T)0, int);
IS((SaInt64T)0, long long);
IS((SaUint8T)0, unsigned char);
IS((SaUint16T)0, unsigned short);
IS((SaUint32T)0, unsigned int);
IS((SaUint64T)0, unsigned long long);
IS((SaFloatT)0, float);
IS((SaDoubleT)0, double);
IS((SaStringT)0, char *);
IS((SaConstStringT)0, const char *);
IS((SaTimeT)0, long long);
IS((SaInvocationT)0, unsigned long long);
IS((SaSizeT)0, unsigned long long);
IS((SaOffsetT)0, unsigned long long);
IS((SaSelectionObjectT)0, unsigned long long);

VALUE(SA_TIME_END, INT64_MAX);
VALUE(SA_TIME_MAX, INT64_MAX);
VALUE(SA_TIME_BEGIN, 0);
VALUE(SA_TIME_UNKNOWN, INT64_MIN);
VALUE(SA_TIME_ONE_MICROSECOND, 1000);
VALUE(SA_TIME_ONE_MILLISECOND, 1000 * SA_TIME_ONE_MICROSECOND);
VALUE(SA_TIME_ONE_SECOND, 1000 * SA_TIME_ONE_MILLISECOND);
VALUE(SA_TIME_ONE_MINUTE, 60 * SA_TIME_ONE_SECOND);
VALUE(SA_TIME_ONE_HOUR, 60 * SA_TIME_ONE_MINUTE);
VALUE(SA_TIME_ONE_DAY, 24 * SA_TIME_ONE_HOUR);
VALUE(SA_MAX_NAME_LENGTH, 256);

VALUE(SA_TRACK_CURRENT, 1);
VALUE(SA_TRACK_CHANGES, 2);
VALUE(SA_TRACK_CHANGES_ONLY, 4);
VALUE(SA_TRACK_LOCAL, 8);
VALUE(SA_TRACK_START_STEP, 16);
VALUE(SA_TRACK_VALIDATE_STEP, 32);

SIZE(SaBoolT, 4);
VALUE(SA_FALSE, 0);
VALUE(SA_TRUE, 1);
SIZE(SaDispatchFlagsT, 4);
VALUE(SA_DISPATCH_ONE, 1);
VALUE(SA_DISPATCH_ALL, 2);
VALUE(SA_DISPATCH_BLOCKING, 3);

SIZE(SaNameT, 258);
PLACE(SaNameT, length, 0, 2);
PLACE(SaNameT, value, 2, 256);
SIZE(SaVersionT, 3);
PLACE(SaVersionT, releaseCode, 0, 1);
PLACE(SaVersionT, majorVersion, 1, 1);
PLACE(SaVersionT, minorVersion, 2, 1);
SIZE(SaAnyT, 16);
PLACE(SaAnyT, bufferSize, 0, 8);
PLACE(SaAnyT, bufferAddr, 8, 8);
SIZE(SaLimitValueT, 8);

SIZE(SaAisErrorT, 4);
VALUE(SA_AIS_OK, 1);
VALUE(SA_AIS_ERR_LIBRARY, 2);
VALUE(SA_AIS_ERR_VERSION, 3);
VALUE(SA_AIS_ERR_INIT, 4);
VALUE(SA_AIS_ERR_TIMEOUT, 5);
VALUE(SA_AIS_ERR_TRY_AGAIN, 6);
VALUE(SA_AIS_ERR_INVALID_PARAM, 7);
VALUE(SA_AIS_ERR_NO_MEMORY, 8);
VALUE(SA_AIS_ERR_BAD_HANDLE, 9);
VALUE(SA_AIS_ERR_BUSY, 10);
VALUE(SA_AIS_ERR_ACCESS, 11);
VALUE(SA_AIS_ERR_NOT_EXIST, 12);
VALUE(SA_AIS_ERR_NAME_TOO_LONG, 13);
VALUE(SA_AIS_ERR_EXIST, 14);
VALUE(SA_AIS_ERR_NO_SPACE, 15);
VALUE(SA_AIS_ERR_INTERRUPT, 16);
VALUE(SA_AIS_ERR_NAME_NOT_FOUND, 17);
VALUE(SA_AIS_ERR_NO_RESOURCES, 18);
VALUE(SA_AIS_ERR_NOT_SUPPORTED, 19);
VALUE(SA_AIS_ERR_BAD_OPERATION, 20);
VALUE(SA_AIS_ERR_FAILED_OPERATION, 21);
VALUE(SA_AIS_ERR_MESSAGE_ERROR, 22);
VALUE(SA_AIS_ERR_QUEUE_FULL, 23);
VALUE(SA_AIS_ERR_QUEUE_NOT_AVAILABLE, 24);
VALUE(SA_AIS_ERR_BAD_FLAGS, 25);
VALUE(SA_AIS_ERR_TOO_BIG, 26);
VALUE(SA_AIS_ERR_NO_SECTIONS, 27);
VALUE(SA_AIS_ERR_NO_OP, 28);
VALUE(SA_AIS_ERR_REPAIR_PENDING, 29);
VALUE(SA_AIS_ERR_NO_BINDINGS, 30);
VALUE(SA_AIS_ERR_UNAVAILABLE, 31);
VALUE(SA_AIS_ERR_CAMPAIGN_ERROR_DETECTED, 32);
VALUE(SA_AIS_ERR_CAMPAIGN_PROC_FAILED, 33);
VALUE(SA_AIS_ERR_CAMPAIGN_CANCELED, 34);
VALUE(SA_AIS_ERR_CAMPAIGN_FAILED, 35);
VALUE(SA_AIS_ERR_CAMPAIGN_SUSPENDED, 36);
VALUE(SA_AIS_ERR_CAMPAIGN_SUSPENDING, 37);
VALUE(SA_AIS_ERR_ACCESS_DENIED, 38);
VALUE(SA_AIS_ERR_NOT_READY, 39);
VALUE(SA_AIS_ERR_DEPLOYMENT, 40);

SIZE(SaServicesT, 4);
VALUE(SA_SVC_HPI, 1);
VALUE(SA_SVC_AMF, 2);
VALUE(SA_SVC_CLM, 3);
VALUE(SA_SVC_CKPT, 4);
VALUE(SA_SVC_EVT, 5);
VALUE(SA_SVC_MSG, 6);
VALUE(SA_SVC_LCK, 7);
VALUE(SA_SVC_IMMS, 8);
VALUE(SA_SVC_LOG, 9);
VALUE(SA_SCV_LOG, 9);
VALUE(SA_SVC_NTF, 10);
VALUE(SA_SVC_NAM, 11);
VALUE(SA_SVC_TMR, 12);
VALUE(SA_SVC_SMF, 13);
VALUE(SA_SVC_SEC, 14);
VALUE(SA_SVC_PLM, 15);

/* ---- saCkpt.h ---- */

IS((SaCkptHandleT)0, unsigned long long);
IS((SaCkptCheckpointHandleT)0, unsigned long long);
IS((SaCkptSectionIterationHandleT)0, unsigned long long);
IS((SaCkptCheckpointCreationFlagsT)0, unsigned int);
IS((SaCkptCheckpointOpenFlagsT)0, unsigned int);

VALUE(SA_CKPT_WR_ALL_REPLICAS, 1);
VALUE(SA_CKPT_WR_ACTIVE_REPLICA, 2);
VALUE(SA_CKPT_WR_ACTIVE_REPLICA_WEAK, 4);
VALUE(SA_CKPT_CHECKPOINT_COLLOCATED, 8);
VALUE(SA_CKPT_CHECKPOINT_READ, 1);
VALUE(SA_CKPT_CHECKPOINT_WRITE, 2);
VALUE(SA_CKPT_CHECKPOINT_CREATE, 4);
VALUE(SA_CKPT_SECTION_RESOURCES_EXHAUSTED, 1);
VALUE(SA_CKPT_SECTION_RESOURCES_AVAILABLE, 2);
VALUE(SA_CKPT_SECTION_FULL, 1);
VALUE(SA_CKPT_SECTION_AVAILABLE, 2);
VALUE(SA_CKPT_CHECKPOINT_STATUS, 1);
VALUE(SA_CKPT_SECTION_VALID, 1);
VALUE(SA_CKPT_SECTION_CORRUPTED, 2);
VALUE(SA_CKPT_SECTIONS_FOREVER, 1);
VALUE(SA_CKPT_SECTIONS_LEQ_EXPIRATION_TIME, 2);
VALUE(SA_CKPT_SECTIONS_GEQ_EXPIRATION_TIME, 3);
VALUE(SA_CKPT_SECTIONS_CORRUPTED, 4);
VALUE(SA_CKPT_SECTIONS_ANY, 5);
SIZE(SaCkptCheckpointStatusT, 4);
SIZE(saCkptCheckpointStatusT, 4);
SIZE(SaCkptStateT, 4);
SIZE(SaCkptSectionStateT, 4);
SIZE(SaCkptSectionsChosenT, 4);

SIZE(SaCkptCheckpointCreationAttributesT, 48);
PLACE(SaCkptCheckpointCreationAttributesT, creationFlags, 0, 4);
PLACE(SaCkptCheckpointCreationAttributesT, checkpointSize, 8, 8);
PLACE(SaCkptCheckpointCreationAttributesT, retentionDuration, 16, 8);
PLACE(SaCkptCheckpointCreationAttributesT, maxSections, 24, 4);
PLACE(SaCkptCheckpointCreationAttributesT, maxSectionSize, 32, 8);
PLACE(SaCkptCheckpointCreationAttributesT, maxSectionIdSize, 40, 8);

SIZE(SaCkptCheckpointDescriptorT, 64);
PLACE(SaCkptCheckpointDescriptorT, checkpointCreationAttributes, 0, 48);
PLACE(SaCkptCheckpointDescriptorT, numberOfSections, 48, 4);
PLACE(SaCkptCheckpointDescriptorT, memoryUsed, 56, 8);

SIZE(SaCkptSectionIdT, 16);
PLACE(SaCkptSectionIdT, idLen, 0, 2);
PLACE(SaCkptSectionIdT, id, 8, 8);

SIZE(SaCkptSectionCreationAttributesT, 16);
PLACE(SaCkptSectionCreationAttributesT, sectionId, 0, 8);
PLACE(SaCkptSectionCreationAttributesT, expirationTime, 8, 8);

SIZE(SaCkptSectionDescriptorT, 48);
PLACE(SaCkptSectionDescriptorT, sectionId, 0, 16);
PLACE(SaCkptSectionDescriptorT, expirationTime, 16, 8);
PLACE(SaCkptSectionDescriptorT, sectionSize, 24, 8);
PLACE(SaCkptSectionDescriptorT, sectionState, 32, 4);
PLACE(SaCkptSectionDescriptorT, lastUpdate, 40, 8);

SIZE(SaCkptIOVectorElementT, 48);
PLACE(SaCkptIOVectorElementT, sectionId, 0, 16);
PLACE(SaCkptIOVectorElementT, dataBuffer, 16, 8);
PLACE(SaCkptIOVectorElementT, dataSize, 24, 8);
PLACE(SaCkptIOVectorElementT, dataOffset, 32, 8);
PLACE(SaCkptIOVectorElementT, readSize, 40, 8);

SIZE(SaCkptCallbacksT, 16);
PLACE(SaCkptCallbacksT, saCkptCheckpointOpenCallback, 0, 8);
PLACE(SaCkptCallbacksT, saCkptCheckpointSynchronizeCallback, 8, 8);
IS((SaCkptCheckpointOpenCallbackT)0, void (*)(SaInvocationT, SaCkptCheckpointHandleT, SaAisErrorT));
IS((SaCkptCheckpointSynchronizeCallbackT)0, void (*)(SaInvocationT, SaAisErrorT));

/* The calls, one line each; the expressions are not evaluated, so nothing is linked. */
IS(&saCkptInitialize, SaAisErrorT (*)(SaCkptHandleT *, const SaCkptCallbacksT *, SaVersionT *));
IS(&saCkptSelectionObjectGet, SaAisErrorT (*)(SaCkptHandleT, SaSelectionObjectT *));
IS(&saCkptDispatch, SaAisErrorT (*)(SaCkptHandleT, SaDispatchFlagsT));
IS(&saCkptFinalize, SaAisErrorT (*)(SaCkptHandleT));
IS(&saCkptCheckpointOpen, SaAisErrorT (*)(SaCkptHandleT, const SaNameT *, const SaCkptCheckpointCreationAttributesT *,
                                          SaCkptCheckpointOpenFlagsT, SaTimeT, SaCkptCheckpointHandleT *));
IS(&saCkptCheckpointOpenAsync,
   SaAisErrorT (*)(SaCkptHandleT, SaInvocationT, const SaNameT *, const SaCkptCheckpointCreationAttributesT *,
                   SaCkptCheckpointOpenFlagsT));
IS(&saCkptCheckpointClose, SaAisErrorT (*)(SaCkptCheckpointHandleT));
IS(&saCkptCheckpointUnlink, SaAisErrorT (*)(SaCkptHandleT, const SaNameT *));
IS(&saCkptCheckpointRetentionDurationSet, SaAisErrorT (*)(SaCkptCheckpointHandleT, SaTimeT));
IS(&saCkptActiveReplicaSet, SaAisErrorT (*)(SaCkptCheckpointHandleT));
IS(&saCkptCheckpointStatusGet, SaAisErrorT (*)(SaCkptCheckpointHandleT, SaCkptCheckpointDescriptorT *));
IS(&saCkptSectionCreate,
   SaAisErrorT (*)(SaCkptCheckpointHandleT, SaCkptSectionCreationAttributesT *, const void *, SaSizeT));
IS(&saCkptSectionDelete, SaAisErrorT (*)(SaCkptCheckpointHandleT, const SaCkptSectionIdT *));
IS(&saCkptSectionIdFree, SaAisErrorT (*)(SaCkptCheckpointHandleT, SaUint8T *));
IS(&saCkptSectionExpirationTimeSet, SaAisErrorT (*)(SaCkptCheckpointHandleT, const SaCkptSectionIdT *, SaTimeT));
IS(&saCkptSectionIterationInitialize,
   SaAisErrorT (*)(SaCkptCheckpointHandleT, SaCkptSectionsChosenT, SaTimeT, SaCkptSectionIterationHandleT *));
IS(&saCkptSectionIterationNext, SaAisErrorT (*)(SaCkptSectionIterationHandleT, SaCkptSectionDescriptorT *));
IS(&saCkptSectionIterationFinalize, SaAisErrorT (*)(SaCkptSectionIterationHandleT));
IS(&saCkptCheckpointWrite,
   SaAisErrorT (*)(SaCkptCheckpointHandleT, const SaCkptIOVectorElementT *, SaUint32T, SaUint32T *));
IS(&saCkptSectionOverwrite, SaAisErrorT (*)(SaCkptCheckpointHandleT, const SaCkptSectionIdT *, const void *, SaSizeT));
IS(&saCkptCheckpointRead, SaAisErrorT (*)(SaCkptCheckpointHandleT, SaCkptIOVectorElementT *, SaUint32T, SaUint32T *));
IS(&saCkptIOVectorElementDataFree, SaAisErrorT (*)(SaCkptCheckpointHandleT, void *));
IS(&saCkptCheckpointSynchronize, SaAisErrorT (*)(SaCkptCheckpointHandleT, SaTimeT));
IS(&saCkptCheckpointSynchronizeAsync, SaAisErrorT (*)(SaCkptCheckpointHandleT, SaInvocationT));

/* clauses 10.5, 21.3: by the assertions above, which the compiler has judged */
static void the_initializers_of_ids_make_empty_ids(void **state) {
  (void)state;
  const SaCkptSectionIdT default_id = SA_CKPT_DEFAULT_SECTION_ID;
  const SaCkptSectionIdT generated_id = SA_CKPT_GENERATED_SECTION_ID;
  assert_int_equal(default_id.idLen, 0);
  assert_null(default_id.id);
  assert_int_equal(generated_id.idLen, 0);
  assert_null(generated_id.id);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_initializers_of_ids_make_empty_ids),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
