/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saCkpt.h: the Checkpoint Service of the SA Forum (SAI-AIS-CKPT-B.02.02), as Vesta offers it.
 *
 * A *checkpoint* has a name and a set of *sections*; a section has an id and bytes. Processes that open the checkpoint
 * share them, and they outlive the process that wrote them. Link with -lSaCkpt. Names, numbers and layouts are the
 * standard's, and those of OpenSAF's header on 64-bit Linux. To follow changes as they happen, see vesta.h.
 *
 *     saCkptInitialize -> saCkptCheckpointOpen -> create, write, read, iterate ... -> saCkptCheckpointClose
 *                      -> saCkptSelectionObjectGet, poll, saCkptDispatch                -> saCkptFinalize
 *
 * Said once for all calls:
 *
 * - **Errors of any call.** Besides what it lists, every call that asks the daemon may return SA_AIS_ERR_TRY_AGAIN
 *   (there is no daemon just now, or it is overloaded: no effect), SA_AIS_ERR_TIMEOUT (no answer in time: the effect is
 *   unknown), SA_AIS_ERR_NO_MEMORY, SA_AIS_ERR_NO_RESOURCES (descriptors, or a limit below), SA_AIS_ERR_LIBRARY (the
 *   library cannot go on: finalize). One that changes something may also return SA_AIS_ERR_NO_SPACE (the memory that
 *   holds checkpoints is used up: no effect).
 * - **A call that fails changes nothing**, neither in the checkpoint nor in what the caller's pointers point to, unless
 *   it says otherwise.
 * - **Order of checks.** Required pointers and flags first, then the handle, the access mode, the parameters against
 *   the checkpoint's limits, the state. A NULL where a pointer is required is SA_AIS_ERR_INVALID_PARAM, never a
 *   crash.
 * - **Handles.** Zero, garbage, a closed or finalized handle is SA_AIS_ERR_BAD_HANDLE. A checkpoint handle ends with
 *   its library handle, an iteration with its checkpoint handle. When a process dies its handles are finalized. In a
 *   forked child every handle is SA_AIS_ERR_BAD_HANDLE; the parent's are not disturbed. If the daemon comes back
 *   without its memory (after the machine was started anew), all handles are bad: initialize again.
 * - **Threads.** Every call may be made from any thread at any time, also from inside a callback, but not from a signal
 *   handler. The library starts no thread of its own.
 * - **The default section.** A checkpoint whose maxSections is 1 has one section from the start, with the id
 *   SA_CKPT_DEFAULT_SECTION_ID; it never expires and is neither created nor deleted.
 * - **Replicas and the active replica.** With SA_CKPT_WR_ALL_REPLICAS a change is in every replica when the call
 *   returns. In the two asynchronous modes it is in the active replica, and readers always see that one. Of a
 *   collocated asynchronous checkpoint no replica is active until saCkptActiveReplicaSet() was called; until then
 *   calls that need one return SA_AIS_ERR_NOT_EXIST.
 * - **Versions.** A few checks differ between B.01 and B.02; the version given to saCkptInitialize() decides. They are
 *   marked "from B.02 on".
 *
 * Clauses are those of SAI-AIS-CKPT-B.01.01, whose text B.02.02 keeps where nothing else is said.
 *
 * Limits here: names of 256 bytes (2,048 in the extended form, see saAisNameLend()), section ids of 1,024, sections of
 * 64 MiB, 1,000,000 sections in a checkpoint, 1,000 elements and 256 MiB in one vector.
 */
#ifndef SA_CKPT_H
#define SA_CKPT_H

#include <stddef.h>

#include <saAis.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- handles ---- */

typedef SaUint64T SaCkptHandleT;                 /**< a library handle: one association with the service */
typedef SaUint64T SaCkptCheckpointHandleT;       /**< an open checkpoint */
typedef SaUint64T SaCkptSectionIterationHandleT; /**< a walk over sections */

/* ---- checkpoints ---- */

/** How replicas follow: exactly one of the first three, with or without COLLOCATED. */
typedef SaUint32T SaCkptCheckpointCreationFlagsT;
#define SA_CKPT_WR_ALL_REPLICAS 0x1        /**< a change is in all replicas, or in none, when its call returns */
#define SA_CKPT_WR_ACTIVE_REPLICA 0x2      /**< in the active replica; the others follow */
#define SA_CKPT_WR_ACTIVE_REPLICA_WEAK 0x4 /**< the same; the standard lets a call that dies leave a half change */
#define SA_CKPT_CHECKPOINT_COLLOCATED 0x8  /**< replicas live where the checkpoint is open */

/** What a checkpoint is made with; it can be changed by no later open. */
typedef struct {
  SaCkptCheckpointCreationFlagsT creationFlags;
  SaSizeT checkpointSize;    /**< bytes; at most maxSections * maxSectionSize. Kept and told, not enforced */
  SaTimeT retentionDuration; /**< how long it lives on after its last close; below 0, or SA_TIME_END: for ever */
  SaUint32T maxSections;     /**< 1: there is the default section alone */
  SaSizeT maxSectionSize;    /**< bytes */
  SaSizeT maxSectionIdSize;  /**< bytes */
} SaCkptCheckpointCreationAttributesT;

/** What an open is for: any of these, at least one. */
typedef SaUint32T SaCkptCheckpointOpenFlagsT;
#define SA_CKPT_CHECKPOINT_READ 0x1   /**< the handle may read */
#define SA_CKPT_CHECKPOINT_WRITE 0x2  /**< the handle may change */
#define SA_CKPT_CHECKPOINT_CREATE 0x4 /**< make the checkpoint if there is none */

/** What saCkptCheckpointStatusGet() tells. */
typedef struct {
  SaCkptCheckpointCreationAttributesT checkpointCreationAttributes; /**< retentionDuration: as last set */
  SaUint32T numberOfSections;                                       /**< the default section counts */
  SaSizeT memoryUsed;                                               /**< bytes of data in all sections */
} SaCkptCheckpointDescriptorT;

/** What a notification of the service may say of a checkpoint's sections. Vesta sends none. */
typedef enum {
  SA_CKPT_SECTION_RESOURCES_EXHAUSTED = 1,                    /**< there are maxSections sections */
  SA_CKPT_SECTION_RESOURCES_AVAILABLE = 2,                    /**< there is room again */
  SA_CKPT_SECTION_FULL = SA_CKPT_SECTION_RESOURCES_EXHAUSTED, /* older spellings of the two */
  SA_CKPT_SECTION_AVAILABLE = SA_CKPT_SECTION_RESOURCES_AVAILABLE
} SaCkptCheckpointStatusT;
typedef SaCkptCheckpointStatusT saCkptCheckpointStatusT; /* as some headers misprint it */

/** Which state such a notification is about. */
typedef enum { SA_CKPT_CHECKPOINT_STATUS = 1 } SaCkptStateT;

/* ---- sections ---- */

/** A section's id: bytes of any value, unique within its checkpoint. */
typedef struct {
  SaUint16T idLen; /**< bytes */
  SaUint8T *id;
} SaCkptSectionIdT;

/** Initializer: the default section. */
#define SA_CKPT_DEFAULT_SECTION_ID \
  { 0, NULL }
/** Initializer: have saCkptSectionCreate() make an id. */
#define SA_CKPT_GENERATED_SECTION_ID \
  { 0, NULL }

/** What a section is made with. */
typedef struct {
  SaCkptSectionIdT *sectionId; /**< set by saCkptSectionCreate() when it generates the id */
  SaTimeT expirationTime;      /**< the point in time at which it vanishes; SA_TIME_END: never */
} SaCkptSectionCreationAttributesT;

/** Whether a section may be read. */
typedef enum {
  SA_CKPT_SECTION_VALID = 1,
  SA_CKPT_SECTION_CORRUPTED = 2 /**< a replica could not follow a change; on a single node no section ever is */
} SaCkptSectionStateT;

/** What an iteration tells of a section. */
typedef struct {
  SaCkptSectionIdT sectionId; /**< `id` belongs to the library, see saCkptSectionIterationNext() */
  SaTimeT expirationTime;     /**< point in time; SA_TIME_END: never */
  SaSizeT sectionSize;        /**< bytes */
  SaCkptSectionStateT sectionState;
  SaTimeT lastUpdate; /**< point in time of the last change of its data */
} SaCkptSectionDescriptorT;

/** Which sections an iteration shows. */
typedef enum {
  SA_CKPT_SECTIONS_FOREVER = 1,             /**< those that never expire */
  SA_CKPT_SECTIONS_LEQ_EXPIRATION_TIME = 2, /**< expiring at the given time or before */
  SA_CKPT_SECTIONS_GEQ_EXPIRATION_TIME = 3, /**< expiring at the given time or later, or never */
  SA_CKPT_SECTIONS_CORRUPTED = 4,
  SA_CKPT_SECTIONS_ANY = 5
} SaCkptSectionsChosenT;

/** One piece of a read or write. */
typedef struct {
  SaCkptSectionIdT sectionId;
  void *dataBuffer;     /**< the caller's; NULL in a read: the library makes one */
  SaSizeT dataSize;     /**< bytes to write, or room in the buffer */
  SaOffsetT dataOffset; /**< bytes from the start of the section */
  SaSizeT readSize;     /**< set by a read: bytes in the buffer; ignored by a write */
} SaCkptIOVectorElementT;

/* ---- callbacks ---- */

/**
 * A saCkptCheckpointOpenAsync() is done.
 *
 * @param invocation        as given to the call
 * @param checkpointHandle  an open handle if `error` is SA_AIS_OK, else nothing
 * @param error             what saCkptCheckpointOpen() would have returned
 *
 * Owns:    the handle is the application's: close it with saCkptCheckpointClose()
 * Threads: runs in the thread that calls saCkptDispatch()
 * Spec:    3.5.2
 */
typedef void (*SaCkptCheckpointOpenCallbackT)(SaInvocationT invocation, SaCkptCheckpointHandleT checkpointHandle,
                                              SaAisErrorT error);

/**
 * A saCkptCheckpointSynchronizeAsync() is done.
 *
 * @param invocation  as given to the call
 * @param error       what saCkptCheckpointSynchronize() would have returned
 *
 * Threads: runs in the thread that calls saCkptDispatch()
 * Spec:    3.7.5
 */
typedef void (*SaCkptCheckpointSynchronizeCallbackT)(SaInvocationT invocation, SaAisErrorT error);

/** The callbacks of a library handle; those that are not needed may be NULL. */
typedef struct {
  SaCkptCheckpointOpenCallbackT saCkptCheckpointOpenCallback;
  SaCkptCheckpointSynchronizeCallbackT saCkptCheckpointSynchronizeCallback;
} SaCkptCallbacksT;

/* ---- library life ---- */

/**
 * Become a user of the service. A process may do so several times; each handle has its own callbacks and descriptor.
 * If no daemon runs for this user, a private one is started, unless VESTA_AUTOSPAWN=0.
 *
 * @param[out] ckptHandle  set on SA_AIS_OK only; end it with saCkptFinalize()
 * @param callbacks        copied; NULL: none
 * @param[in,out] version  in: what the caller was written for; 'B', major 0 to 2, any minor. Out, with SA_AIS_OK and
 *                         SA_AIS_ERR_VERSION: what is supported, 'B', 2, 3
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  ckptHandle or version is NULL
 *         SA_AIS_ERR_VERSION        the release is not 'B', or the major version above 2
 *         SA_AIS_ERR_ACCESS         the daemon does not serve this user, or its directory is not safe to use
 *         SA_AIS_ERR_NO_RESOURCES   no descriptors are left, or the daemon has all the clients it can serve
 *         SA_AIS_ERR_LIBRARY        the daemon speaks another protocol, or the path of its socket is too long
 *         SA_AIS_ERR_TRY_AGAIN      there is no daemon, and none may or can be started
 *         and the errors of any call
 *
 * Threads: any.   Blocks: until the daemon answers, ten seconds at most
 * Spec:    3.4.1
 */
SaAisErrorT saCkptInitialize(SaCkptHandleT *ckptHandle, const SaCkptCallbacksT *callbacks, SaVersionT *version);

/**
 * The descriptor that is readable while callbacks are pending. It is level-triggered and stays the same, and valid,
 * until saCkptFinalize(), even if the daemon is restarted meanwhile. Only wait for it: never read, write or close it.
 *
 * @param[out] selectionObject  cast to int; belongs to the library
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  selectionObject is NULL
 *         SA_AIS_ERR_BAD_HANDLE     ckptHandle is none
 *         SA_AIS_ERR_NO_RESOURCES   no descriptors are left
 *
 * Threads: any.   Blocks: never
 * Spec:    3.4.2
 */
SaAisErrorT saCkptSelectionObjectGet(SaCkptHandleT ckptHandle, SaSelectionObjectT *selectionObject);

/**
 * Run pending callbacks, in this thread.
 *
 * @param dispatchFlags  SA_DISPATCH_ONE: one at most; SA_DISPATCH_ALL: all that are pending; both return SA_AIS_OK at
 *                       once if there is none. SA_DISPATCH_BLOCKING: until the handle is finalized by another thread
 *                       or by a callback, and SA_AIS_OK then; several threads may block on one handle
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  dispatchFlags is none of the three
 *         SA_AIS_ERR_BAD_HANDLE     ckptHandle is none; also for SA_DISPATCH_BLOCKING at once
 *         SA_AIS_ERR_NO_RESOURCES   SA_DISPATCH_BLOCKING only: no descriptors are left to wait with
 *
 * Threads: any.   Blocks: only with SA_DISPATCH_BLOCKING
 * Spec:    3.4.3
 */
SaAisErrorT saCkptDispatch(SaCkptHandleT ckptHandle, SaDispatchFlagsT dispatchFlags);

/**
 * End a library handle: closes all its checkpoints as saCkptCheckpointClose() does, drops its pending callbacks, makes
 * blocked dispatchers return. Open checkpoints do not make it fail. Callbacks that another thread has already taken may
 * still run.
 *
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE  ckptHandle is none, or was finalized before, or was bad already when the daemon came
 *                                back without its memory; there is nothing more to do then
 *
 * Owns:    frees everything of the handle: its descriptor, ids lent by its iterations. Ids and buffers handed over to
 *          the caller stay the caller's
 * Threads: any.   Blocks: for a round trip to the daemon, one second at most
 * Spec:    3.4.4
 */
SaAisErrorT saCkptFinalize(SaCkptHandleT ckptHandle);

/* ---- checkpoints ---- */

/**
 * Open a checkpoint, and make it if CREATE is set and there is none. Every open gives a handle of its own, with its own
 * access mode. A checkpoint found between its last close and the end of its retention has its old content.
 *
 * @param checkpointName                copied; 1 to 256 bytes of any value, "safCkpt=..." or plain
 * @param checkpointCreationAttributes  copied; required with CREATE, NULL without
 * @param checkpointOpenFlags           SA_CKPT_CHECKPOINT_...; CREATE alone is legal, the handle then may do neither
 * @param timeout                       a duration; 0 or below, or SA_TIME_END: no limit
 * @param[out] checkpointHandle         set on SA_AIS_OK only; close it with saCkptCheckpointClose()
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  a NULL; a name without or of too many bytes; attributes without CREATE, or CREATE
 *                                   without attributes; creation flags other than exactly one of ALL_REPLICAS,
 *                                   ACTIVE_REPLICA and ACTIVE_REPLICA_WEAK, with or without COLLOCATED;
 *                                   checkpointSize above maxSections * maxSectionSize; maxSections 0
 *         SA_AIS_ERR_BAD_FLAGS      no open flag, or one that is none
 *         SA_AIS_ERR_BAD_HANDLE     ckptHandle is none
 *         SA_AIS_ERR_NOT_EXIST      there is none of that name, and no CREATE
 *         SA_AIS_ERR_EXIST          it exists and was made with other attributes (retentionDuration counts in B.01
 *                                   only)
 *         SA_AIS_ERR_TIMEOUT        not done in time; it may have been made, but no handle is left open
 *         SA_AIS_ERR_NO_RESOURCES   a limit of the service: attributes above it, or all checkpoints or handles in use
 *         SA_AIS_ERR_NO_SPACE       there is no memory for a new checkpoint
 *         and the errors of any call
 *
 * Units:   nanoseconds, bytes
 * Threads: any; a blocked open delays no other call.   Blocks: up to timeout
 * Spec:    3.5.1
 */
SaAisErrorT saCkptCheckpointOpen(SaCkptHandleT ckptHandle, const SaNameT *checkpointName,
                                 const SaCkptCheckpointCreationAttributesT *checkpointCreationAttributes,
                                 SaCkptCheckpointOpenFlagsT checkpointOpenFlags, SaTimeT timeout,
                                 SaCkptCheckpointHandleT *checkpointHandle);

/**
 * Open a checkpoint without waiting: the open callback brings the handle or the error. Any number may be under way. The
 * other parameters are those of saCkptCheckpointOpen(), and copied.
 *
 * @param invocation  any value; comes back with the callback
 * @return SA_AIS_OK                 exactly one callback will come, with SA_AIS_ERR_NOT_EXIST, SA_AIS_ERR_EXIST and
 *                                   what else only the daemon can judge
 *         SA_AIS_ERR_INIT           no open callback was given to saCkptInitialize()
 *         SA_AIS_ERR_INVALID_PARAM, SA_AIS_ERR_BAD_FLAGS, SA_AIS_ERR_BAD_HANDLE  as saCkptCheckpointOpen(), at once
 *         SA_AIS_ERR_NO_RESOURCES   1,024 callbacks of this library handle are waited for already
 *         and the errors of any call
 *
 * Threads: any.   Blocks: never
 * Spec:    3.5.1
 */
SaAisErrorT saCkptCheckpointOpenAsync(SaCkptHandleT ckptHandle, SaInvocationT invocation, const SaNameT *checkpointName,
                                      const SaCkptCheckpointCreationAttributesT *checkpointCreationAttributes,
                                      SaCkptCheckpointOpenFlagsT checkpointOpenFlags);

/**
 * Close a checkpoint handle; others of the same checkpoint are not affected. With the last one anywhere the checkpoint
 * is deleted if it was unlinked, else its retention begins. Iterations of the handle end, and its pending synchronize
 * callbacks are dropped.
 *
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE  checkpointHandle is none, or was closed before
 *         and the errors of any call, after which the handle is as good as before
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.5.3
 */
SaAisErrorT saCkptCheckpointClose(SaCkptCheckpointHandleT checkpointHandle);

/**
 * Take a checkpoint's name away. Nobody has it open: it is deleted at once. Somebody has: the name is gone at once and
 * may be used for a new checkpoint, the open handles keep full access, and it is deleted with the last close. The
 * caller need not have it open.
 *
 * @param checkpointName  copied
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  checkpointName is NULL, or no name
 *         SA_AIS_ERR_BAD_HANDLE     ckptHandle is none
 *         SA_AIS_ERR_NOT_EXIST      there is none of that name, or it was unlinked before, or its retention has run out
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.5.4
 */
SaAisErrorT saCkptCheckpointUnlink(SaCkptHandleT ckptHandle, const SaNameT *checkpointName);

/**
 * Set how long the checkpoint lives on after its last close; every open and close starts that time anew.
 *
 * @param retentionDuration  a duration; SA_TIME_END: for ever; below one millisecond: deleted at the last close
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  retentionDuration is negative
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         from B.02 on: the handle was not opened with WRITE
 *         SA_AIS_ERR_BAD_OPERATION  the checkpoint was unlinked
 *         and the errors of any call
 *
 * Units:   nanoseconds
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.5.5
 */
SaAisErrorT saCkptCheckpointRetentionDurationSet(SaCkptCheckpointHandleT checkpointHandle, SaTimeT retentionDuration);

/**
 * Make the replica on this node the active one, for all users of the checkpoint. It is fully synchronized with the one
 * before when the call returns, and stays active until another node takes over or it is lost. Calling it again is
 * allowed.
 *
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_BAD_OPERATION  the checkpoint is not collocated, or is SA_CKPT_WR_ALL_REPLICAS
 *         and the errors of any call
 *
 * Threads: any.   Blocks: until the replica is synchronized
 * Spec:    3.5.6, 3.1.7
 */
SaAisErrorT saCkptActiveReplicaSet(SaCkptCheckpointHandleT checkpointHandle);

/**
 * Tell a checkpoint's attributes, its number of sections and the bytes in them.
 *
 * @param[out] checkpointStatus  set on SA_AIS_OK only; of an asynchronous checkpoint, as its active replica is
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  checkpointStatus is NULL
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         from B.02 on: the handle was not opened with READ
 *         SA_AIS_ERR_NOT_EXIST      there is no active replica
 *         and the errors of any call
 *
 * Units:   bytes
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.5.7
 */
SaAisErrorT saCkptCheckpointStatusGet(SaCkptCheckpointHandleT checkpointHandle,
                                      SaCkptCheckpointDescriptorT *checkpointStatus);

/* ---- sections ---- */

/**
 * Create a section, with its first data.
 *
 * @param sectionCreationAttributes  copied. *sectionId is the id, of 1 to maxSectionIdSize bytes; if it is
 *                                   SA_CKPT_GENERATED_SECTION_ID one is generated and stored there on SA_AIS_OK.
 *                                   expirationTime is a point in time; one that has passed: the section is gone at once
 * @param initialData                copied; may be NULL when initialDataSize is 0
 * @param initialDataSize            0 to maxSectionSize
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  a NULL; idLen 0 with an id, or above maxSectionIdSize; initialDataSize above
 *                                   maxSectionSize; expirationTime negative
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_NOT_EXIST      there is no active replica
 *         SA_AIS_ERR_EXIST          the id is in use; always, if maxSections is 1
 *         SA_AIS_ERR_NO_SPACE       there are maxSections sections, or memory for the data is used up
 *         SA_AIS_ERR_NO_RESOURCES   all ids that may be generated are in use
 *         SA_AIS_ERR_BAD_OPERATION  a pair has fenced the checkpoint, and this library handle is not its active member
 *         and the errors of any call
 *
 * Units:   nanoseconds, bytes
 * Owns:    a generated id is the caller's: free it with saCkptSectionIdFree() or free()
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.6.1
 */
SaAisErrorT saCkptSectionCreate(SaCkptCheckpointHandleT checkpointHandle,
                                SaCkptSectionCreationAttributesT *sectionCreationAttributes, const void *initialData,
                                SaSizeT initialDataSize);

/**
 * Delete a section. Its id may be used again at once.
 *
 * @param sectionId  copied
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  sectionId is NULL, no id, or longer than maxSectionIdSize; or it is the default
 *                                   section's and maxSections is 1
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_NOT_EXIST      there is no such section, or no active replica
 *         SA_AIS_ERR_BAD_OPERATION  fenced, as in saCkptSectionCreate()
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.6.2
 */
SaAisErrorT saCkptSectionDelete(SaCkptCheckpointHandleT checkpointHandle, const SaCkptSectionIdT *sectionId);

/**
 * Free an id that saCkptSectionCreate() has generated. free() does as well.
 *
 * @param checkpointHandle  an open checkpoint, not necessarily that of the section
 * @param id                not used any more afterwards
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  id is NULL
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none; id is not freed
 *
 * Owns:    takes id, on SA_AIS_OK
 * Threads: any.   Blocks: never
 * Spec:    new in SAI-AIS-CKPT-B.02.01
 */
SaAisErrorT saCkptSectionIdFree(SaCkptCheckpointHandleT checkpointHandle, SaUint8T *id);

/**
 * Set when a section vanishes, whether or not the checkpoint is open then.
 *
 * @param sectionId       copied
 * @param expirationTime  a point in time; SA_TIME_END: never; one that has passed: the section is gone at once
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  sectionId is NULL, no id, or longer than maxSectionIdSize; or it is the default
 *                                   section's and maxSections is 1; or expirationTime is negative
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_NOT_EXIST      there is no such section, it has expired, or there is no active replica
 *         SA_AIS_ERR_BAD_OPERATION  fenced, as in saCkptSectionCreate()
 *         and the errors of any call
 *
 * Units:   nanoseconds since 1970-01-01 00:00 UTC
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.6.3
 */
SaAisErrorT saCkptSectionExpirationTimeSet(SaCkptCheckpointHandleT checkpointHandle, const SaCkptSectionIdT *sectionId,
                                           SaTimeT expirationTime);

/**
 * Begin to walk over sections. The walk shows those that are there now, each at most once: one deleted before its turn
 * is skipped, one created later is not shown. Several walks may be under way on one handle.
 *
 * @param sectionsChosen               which sections
 * @param expirationTime               a point in time for LEQ and GEQ, both inclusive; ignored otherwise. With
 *                                     SA_TIME_END, LEQ is every section
 * @param[out] sectionIterationHandle  set on SA_AIS_OK only; end it with saCkptSectionIterationFinalize()
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  sectionIterationHandle is NULL, or sectionsChosen is none
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         from B.02 on: the handle was not opened with READ
 *         SA_AIS_ERR_NOT_EXIST      there is no active replica
 *         and the errors of any call
 *
 * Units:   nanoseconds since 1970-01-01 00:00 UTC
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.6.4
 */
SaAisErrorT saCkptSectionIterationInitialize(SaCkptCheckpointHandleT checkpointHandle,
                                             SaCkptSectionsChosenT sectionsChosen, SaTimeT expirationTime,
                                             SaCkptSectionIterationHandleT *sectionIterationHandle);

/**
 * The next section of a walk.
 *
 * @param[out] sectionDescriptor  set on SA_AIS_OK only. Of the default section: idLen 0, id NULL, expiration
 *                                SA_TIME_END
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  sectionDescriptor is NULL
 *         SA_AIS_ERR_BAD_HANDLE     sectionIterationHandle is none, or its checkpoint was closed
 *         SA_AIS_ERR_NO_SECTIONS    there are no more; so every later call too
 *         SA_AIS_ERR_NOT_EXIST      there is no active replica any more
 *         and the errors of any call
 *
 * Units:   nanoseconds, bytes
 * Owns:    sectionDescriptor->sectionId.id is the library's, and lives until the next call for this iteration, the end
 *          of the iteration, of its checkpoint handle or of its library handle
 * Threads: any; one at a time for each iteration, for the id's sake.   Blocks: for a round trip now and then
 * Spec:    3.6.5
 */
SaAisErrorT saCkptSectionIterationNext(SaCkptSectionIterationHandleT sectionIterationHandle,
                                       SaCkptSectionDescriptorT *sectionDescriptor);

/**
 * End a walk. Closing the checkpoint does it too.
 *
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE  sectionIterationHandle is none, or has ended
 *
 * Owns:    frees the id that the last saCkptSectionIterationNext() lent
 * Threads: any.   Blocks: never
 * Spec:    3.6.6
 */
SaAisErrorT saCkptSectionIterationFinalize(SaCkptSectionIterationHandleT sectionIterationHandle);

/* ---- data ---- */

/**
 * Write parts of sections: all elements, in order, or none of them, in every replication mode. A section grows as it
 * must, up to maxSectionSize, and never shrinks; a hole that a write leaves behind the old end reads as zeros.
 *
 * @param ioVector                   of each element sectionId, dataBuffer, dataSize and dataOffset; copied. An element
 *                                   of 0 bytes changes nothing, its buffer may be NULL
 * @param numberOfElements           1 to 1,000
 * @param[out] erroneousVectorIndex  the first bad element, when an error is about one; untouched otherwise; may be NULL
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  ioVector is NULL; no elements; of an element: dataBuffer NULL with bytes to write,
 *                                   dataSize above maxSectionSize, idLen above maxSectionIdSize, or no id pointer
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_NOT_EXIST      a section is not there or has expired; or there is no active replica
 *         SA_AIS_ERR_NO_RESOURCES   dataOffset + dataSize is above maxSectionSize; more elements, or bytes in all, than
 *                                   one vector may have
 *         SA_AIS_ERR_NO_SPACE       memory for the data is used up
 *         SA_AIS_ERR_BAD_OPERATION  fenced, as in saCkptSectionCreate()
 *         SA_AIS_ERR_TIMEOUT        no answer in time: all was written or nothing
 *         and the errors of any call
 *
 * Units:   bytes
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.7.1
 */
SaAisErrorT saCkptCheckpointWrite(SaCkptCheckpointHandleT checkpointHandle, const SaCkptIOVectorElementT *ioVector,
                                  SaUint32T numberOfElements, SaUint32T *erroneousVectorIndex);

/**
 * Replace all data of a section; its size becomes dataSize.
 *
 * @param sectionId   copied
 * @param dataBuffer  copied
 * @param dataSize    0 to maxSectionSize
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  sectionId or dataBuffer is NULL, also when dataSize is 0; dataSize above
 *                                   maxSectionSize; sectionId no id, or longer than maxSectionIdSize
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_NOT_EXIST      the section is not there or has expired; or there is no active replica
 *         SA_AIS_ERR_NO_SPACE       memory for the data is used up
 *         SA_AIS_ERR_BAD_OPERATION  fenced, as in saCkptSectionCreate()
 *         SA_AIS_ERR_TIMEOUT        no answer in time: all was written or nothing
 *         and the errors of any call
 *
 * Units:   bytes
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    3.7.2
 */
SaAisErrorT saCkptSectionOverwrite(SaCkptCheckpointHandleT checkpointHandle, const SaCkptSectionIdT *sectionId,
                                   const void *dataBuffer, SaSizeT dataSize);

/**
 * Read parts of sections. Each element is one state of its section; two elements need not be of one moment.
 *
 * @param[in,out] ioVector           of each element: sectionId, dataOffset, dataBuffer and its size, dataSize. readSize
 *                                   becomes the bytes read, fewer than dataSize where the section ends. If dataBuffer
 *                                   is NULL the library makes one that holds the section from dataOffset to its end,
 *                                   dataSize is ignored; it stays NULL if there is nothing
 * @param numberOfElements           1 to 1,000
 * @param[out] erroneousVectorIndex  the first bad element, when an error is about one; untouched otherwise; may be NULL
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  ioVector is NULL; no elements; of an element: dataSize above maxSectionSize,
 *                                   dataOffset beyond the section's end (at the end it is SA_AIS_OK and readSize 0),
 *                                   idLen above maxSectionIdSize, or no id pointer
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with READ
 *         SA_AIS_ERR_NOT_EXIST      a section is not there or has expired; or there is no active replica
 *         SA_AIS_ERR_NO_RESOURCES   more elements than one vector may have
 *         and the errors of any call. On an error the caller's buffers of elements before the bad one may have been
 *         filled; buffers made by the library are freed again and the pointers NULL
 *
 * Units:   bytes
 * Owns:    a buffer made by the library is the caller's: free it with saCkptIOVectorElementDataFree() or free()
 * Threads: any.   Blocks: usually never, as data is read from memory shared with the daemon; else for a round trip
 * Spec:    3.7.3
 */
SaAisErrorT saCkptCheckpointRead(SaCkptCheckpointHandleT checkpointHandle, SaCkptIOVectorElementT *ioVector,
                                 SaUint32T numberOfElements, SaUint32T *erroneousVectorIndex);

/**
 * Free a buffer that saCkptCheckpointRead() has made. free() does as well.
 *
 * @param checkpointHandle  an open checkpoint, not necessarily the one that was read
 * @param data              not used any more afterwards
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  data is NULL
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none; data is not freed
 *
 * Owns:    takes data, on SA_AIS_OK
 * Threads: any.   Blocks: never
 * Spec:    new in SAI-AIS-CKPT-B.02.01
 */
SaAisErrorT saCkptIOVectorElementDataFree(SaCkptCheckpointHandleT checkpointHandle, void *data);

/**
 * Wait until what was done in the active replica so far is in every replica. Nothing is promised for changes that are
 * made meanwhile.
 *
 * @param timeout  a duration; 0 or below, or SA_TIME_END: no limit
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE     checkpointHandle is none
 *         SA_AIS_ERR_ACCESS         the handle was not opened with WRITE
 *         SA_AIS_ERR_BAD_OPERATION  the checkpoint is SA_CKPT_WR_ALL_REPLICAS
 *         SA_AIS_ERR_NOT_EXIST      there is no active replica
 *         SA_AIS_ERR_TIMEOUT        not done in time; it goes on nevertheless
 *         and the errors of any call
 *
 * Units:   nanoseconds
 * Threads: any.   Blocks: up to timeout
 * Spec:    3.7.4
 */
SaAisErrorT saCkptCheckpointSynchronize(SaCkptCheckpointHandleT checkpointHandle, SaTimeT timeout);

/**
 * Synchronize without waiting: the synchronize callback of the library handle brings the result, unless the checkpoint
 * handle is closed before.
 *
 * @param invocation  any value; comes back with the callback
 * @return SA_AIS_OK                 exactly one callback will come, with SA_AIS_ERR_NOT_EXIST if there is no active
 *                                   replica
 *         SA_AIS_ERR_INIT           no synchronize callback was given to saCkptInitialize()
 *         SA_AIS_ERR_NO_RESOURCES   1,024 callbacks of this library handle are waited for already
 *         SA_AIS_ERR_BAD_HANDLE, SA_AIS_ERR_ACCESS, SA_AIS_ERR_BAD_OPERATION  as saCkptCheckpointSynchronize(), at once
 *         and the errors of any call
 *
 * Threads: any.   Blocks: never
 * Spec:    3.7.4
 */
SaAisErrorT saCkptCheckpointSynchronizeAsync(SaCkptCheckpointHandleT checkpointHandle, SaInvocationT invocation);

#ifdef __cplusplus
}
#endif

#endif
