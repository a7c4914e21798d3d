/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cpsv_papi.h: the arrival callback of NCS and OpenSAF, by which a hot standby hears of data that came.
 *
 * Not part of the standard. It is here for programs that were written for it; names are the same as there, and so is
 * the library, -lSaCkpt. Everything said in saCkpt_B_02_03.h of the track callback is true of this one, but that it
 * comes for creations, writes and overwrites only, needs no saCkptInitialize_2(), and cannot be ended before its
 * library handle. A handle may have both; each is called.
 */
#ifndef CPSV_PAPI_H
#define CPSV_PAPI_H

#include <saCkpt.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Data arrived in a checkpoint: another checkpoint handle has created, written or overwritten sections.
 *
 * @param checkpointHandle  the handle on which they can be read
 * @param ioVector          of each element the sectionId, and in dataSize and dataOffset what was written; dataBuffer
 *                          is NULL and readSize 0, so that the vector can be given to saCkptCheckpointRead() as it is
 * @param numberOfElements  1 to 1,000
 *
 * Owns:    ioVector and its ids live until the callback returns; it may be written to, and what
 *          saCkptCheckpointRead() puts into it is the caller's
 * Threads: runs in the thread that calls saCkptDispatch()
 */
typedef void (*ncsCkptCkptArrivalCallbackT)(const SaCkptCheckpointHandleT checkpointHandle,
                                            SaCkptIOVectorElementT *ioVector, SaUint32T numberOfElements);

/**
 * Be called back when data arrives in any checkpoint that was or will be opened with READ through this library handle.
 *
 * @param ckptArrivalCallback  replaces the one that was registered before
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  ckptArrivalCallback is NULL
 *         SA_AIS_ERR_BAD_HANDLE     ckptHandle is none
 *         and the errors of any call
 *
 * Threads: any.   Blocks: for a round trip to the daemon or two
 * Spec:    OpenSAF's extension
 */
SaAisErrorT ncsCkptRegisterCkptArrivalCallback(SaCkptHandleT ckptHandle,
                                               ncsCkptCkptArrivalCallbackT ckptArrivalCallback);

#ifdef __cplusplus
}
#endif

#endif
