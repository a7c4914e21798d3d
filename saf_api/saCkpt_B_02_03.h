/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saCkpt_B_02_03.h: being told of changes by callbacks, as OpenSAF proposed it for B.02.03.
 *
 * Not part of the standard. It is here for programs that were written for it; names and layouts are the same as there,
 * and so is the library, -lSaCkpt. New programs are better served by vesta.h: a stream brings the data along, has no
 * gap, and knows what a program missed.
 *
 *     saCkptInitialize_2 -> saCkptCheckpointOpen (READ) -> saCkptTrack -> poll, saCkptDispatch -> track callback
 *                                                                              `-> saCkptCheckpointRead
 *
 * - **What is told**: every creation of a section (an empty one too), write, overwrite, deletion and expiry in a
 *   checkpoint that a checkpoint handle is open on for READ. One operation is one callback, in the units in which its
 *   writer wrote: an IO vector of n elements comes as n elements. Sections that expire together may come together.
 * - **To whom**: to every tracking checkpoint handle but the one that made the change; two handles of one process are
 *   two. A handle that is tracked by saCkptTrack() and by saCkptCheckpointTrack() is told once.
 * - **What is not**: what happened while a handle was not tracked, or while there was no daemon; what was told to a
 *   program that lets more than 64 MiB of callbacks wait (it is told again from then on). So read all sections once after
 *   tracking has begun.
 * - Registrations survive a restart of the daemon.
 */
#ifndef SA_CKPT_B_02_03_H
#define SA_CKPT_B_02_03_H

#include <saCkpt.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A checkpoint was changed by another checkpoint handle.
 *
 * @param checkpointHandle  the handle through which it is tracked
 * @param ioVector          of each element the sectionId, and in dataSize and dataOffset what was written; dataBuffer
 *                          is NULL and readSize 0, so that the vector can be given to saCkptCheckpointRead() as it is.
 *                          dataSize and dataOffset are 0 of a section that was deleted or has expired, and of an empty
 *                          one. It may have changed again since
 * @param numberOfElements  1 to 1,000
 *
 * Owns:    ioVector and its ids live until the callback returns; it may be written to, and what
 *          saCkptCheckpointRead() puts into it is the caller's
 * Threads: runs in the thread that calls saCkptDispatch()
 */
typedef void (*SaCkptCheckpointTrackCallbackT)(SaCkptCheckpointHandleT checkpointHandle,
                                               SaCkptIOVectorElementT *ioVector, SaUint32T numberOfElements);

/** The callbacks of a library handle; those that are not needed may be NULL. */
typedef struct {
  SaCkptCheckpointOpenCallbackT saCkptCheckpointOpenCallback;
  SaCkptCheckpointSynchronizeCallbackT saCkptCheckpointSynchronizeCallback;
  SaCkptCheckpointTrackCallbackT saCkptCheckpointTrackCallback;
} SaCkptCallbacksT_2;

/**
 * saCkptInitialize(), with a track callback. Nothing is tracked yet.
 *
 * @param[out] ckptHandle  set on SA_AIS_OK only; end it with saCkptFinalize()
 * @param callbacks        copied; NULL: none
 * @param[in,out] version  as saCkptInitialize()
 * @return SA_AIS_OK, and the errors of saCkptInitialize()
 *
 * Threads: any.   Blocks: until the daemon answers, a few seconds at most
 * Spec:    OpenSAF's proposal for B.02.03
 */
SaAisErrorT saCkptInitialize_2(SaCkptHandleT *ckptHandle, const SaCkptCallbacksT_2 *callbacks, SaVersionT *version);

/**
 * Track all checkpoint handles that were and will be opened with READ through this library handle.
 *
 * @return SA_AIS_OK              also when they are tracked already
 *         SA_AIS_ERR_BAD_HANDLE  ckptHandle is none
 *         SA_AIS_ERR_INIT        no track callback was given to saCkptInitialize_2()
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    OpenSAF's proposal for B.02.03
 */
SaAisErrorT saCkptTrack(SaCkptHandleT ckptHandle);

/**
 * End what saCkptTrack() began. Callbacks that wait are dropped by the next dispatch. Handles for which
 * saCkptCheckpointTrack() was called are tracked as before.
 *
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE  ckptHandle is none
 *         SA_AIS_ERR_INIT        no track callback was given to saCkptInitialize_2()
 *         SA_AIS_ERR_NOT_EXIST   saCkptTrack() was not called, or has been ended
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    OpenSAF's proposal for B.02.03
 */
SaAisErrorT saCkptTrackStop(SaCkptHandleT ckptHandle);

/**
 * Track one checkpoint handle, whether or not saCkptTrack() tracks them all.
 *
 * @return SA_AIS_OK              also when it is tracked so already
 *         SA_AIS_ERR_BAD_HANDLE  checkpointHandle is none
 *         SA_AIS_ERR_INIT        no track callback was given to saCkptInitialize_2()
 *         SA_AIS_ERR_ACCESS      the handle was not opened with READ
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    OpenSAF's proposal for B.02.03, which never did it
 */
SaAisErrorT saCkptCheckpointTrack(SaCkptCheckpointHandleT checkpointHandle);

/**
 * End what saCkptCheckpointTrack() began. Closing the handle does it too.
 *
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE  checkpointHandle is none
 *         SA_AIS_ERR_INIT        no track callback was given to saCkptInitialize_2()
 *         SA_AIS_ERR_ACCESS      the handle was not opened with READ
 *         SA_AIS_ERR_NOT_EXIST   saCkptCheckpointTrack() was not called for it, or has been ended
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon
 * Spec:    OpenSAF's proposal for B.02.03, which never did it
 */
SaAisErrorT saCkptCheckpointTrackStop(SaCkptCheckpointHandleT checkpointHandle);

#ifdef __cplusplus
}
#endif

#endif
