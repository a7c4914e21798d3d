/* SPDX-License-Identifier: BSD-2-Clause
 *
 * saAis.h: what all services of the SA Forum's Application Interface Specification share: types, times, error codes.
 *
 * The names, numbers and layouts are those of AIS B.05 (SAI-AIS-CPROG-B.05.01), so that a program compiled against
 * another implementation's header, OpenSAF's for one, on a 64-bit Linux machine runs against this one's libraries and
 * the other way round. All of AIS B.05's common types are here, and what OpenSAF adds to them: names longer than 256
 * bytes for programs that define SA_EXTENDED_NAME_SOURCE, and saAisStrError(). The functions are in libSaCkpt.
 *
 * Usable from C99 on and from C++.
 */
#ifndef SA_AIS_H
#define SA_AIS_H

#ifdef __cplusplus
extern "C" {
#endif

/* ---- numbers ---- */

typedef char SaInt8T;
typedef short SaInt16T;
typedef int SaInt32T;
typedef long long SaInt64T;
typedef unsigned char SaUint8T;
typedef unsigned short SaUint16T;
typedef unsigned int SaUint32T;
typedef unsigned long long SaUint64T;
typedef float SaFloatT;
typedef double SaDoubleT;
typedef char *SaStringT;
typedef const char *SaConstStringT;

/** Nanoseconds: a duration, or a point in time since 1970-01-01 00:00 UTC. The call says which. */
typedef SaInt64T SaTimeT;
/** A number of the caller's that comes back with the callback that answers its request. */
typedef SaUint64T SaInvocationT;
/** Bytes. */
typedef SaUint64T SaSizeT;
/** Bytes from the start of something. */
typedef SaUint64T SaOffsetT;
/** A descriptor for poll(2), select(2) and epoll(7): cast it to int. */
typedef SaUint64T SaSelectionObjectT;

/** No and yes. */
typedef enum { SA_FALSE = 0, SA_TRUE = 1 } SaBoolT;

/* ---- times ---- */

#define SA_TIME_END 0x7FFFFFFFFFFFFFFFLL     /**< never, or for ever */
#define SA_TIME_MAX SA_TIME_END              /**< the same */
#define SA_TIME_BEGIN 0x0LL                  /**< the epoch, 1970-01-01 00:00 UTC */
#define SA_TIME_UNKNOWN (-SA_TIME_END - 1LL) /**< the smallest SaTimeT: not known */

#define SA_TIME_ONE_MICROSECOND 1000LL
#define SA_TIME_ONE_MILLISECOND 1000000LL
#define SA_TIME_ONE_SECOND 1000000000LL
#define SA_TIME_ONE_MINUTE 60000000000LL
#define SA_TIME_ONE_HOUR 3600000000000LL
#define SA_TIME_ONE_DAY 86400000000000LL

/* ---- names, versions and other small structures ---- */

#ifndef SA_EXTENDED_NAME_SOURCE

#define SA_MAX_NAME_LENGTH 256 /**< bytes of a name */

/** A name: `length` bytes, any values, not ended by a NUL. What is behind them is ignored. */
typedef struct {
  SaUint16T length; /**< 1 to SA_MAX_NAME_LENGTH */
  SaUint8T value[SA_MAX_NAME_LENGTH];
} SaNameT;

#else

#define SA_MAX_UNEXTENDED_NAME_LENGTH 256 /**< bytes that an SaNameT holds itself, with the NUL behind a text */

/** A name that may be long: set it with saAisNameLend() and read it with saAisNameBorrow(), nothing else. */
typedef struct {
  SaUint16T _opaque[129];
} SaNameT;

#endif

/**
 * Make a name of a text. A text shorter than SA_MAX_UNEXTENDED_NAME_LENGTH is copied, and the name is one that older
 * programs understand; of a longer one the name has the address.
 *
 * Calls of libSaCkpt take names of the second kind, with up to 2,048 bytes, only if SA_ENABLE_EXTENDED_NAMES=1 is in
 * the environment; otherwise SA_AIS_ERR_INVALID_PARAM.
 *
 * @param value      not NULL
 * @param[out] name  not NULL
 *
 * Owns:    a longer text is lent: it must stay as it is while the name is used
 * Threads: any.   Blocks: never
 * Spec:    OpenSAF's extension
 */
void saAisNameLend(SaConstStringT value, SaNameT *name);

/**
 * The text of a name.
 *
 * @param name  not NULL; set by saAisNameLend(), or by another program in the plain form
 * @return the text, in the name itself or where saAisNameLend() was given it; NULL if the name is plain and its bytes
 *         do not end with NUL
 *
 * Owns:    the text lives as long as the name and what it was made of
 * Threads: any.   Blocks: never
 * Spec:    OpenSAF's extension
 */
SaConstStringT saAisNameBorrow(const SaNameT *name);

/** A version of a service: 'B', 2, 3 is B.02.03. */
typedef struct {
  SaUint8T releaseCode; /**< a capital letter */
  SaUint8T majorVersion;
  SaUint8T minorVersion;
} SaVersionT;

/** Any bytes. */
typedef struct {
  SaSizeT bufferSize;
  SaUint8T *bufferAddr;
} SaAnyT;

/** A limit that a service reports. */
typedef union {
  SaInt64T int64Value;
  SaUint64T uint64Value;
  SaTimeT timeValue;
  SaFloatT floatValue;
  SaDoubleT doubleValue;
} SaLimitValueT;

/** The services, by number. */
typedef enum {
  SA_SVC_HPI = 1,
  SA_SVC_AMF = 2,
  SA_SVC_CLM = 3,
  SA_SVC_CKPT = 4,
  SA_SVC_EVT = 5,
  SA_SVC_MSG = 6,
  SA_SVC_LCK = 7,
  SA_SVC_IMMS = 8,
  SA_SVC_LOG = 9,
  SA_SCV_LOG = SA_SVC_LOG, /* as it was once misprinted; programs spell it either way */
  SA_SVC_NTF = 10,
  SA_SVC_NAM = 11,
  SA_SVC_TMR = 12,
  SA_SVC_SMF = 13,
  SA_SVC_SEC = 14,
  SA_SVC_PLM = 15
} SaServicesT;

/* ---- flags ---- */

/** What a dispatch call does before it returns. */
typedef enum {
  SA_DISPATCH_ONE = 1,     /**< runs one pending callback, if there is one */
  SA_DISPATCH_ALL = 2,     /**< runs all that are pending */
  SA_DISPATCH_BLOCKING = 3 /**< runs callbacks as they come, until the handle is finalized */
} SaDispatchFlagsT;

/* What a tracking call reports; several may be added up. */
#define SA_TRACK_CURRENT 0x01
#define SA_TRACK_CHANGES 0x02
#define SA_TRACK_CHANGES_ONLY 0x04
#define SA_TRACK_LOCAL 0x08
#define SA_TRACK_START_STEP 0x10
#define SA_TRACK_VALIDATE_STEP 0x20

/* ---- errors ---- */

/** What a call returns. Which of them a call may return, and when, its own description says. */
typedef enum {
  SA_AIS_OK = 1,                  /**< done */
  SA_AIS_ERR_LIBRARY = 2,         /**< the library failed and cannot be used any more */
  SA_AIS_ERR_VERSION = 3,         /**< the version asked for is not supported */
  SA_AIS_ERR_INIT = 4,            /**< the callback that the call needs was not given at initialization */
  SA_AIS_ERR_TIMEOUT = 5,         /**< not answered in time; the call may have had its effect or not */
  SA_AIS_ERR_TRY_AGAIN = 6,       /**< not now; the call had no effect, and may succeed later */
  SA_AIS_ERR_INVALID_PARAM = 7,   /**< a parameter is not set correctly */
  SA_AIS_ERR_NO_MEMORY = 8,       /**< the library or the service is out of memory */
  SA_AIS_ERR_BAD_HANDLE = 9,      /**< the handle is none, or not any more */
  SA_AIS_ERR_BUSY = 10,           /**< a resource is in use */
  SA_AIS_ERR_ACCESS = 11,         /**< the access mode of the handle does not allow it */
  SA_AIS_ERR_NOT_EXIST = 12,      /**< what was named does not exist */
  SA_AIS_ERR_NAME_TOO_LONG = 13,  /**< a name is too long */
  SA_AIS_ERR_EXIST = 14,          /**< what was to be created exists */
  SA_AIS_ERR_NO_SPACE = 15,       /**< no room left */
  SA_AIS_ERR_INTERRUPT = 16,      /**< interrupted by a signal */
  SA_AIS_ERR_NAME_NOT_FOUND = 17, /**< a name could not be resolved */
  SA_AIS_ERR_NO_RESOURCES = 18,   /**< other resources than memory are used up, or a limit of the service is met */
  SA_AIS_ERR_NOT_SUPPORTED = 19,  /**< this implementation does not do that */
  SA_AIS_ERR_BAD_OPERATION = 20,  /**< not allowed in this state */
  SA_AIS_ERR_FAILED_OPERATION = 21,
  SA_AIS_ERR_MESSAGE_ERROR = 22,
  SA_AIS_ERR_QUEUE_FULL = 23,
  SA_AIS_ERR_QUEUE_NOT_AVAILABLE = 24,
  SA_AIS_ERR_BAD_FLAGS = 25, /**< flags that are none, or do not go together */
  SA_AIS_ERR_TOO_BIG = 26,
  SA_AIS_ERR_NO_SECTIONS = 27, /**< an iteration has no more sections */
  SA_AIS_ERR_NO_OP = 28,
  SA_AIS_ERR_REPAIR_PENDING = 29,
  SA_AIS_ERR_NO_BINDINGS = 30,
  SA_AIS_ERR_UNAVAILABLE = 31, /**< the node is not, or not any more, a member of the cluster */
  SA_AIS_ERR_CAMPAIGN_ERROR_DETECTED = 32,
  SA_AIS_ERR_CAMPAIGN_PROC_FAILED = 33,
  SA_AIS_ERR_CAMPAIGN_CANCELED = 34,
  SA_AIS_ERR_CAMPAIGN_FAILED = 35,
  SA_AIS_ERR_CAMPAIGN_SUSPENDED = 36,
  SA_AIS_ERR_CAMPAIGN_SUSPENDING = 37,
  SA_AIS_ERR_ACCESS_DENIED = 38, /**< this user may not do that */
  SA_AIS_ERR_NOT_READY = 39,
  SA_AIS_ERR_DEPLOYMENT = 40
} SaAisErrorT;

/**
 * An error's name and number, for messages: "SA_AIS_ERR_TIMEOUT (5)".
 *
 * @return never NULL; "unknown SaAisErrorT" for a number that is none
 *
 * Owns:    static text
 * Threads: any.   Blocks: never
 * Spec:    OpenSAF's extension
 */
SaConstStringT saAisStrError(SaAisErrorT error);

#ifdef __cplusplus
}
#endif

#endif
