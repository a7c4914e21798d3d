/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a program that was built against OpenSAF on 64-bit Linux believes libSaCkpt.so.1 to be: shapes and signatures,
 * told independently of our headers, so that a mistake in those shows.
 */
#ifndef VESTA_TEST_DROPIN_OPENSAF_SHAPE_H
#define VESTA_TEST_DROPIN_OPENSAF_SHAPE_H

#include <stdint.h>

typedef uint64_t handle_t;
typedef int sa_error_t; /* an enum */

enum {
  OK = 1,
  ERR_BAD_HANDLE = 9,
  ERR_INVALID_PARAM = 7,
  ERR_NOT_EXIST = 12,
  ERR_NOT_SUPPORTED = 19,
  ERR_NO_SECTIONS = 27
};
enum { ALL_REPLICAS = 1, ACTIVE_REPLICA = 2, COLLOCATED = 8 };
enum { FOR_READ = 1, FOR_WRITE = 2, CREATE = 4 };
enum { DISPATCH_ONE = 1, DISPATCH_ALL = 2 };
enum { SECTIONS_ANY = 5 };
#define TIME_END INT64_MAX

typedef struct name {
  uint16_t words[129]; /* plain: length, then up to 256 bytes */
} name_t;

typedef struct version {
  uint8_t release, major, minor;
} version_t;

typedef struct attributes {
  uint32_t flags, pad_1;
  uint64_t checkpoint_size;
  int64_t retention;
  uint32_t sections_max, pad_2;
  uint64_t section_size_max, id_size_max;
} attributes_t;

typedef struct status {
  attributes_t attributes;
  uint32_t sections, pad;
  uint64_t bytes;
} status_t;

typedef struct id {
  uint16_t size, pad[3];
  uint8_t *bytes;
} section_id_t;

typedef struct section_attributes {
  section_id_t *id;
  int64_t expiry;
} section_attributes_t;

typedef struct descriptor {
  section_id_t id;
  int64_t expiry;
  uint64_t size;
  int32_t state, pad;
  int64_t updated;
} descriptor_t;

typedef struct io {
  section_id_t id;
  void *buffer;
  uint64_t size, offset, read;
} io_t;

typedef struct callbacks {
  void (*opened)(uint64_t invocation, handle_t checkpoint, sa_error_t error);
  void (*synchronized)(uint64_t invocation, sa_error_t error);
} callbacks_t;

typedef struct callbacks_2 {
  callbacks_t first;
  void (*tracked)(handle_t checkpoint, io_t *vector, uint32_t count);
} callbacks_2_t;

sa_error_t saCkptInitialize(handle_t *library, const callbacks_t *callbacks, version_t *version);
sa_error_t saCkptInitialize_2(handle_t *library, const callbacks_2_t *callbacks, version_t *version);
sa_error_t saCkptSelectionObjectGet(handle_t library, uint64_t *object);
sa_error_t saCkptDispatch(handle_t library, int flags);
sa_error_t saCkptFinalize(handle_t library);
sa_error_t saCkptCheckpointOpen(handle_t library, const name_t *name, const attributes_t *attributes, uint32_t flags,
                                int64_t timeout, handle_t *checkpoint);
sa_error_t saCkptCheckpointOpenAsync(handle_t library, uint64_t invocation, const name_t *name,
                                     const attributes_t *attributes, uint32_t flags);
sa_error_t saCkptCheckpointClose(handle_t checkpoint);
sa_error_t saCkptCheckpointUnlink(handle_t library, const name_t *name);
sa_error_t saCkptCheckpointRetentionDurationSet(handle_t checkpoint, int64_t duration);
sa_error_t saCkptActiveReplicaSet(handle_t checkpoint);
sa_error_t saCkptCheckpointStatusGet(handle_t checkpoint, status_t *status);
sa_error_t saCkptSectionCreate(handle_t checkpoint, section_attributes_t *attributes, const void *data, uint64_t size);
sa_error_t saCkptSectionDelete(handle_t checkpoint, const section_id_t *id);
sa_error_t saCkptSectionIdFree(handle_t checkpoint, uint8_t *id);
sa_error_t saCkptSectionExpirationTimeSet(handle_t checkpoint, const section_id_t *id, int64_t expiry);
sa_error_t saCkptSectionIterationInitialize(handle_t checkpoint, int chosen, int64_t expiry, handle_t *iteration);
sa_error_t saCkptSectionIterationNext(handle_t iteration, descriptor_t *descriptor);
sa_error_t saCkptSectionIterationFinalize(handle_t iteration);
sa_error_t saCkptCheckpointWrite(handle_t checkpoint, const io_t *vector, uint32_t count, uint32_t *erroneous);
sa_error_t saCkptSectionOverwrite(handle_t checkpoint, const section_id_t *id, const void *data, uint64_t size);
sa_error_t saCkptCheckpointRead(handle_t checkpoint, io_t *vector, uint32_t count, uint32_t *erroneous);
sa_error_t saCkptIOVectorElementDataFree(handle_t checkpoint, void *data);
sa_error_t saCkptCheckpointSynchronize(handle_t checkpoint, int64_t timeout);
sa_error_t saCkptCheckpointSynchronizeAsync(handle_t checkpoint, uint64_t invocation);
sa_error_t saCkptTrack(handle_t library);
sa_error_t saCkptTrackStop(handle_t library);
sa_error_t saCkptCheckpointTrack(handle_t checkpoint);
sa_error_t saCkptCheckpointTrackStop(handle_t checkpoint);
sa_error_t ncsCkptRegisterCkptArrivalCallback(handle_t library,
                                              void (*arrived)(handle_t checkpoint, io_t *vector, uint32_t count));
void saAisNameLend(const char *text, name_t *name);
const char *saAisNameBorrow(const name_t *name);
const char *saAisStrError(sa_error_t error);

#endif
