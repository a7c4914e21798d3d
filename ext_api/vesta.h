/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Vesta's extension API: every change of a checkpoint, pushed in order to whoever stands by.
 *
 * The standard API (saCkpt.h) writes and reads checkpoints; this one lets another process follow them, so that at a
 * failover it has the state already and needs no walk over the sections. Three things, each built on the one before,
 * and ways to write that the standard does not have:
 *
 *   stream   every change of one checkpoint, in order, without a gap                      vesta_stream_...
 *   mirror   a stream and the table of sections that it builds: read it with no call      vesta_mirror_...
 *   pair     one active and any number of hot standbys of a checkpoint: who is active     vesta_pair_...
 *   writing  several sections at once; many writes under way       vesta_txn_..., vesta_writer_...
 *
 * They take a checkpoint handle of the standard API, use its types and return its errors. Link with `-lvesta -lSaCkpt`.
 *
 * Rules for every call here:
 *
 *   Objects   An object is used by one thread at a time; different objects by any threads. It needs its checkpoint
 *             handle, opened with SA_CKPT_CHECKPOINT_READ (those that write: _WRITE), for as long as it lives: when the
 *             handle is closed or its library handle is finalized, calls that need the service return
 *             SA_AIS_ERR_BAD_HANDLE. Streams and mirrors of another machine's service (..._open_at()) need none.
 *   Results   An out-parameter is written on SA_AIS_OK only, and a call that fails changes nothing. NULL where a
 *             pointer must be is SA_AIS_ERR_INVALID_PARAM.
 *   Time      Timeouts and durations are nanoseconds. A timeout of 0 never waits, SA_TIME_END waits for ever, a
 *             negative one is SA_AIS_ERR_INVALID_PARAM. Points in time are nanoseconds since 1970.
 *   fork()    A child process cannot use objects of its parent: calls return SA_AIS_ERR_BAD_HANDLE there, and closing
 *             one frees the child's memory only. The parent does not notice.
 *   Threads   libSaCkpt has no thread of its own. libvesta has ZeroMQ's (two kernel threads with all signals blocked),
 *             the same two for the whole process, from the first object opened to the last one closed.
 *   Limits    A stream, mirror or pair needs about a dozen descriptors. Opening one fails with SA_AIS_ERR_NO_RESOURCES
 *             unless the process has 32 free ones below its limit. A writer needs three.
 *   ABI       Structures end in `reserved` members. Set option structures to zero first (`= {0}`; in C++ `= {}`): zero
 *             everywhere means the defaults, and members added later mean by zero what held before. A reserved
 *             member that is not zero asks for what this version does not know: SA_AIS_ERR_INVALID_PARAM.
 */
#ifndef VESTA_H
#define VESTA_H

#include <saCkpt.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ==== positions =================================================================================================== */

/**
 * Where a checkpoint's history stands after one of its operations.
 *
 * `seq` counts the committed operations of the checkpoint, without a hole. `epoch` rises each time the active changes.
 * `lineage` names the history: a checkpoint that was deleted and created again has another one. All zero: nowhere yet.
 */
typedef struct vesta_position {
  SaUint64T lineage;
  SaUint64T epoch;
  SaUint64T seq;
} vesta_position_t;

/** Size of a buffer that holds any position as text, its NUL included. */
#define VESTA_POSITION_TEXT_BYTES 64

/**
 * Print a position, e.g. "5f0c33a190de7721-3-10405": lineage in hexadecimal, epoch, seq.
 *
 * @param position       may be any position
 * @param[out] text      at least VESTA_POSITION_TEXT_BYTES bytes; NUL-terminated
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL
 *
 * Threads: any.   Blocks: never
 */
SaAisErrorT vesta_position_format(const vesta_position_t *position, char *text);

/**
 * Read what vesta_position_format() printed.
 *
 * @param text           NUL-terminated
 * @param[out] position  set on SA_AIS_OK only
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL or the text is anything else, also longer
 *
 * Threads: any.   Blocks: never
 */
SaAisErrorT vesta_position_parse(const char *text, vesta_position_t *position);

/* ==== changes ===================================================================================================== */

/** What a change is. First what happens to a checkpoint, then the words of the stream itself. */
typedef enum vesta_change_kind {
  VESTA_CHANGE_CREATED = 1,       /**< id, data, expiry. In a resync: the section is this now, new or not */
  VESTA_CHANGE_WRITTEN = 2,       /**< id, offset, data; the section grew if they reach past its end */
  VESTA_CHANGE_OVERWRITTEN = 3,   /**< id, data: the whole section */
  VESTA_CHANGE_DELETED = 4,       /**< id. In a resync: the section may have been gone already */
  VESTA_CHANGE_EXPIRED = 5,       /**< id: deleted because its time had come */
  VESTA_CHANGE_EXPIRY_SET = 6,    /**< id, expiry */
  VESTA_CHANGE_UNLINKED = 7,      /**< the checkpoint has no name any more; it goes when its last user closes it */
  VESTA_CHANGE_RETENTION_SET = 8, /**< expiry: the new retention duration */
  VESTA_CHANGE_EPOCH = 9, /**< member: who was granted the active role, 0 nobody; UINT64_MAX: no role was, another
                                       node's replica orders the changes from here on. A new epoch begins here */

  VESTA_CHANGE_SYNCED = 32,       /**< all up to `position` has been handed out; changes now come as they are made */
  VESTA_CHANGE_LOST = 33,         /**< changes after `from` up to `position` will not come one by one (reason); a resync
                                       follows and brings what they led to */
  VESTA_CHANGE_RESYNC_BEGIN = 34, /**< from `from` (all zero: from nothing). Until the end the state is not consistent.
                                       `full`: ids not named before RESYNC_END are gone */
  VESTA_CHANGE_RESYNC_END = 35,   /**< the state is consistent again, as of `position` */
  VESTA_CHANGE_GONE = 36,         /**< the checkpoint is no more; nothing follows */
  VESTA_CHANGE_COALESCED = 37,    /**< id, data, expiry: the section is this now, new or not; all changes of it after
                                       `from` up to `position` in one. In a resync, with VESTA_WHEN_SLOW_COALESCE */
} vesta_change_kind_t;

/** Why changes were lost. */
typedef enum vesta_lost_reason {
  VESTA_LOST_HISTORY = 1,  /**< the service's history does not reach back to `from` any more */
  VESTA_LOST_DIVERGED = 2, /**< `from` belongs to another history than the checkpoint's, or is beyond its end */
  VESTA_LOST_SILENCE = 3,  /**< the service was not heard for three beacon periods (3 seconds) */
  VESTA_LOST_OVERFLOW = 4, /**< the changes came faster than they were taken, and buffer_bytes was full */
  VESTA_LOST_CORRUPT = 5,  /**< of a mirror: vesta_mirror_verify() found that its table is not what the service has */
} vesta_lost_reason_t;

/**
 * One change of one section or of the checkpoint, or a word of the stream. What a kind does not mention is zero.
 *
 * An operation on several sections (an IO vector) is several changes of the same position, `index` 0 to `count` - 1:
 * who applies them as one waits for index + 1 == count. Changes that a stream was asked to leave out do not count.
 */
typedef struct vesta_change {
  vesta_change_kind_t kind;
  SaBoolT resync;             /**< part of a resync: not news but the state, see RESYNC_BEGIN */
  SaBoolT full;               /**< RESYNC_BEGIN */
  vesta_lost_reason_t reason; /**< LOST */
  vesta_position_t position;
  vesta_position_t from;  /**< LOST, RESYNC_BEGIN, COALESCED */
  SaUint32T index, count; /**< place within its operation */
  SaCkptSectionIdT id;    /**< idLen 0: the default section. Do not write to it */
  SaOffsetT offset;       /**< WRITTEN */
  const void *data;       /**< NULL when size is 0, and with `keys_only`: size says how much there is */
  SaSizeT size;
  SaTimeT expiry;   /**< CREATED, COALESCED, EXPIRY_SET: when, SA_TIME_END never. RETENTION_SET: the duration */
  SaTimeT time;     /**< when it was committed */
  SaUint64T member; /**< EPOCH */
  SaUint64T reserved[4];
} vesta_change_t;

/* ==== stream ====================================================================================================== */

/** Every change of one checkpoint, in order, without a gap; where that can't be, it says so (LOST) and resyncs. */
typedef struct vesta_stream vesta_stream_t;

/** Where a stream begins. */
typedef enum vesta_from {
  VESTA_FROM_SNAPSHOT = 0, /**< all there is (RESYNC_BEGIN, a CREATED per section, RESYNC_END), SYNCED, then live */
  VESTA_FROM_NOW = 1,      /**< SYNCED, then live changes only */
  VESTA_FROM_POSITION = 2, /**< what changed after `position`: one by one if the history reaches, else LOST and a resync
                                of what changed since */
} vesta_from_t;

/** What becomes of changes that came faster than they were taken, and found no room in `buffer_bytes`. */
typedef enum vesta_when_slow {
  VESTA_WHEN_SLOW_RESYNC = 0,   /**< they are fetched from the service, one by one, for as long as its history has them;
                                     then LOST says that they will not come, and a resync brings what they led to */
  VESTA_WHEN_SLOW_COALESCE = 1, /**< a resync at once, and no LOST: RESYNC_BEGIN, for each section that they changed one
                                     COALESCED or DELETED, RESYNC_END, SYNCED. The same wherever the history does not
                                     reach. LOST is still said of another history, and when all there is must be sent */
} vesta_when_slow_t;

/** Sections are chosen by so many beginnings of their ids at most. */
#define VESTA_PREFIXES_MAX 16

/** The bit of a kind of change in `kinds`. */
#define VESTA_KIND_BIT(kind) ((SaUint32T)1 << (kind))

/**
 * How to open a stream. Zero: all changes, from a snapshot, default limits.
 *
 * With `prefixes`, `kinds` or both a stream hands out a part of the changes. It takes in all of them all the same: its
 * promise is the same, no change that was asked for is missing without LOST, and vesta_stream_position() goes on over
 * those that were left out. The words of the stream, UNLINKED and EPOCH always come.
 */
typedef struct vesta_stream_options {
  vesta_from_t from;
  vesta_position_t position; /**< VESTA_FROM_POSITION; all zero there means from a snapshot */
  SaSizeT buffer_bytes;      /**< changes held in this process at most, until they are taken: beyond it they are given
                                  up, see `when_slow`. 0: 64 MiB; else at least 64 KiB */
  const SaCkptSectionIdT *prefixes; /**< only sections whose ids begin with one of these, each 1 to 1024 bytes; of a
                                         snapshot and a resync no others are sent. Copied */
  SaUint32T prefix_count;           /**< 0: all sections; at most VESTA_PREFIXES_MAX */
  SaUint32T kinds;   /**< VESTA_KIND_BIT() of CREATED to EPOCH, added up: only changes of these kinds. 0: of
                                  all. What comes in a resync is not news but the state, and comes whatever its kind */
  SaBoolT keys_only; /**< SA_TRUE: no data, which is not even sent: changes say its size */
  vesta_when_slow_t when_slow;
  SaUint64T reserved[5]; /**< zero */
} vesta_stream_options_t;

/**
 * Begin to follow a checkpoint.
 *
 * @param checkpoint   opened with SA_CKPT_CHECKPOINT_READ; must stay open while the stream is
 * @param options      NULL: the defaults; copied
 * @param[out] stream  set on SA_AIS_OK only; free with vesta_stream_close()
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  stream is NULL; an option is out of its range; a reserved member is not zero
 *         SA_AIS_ERR_BAD_HANDLE     no such checkpoint handle in this process
 *         SA_AIS_ERR_ACCESS         the checkpoint was not opened for reading
 *         SA_AIS_ERR_TRY_AGAIN      the service is not there now; nothing was done
 *         SA_AIS_ERR_TIMEOUT        the service did not answer within 10 seconds
 *         SA_AIS_ERR_NO_RESOURCES   too few free descriptors, or a limit of the service was met
 *         SA_AIS_ERR_NO_MEMORY      out of memory
 *         SA_AIS_ERR_VERSION        the service speaks another version of the protocol
 *
 * Threads: any.   Blocks: for one answer of the service, 10 seconds at most
 */
SaAisErrorT vesta_stream_open(SaCkptCheckpointHandleT checkpoint, const vesta_stream_options_t *options,
                              vesta_stream_t **stream);

/** A stream over TCP may choose from so many endpoints. */
#define VESTA_SERVERS_MAX 8

/**
 * A service on another machine, one that was started with --stream-listen; doc/OPERATIONS.md, "Subscribing from another
 * machine". Zero, or NULL in the place of all of it: as the environment says.
 *
 * Streams and mirrors can be opened there, which is to say read. All else needs a service on this machine.
 */
typedef struct vesta_server {
  const char *
      endpoints; /**< "tcp://ADDRESS:PORT"; or several (VESTA_SERVERS_MAX), with spaces between, nodes of one cluster: who can't be
                              reached, or says nothing, is passed over for the next, then and later; the stream goes on where it was,
                              or says LOST where that node's history does not reach. NULL: $VESTA_STREAM_SERVER */
  const char *server_keys; /**< path of a file with the service's public key (node.pub of `vesta keygen` there), or as
                                many as endpoints with spaces between. NULL: $VESTA_STREAM_SERVER_KEY */
  const char *key;       /**< path of the file with the keys of this side (node.key of `vesta keygen` here; 0600), whose
                                public key is in the service's --stream-keys. NULL: $VESTA_STREAM_KEY */
  SaBoolT insecure;      /**< SA_TRUE: no keys, nothing is encrypted, whoever answers is believed; for a service that
                                was started with --insecure. SA_FALSE: only if $VESTA_STREAM_INSECURE is 1 */
  SaUint64T reserved[4]; /**< zero */
} vesta_server_t;

/**
 * Begin to follow a checkpoint of a service on another machine. No handle is needed, nor a service here, and the stream
 * is as any other. When that service ends or is not reached the stream waits; when it is back it goes on, or says LOST
 * and resyncs.
 *
 * @param server       NULL: as the environment says; copied, files are read now
 * @param checkpoint   its name, NUL-terminated
 * @param options      NULL: the defaults; copied
 * @param[out] stream  set on SA_AIS_OK only; free with vesta_stream_close(). Its calls do not return
 *                     SA_AIS_ERR_BAD_HANDLE but in a forked child, and vesta_stream_next() returns SA_AIS_ERR_ACCESS
 *                     when the service does not let this key in any more
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM     checkpoint or stream is NULL; an option is out of its range; a reserved member is
 *                                      not zero; the name is empty or longer than 2,048 bytes; there is no endpoint, one
 *                                      is none, or they are more than VESTA_SERVERS_MAX; a file of keys is missing or holds
 *                                      none; others can read the one with the secret key; no keys, and not `insecure`
 *         SA_AIS_ERR_ACCESS            the service does not know the key of this side
 *         SA_AIS_ERR_FAILED_OPERATION  who answers does not prove to have the service's key: it has another one, or none,
 *                                      or is no such service
 *         SA_AIS_ERR_TRY_AGAIN         nobody answers there now
 *         SA_AIS_ERR_TIMEOUT           there is no answer within 10 seconds: it stands still, or is without quorum
 *         SA_AIS_ERR_NOT_EXIST         the service has no such checkpoint
 *         SA_AIS_ERR_NO_RESOURCES      too few free descriptors, or the service serves as many as it may (--guests-max)
 *         SA_AIS_ERR_NO_MEMORY         out of memory
 *         SA_AIS_ERR_VERSION           the service speaks another version of the protocol
 *
 * Threads: any.   Blocks: 10 seconds at most; vesta_stream_close() of such a stream 0.1 second at most
 */
SaAisErrorT vesta_stream_open_at(const vesta_server_t *server, const char *checkpoint,
                                 const vesta_stream_options_t *options, vesta_stream_t **stream);

/**
 * A descriptor for poll(), select() or epoll: readable while vesta_stream_next() would do something, level-triggered.
 * It may wake up for the stream's own needs: then vesta_stream_next() returns SA_AIS_ERR_TIMEOUT.
 *
 * @param[out] fd   belongs to the stream: valid until it is closed, always the same, not to be read from
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL; SA_AIS_ERR_BAD_HANDLE in a forked child
 *
 * Threads: one at a time per stream.   Blocks: never
 */
SaAisErrorT vesta_stream_fd(vesta_stream_t *stream, SaSelectionObjectT *fd);

/**
 * Take the next change.
 *
 * @param timeout        how long to wait for one; 0: not at all
 * @param[out] change    set on SA_AIS_OK only. Its id and data belong to the stream and live until the next call
 * @return SA_AIS_OK
 *         SA_AIS_ERR_TIMEOUT        nothing came
 *         SA_AIS_ERR_INVALID_PARAM  a pointer is NULL, timeout is negative
 *         SA_AIS_ERR_BAD_HANDLE     the checkpoint handle was closed; or this is a forked child
 *         SA_AIS_ERR_NOT_EXIST      GONE was handed out before: the stream is over
 *         SA_AIS_ERR_NO_RESOURCES   the sockets had to be made anew and no descriptors are left: call again later,
 *                                   nothing is lost
 *         SA_AIS_ERR_NO_MEMORY      out of memory: call again later, nothing is lost
 *         SA_AIS_ERR_VERSION        the service that is there now speaks another version of the protocol: the stream is
 *                                   over
 *
 * Threads: one at a time per stream.   Blocks: up to timeout; and 0.1 second at most for an answer of the service, when
 *          that was gone or silent and the stream has to be set up again
 */
SaAisErrorT vesta_stream_next(vesta_stream_t *stream, SaTimeT timeout, vesta_change_t *change);

/**
 * The position after the last whole operation that vesta_stream_next() has handed out, or was asked to leave out before
 * it came to the next change or found none; in a resync the one before it.
 * Stored somewhere and given to another stream as `position` with VESTA_FROM_POSITION, that stream goes on from there.
 *
 * @param[out] position   all zero while there is none
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL
 *
 * Threads: one at a time per stream.   Blocks: never
 */
SaAisErrorT vesta_stream_position(vesta_stream_t *stream, vesta_position_t *position);

/**
 * End a stream and free it.
 *
 * @param stream   *stream becomes NULL, its descriptor is closed; *stream == NULL is allowed
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when stream is NULL
 *
 * Threads: one at a time per stream.   Blocks: never
 */
SaAisErrorT vesta_stream_close(vesta_stream_t **stream);

/* ==== mirror ====================================================================================================== */

/** A stream and the table of sections that its changes build, in this process's memory. */
typedef struct vesta_mirror vesta_mirror_t;

/** How to open a mirror. Zero: of all sections, default limits. Members that a stream has as well are as there; its
 *  others would leave a mirror without what it needs. */
typedef struct vesta_mirror_options {
  SaSizeT buffer_bytes;
  const SaCkptSectionIdT *prefixes; /**< the table has these sections only */
  SaUint32T prefix_count;
  vesta_when_slow_t when_slow;
  SaUint64T reserved[6]; /**< zero */
} vesta_mirror_options_t;

/** One section of a mirror. Its pointers live until the next vesta_mirror_next() (vesta_pair_next() for a pair's). */
typedef struct vesta_section {
  SaCkptSectionIdT id; /**< idLen 0: the default section. Do not write to it */
  const void *data;    /**< NULL when size is 0 */
  SaSizeT size;
  SaTimeT expiry; /**< SA_TIME_END: never */
  SaTimeT time;   /**< when it was last changed */
  SaUint64T reserved[2];
} vesta_section_t;

/** Why a mirror could not take over now. */
typedef enum vesta_not_promotable {
  VESTA_PROMOTABLE = 0,
  VESTA_NOT_SYNCED = 1, /**< no consistent state: nothing received yet, a resync under way, or the service is silent */
  VESTA_LAGGING = 2,    /**< consistent, but this application has been behind for longer than two seconds */
  VESTA_DIVERGED = 3,   /**< what it has belongs to another history, or was found to differ by vesta_mirror_verify(); a
                             resync is under way */
  VESTA_ENDED = 4,      /**< the checkpoint is gone */
  VESTA_NO_QUORUM = 5, /**< the service's node is cut off from the other nodes of its cluster, or from too many of them:
                             they may go on without it. What the mirror has is a consistent state of before, and can be
                             read. Over when the node is back */
} vesta_not_promotable_t;

/** How far a mirror is. "Lag 0" alone is never the answer: who has received nothing lags behind nothing. */
typedef struct vesta_status {
  SaBoolT promotable;            /**< it could take over now: consistent, and level or nearly so */
  vesta_not_promotable_t reason; /**< if not, why not; else VESTA_PROMOTABLE */
  vesta_position_t committed;    /**< the last operation that the service said it has */
  vesta_position_t received;     /**< the last one that is here, without a gap */
  vesta_position_t applied;      /**< the last one that this application has taken, by its own calls of ..._next() */
  SaUint64T lag_operations;      /**< committed but not applied */
  SaUint64T lag_bytes;           /**< received but not applied, in memory held */
  SaTimeT lag;                   /**< since the application was last level with the service; 0: it is */
  SaTimeT silence;               /**< since the service was last heard */
  vesta_position_t verified;     /**< the last one at which vesta_mirror_verify() found the table to be what the service
                                      had; all zero: none yet, or it was found to differ since */
  SaUint64T reserved[5];
} vesta_status_t;

/**
 * Begin to mirror a checkpoint: a stream from a snapshot, and its table. The table grows with vesta_mirror_next().
 *
 * @param checkpoint   opened with SA_CKPT_CHECKPOINT_READ; must stay open while the mirror is
 * @param options      NULL: the defaults; copied
 * @param[out] mirror  set on SA_AIS_OK only; free with vesta_mirror_close()
 * @return SA_AIS_OK
 *         and the errors of vesta_stream_open()
 *
 * Threads: any.   Blocks: for one answer of the service, 10 seconds at most
 */
SaAisErrorT vesta_mirror_open(SaCkptCheckpointHandleT checkpoint, const vesta_mirror_options_t *options,
                              vesta_mirror_t **mirror);

/**
 * Begin to mirror a checkpoint of a service on another machine.
 *
 * @param server       as for vesta_stream_open_at()
 * @param checkpoint   its name, NUL-terminated
 * @param options      NULL: the defaults; copied
 * @param[out] mirror  set on SA_AIS_OK only; free with vesta_mirror_close()
 * @return SA_AIS_OK
 *         and the errors of vesta_stream_open_at()
 *
 * Threads: any.   Blocks: as vesta_stream_open_at()
 */
SaAisErrorT vesta_mirror_open_at(const vesta_server_t *server, const char *checkpoint,
                                 const vesta_mirror_options_t *options, vesta_mirror_t **mirror);

/**
 * A descriptor for poll(), select() or epoll: readable while vesta_mirror_next() would do something, as
 * vesta_stream_fd() is for a stream.
 *
 * @param[out] fd   belongs to the mirror: valid until it is closed, always the same, not to be read from
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  a pointer is NULL
 *         SA_AIS_ERR_BAD_HANDLE     this is a forked child
 *         SA_AIS_ERR_BAD_OPERATION  this is the mirror of a pair: vesta_pair_fd() is for that
 *
 * Threads: one at a time per mirror.   Blocks: never
 */
SaAisErrorT vesta_mirror_fd(vesta_mirror_t *mirror, SaSelectionObjectT *fd);

/**
 * Take the next change. The table has it when this returns, with two exceptions that keep the table in one piece: what
 * comes in a resync appears all at once with RESYNC_END (until then the table stays as it was before, so a full resync
 * holds both), and GONE leaves the last state in place.
 *
 * @param timeout        how long to wait for one; 0: not at all
 * @param[out] change    set on SA_AIS_OK only. Its id and data belong to the mirror and live until the next call
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_OPERATION  this is the mirror of a pair: vesta_pair_next() drives that
 *         SA_AIS_ERR_LIBRARY        a change can't follow what is there: the service is at fault. The table stays at
 *                                   its last state and is not promotable; close the mirror and open another
 *         and the errors of vesta_stream_next()
 *
 * Threads: one at a time per mirror.   Blocks: as vesta_stream_next()
 */
SaAisErrorT vesta_mirror_next(vesta_mirror_t *mirror, SaTimeT timeout, vesta_change_t *change);

/**
 * The position that the table stands at.
 *
 * @param[out] position   all zero while there is none
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL
 *
 * Threads: one at a time per mirror.   Blocks: never
 */
SaAisErrorT vesta_mirror_position(vesta_mirror_t *mirror, vesta_position_t *position);

/**
 * Look a section up in the table. No call leaves the process. A section stays in the table until its EXPIRED or DELETED
 * has been taken, even if its expiry time has come.
 *
 * @param id           the default section: an id of idLen 0
 * @param[out] data    belongs to the mirror, lives until the next vesta_mirror_next(); NULL when the size is 0
 * @param[out] size    in bytes
 * @return SA_AIS_OK; SA_AIS_ERR_NOT_EXIST when the table has no such section; SA_AIS_ERR_INVALID_PARAM when a pointer
 *         is NULL
 *
 * Threads: one at a time per mirror.   Blocks: never
 */
SaAisErrorT vesta_mirror_get(vesta_mirror_t *mirror, const SaCkptSectionIdT *id, const void **data, SaSizeT *size);

/** Is called for each section. Returns SA_FALSE to stop. Must not call vesta_mirror_next() or _close() on it. */
typedef SaBoolT (*vesta_visit_t)(void *context, const vesta_section_t *section);

/**
 * Visit every section of the table once, in no particular order.
 *
 * @param visit     called from within this call
 * @param context   handed to it
 * @return SA_AIS_OK, also when `visit` stopped it; SA_AIS_ERR_INVALID_PARAM when mirror or visit is NULL
 *
 * Threads: one at a time per mirror.   Blocks: as long as `visit` does
 */
SaAisErrorT vesta_mirror_each(vesta_mirror_t *mirror, vesta_visit_t visit, void *context);

/**
 * Count the sections in the table.
 *
 * @return their number; 0 when mirror is NULL
 *
 * Threads: one at a time per mirror.   Blocks: never
 */
SaSizeT vesta_mirror_count(const vesta_mirror_t *mirror);

/**
 * Could this mirror take over, and if not, why? Takes in what has arrived, hands nothing out.
 *
 * @param[out] status   set on SA_AIS_OK only
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL; SA_AIS_ERR_BAD_HANDLE in a forked child
 *
 * Threads: one at a time per mirror.   Blocks: never
 */
SaAisErrorT vesta_mirror_status(vesta_mirror_t *mirror, vesta_status_t *status);

/**
 * Compare the table with what the service has, by a hash of all sections' ids, sizes, expiry times and data, at one and
 * the same position. vesta_status_t says which: `verified`.
 *
 * The service makes its hash beside the writing and sends it in the stream, behind the operations that it is of; the
 * table is compared when it gets there, so nobody stops for it. What comes before the hash has to be taken first, by
 * vesta_mirror_next() (vesta_pair_next() for a pair's), which may as well meet the hash itself: then the next call here
 * has the result at once. Whoever takes changes all the time calls this with timeout 0 now and then, until it is
 * neither TRY_AGAIN nor TIMEOUT. A mirror that has fallen so far behind that it fetches what it lacks is compared when
 * it has caught up.
 *
 * The first time every section is hashed, here and in the service; from then on what changed, and a thirty-second of
 * the rest, so that memory that was damaged is found in the course of time. When they differ, nobody can tell which of
 * the two was damaged; the service's counts. The mirror gets everything anew: LOST (VESTA_LOST_CORRUPT), then a full
 * resync. Until its end it is not promotable (VESTA_DIVERGED), and the table is what it was.
 *
 * @param timeout   how long to wait for the service while there is nothing to take
 * @return SA_AIS_OK                    they were equal
 *         SA_AIS_ERR_FAILED_OPERATION  they were not
 *         SA_AIS_ERR_TRY_AGAIN         there are changes to be taken first; the verification goes on. Call again then
 *         SA_AIS_ERR_TIMEOUT           it has not finished in time; it goes on. Call again
 *         SA_AIS_ERR_NOT_SUPPORTED     the mirror has a part of the sections only (`prefixes`)
 *         SA_AIS_ERR_BAD_OPERATION     this is the mirror of a pair that is active now, which does not follow changes
 *         SA_AIS_ERR_NO_RESOURCES      the service has no room for more hashes (see doc/LIMITS.md); nothing goes on
 *         SA_AIS_ERR_NO_MEMORY         call again
 *         SA_AIS_ERR_INVALID_PARAM     mirror is NULL, timeout is negative
 *         and the errors of vesta_mirror_next()
 *
 * Threads: one at a time per mirror.   Blocks: up to timeout, and a few milliseconds for hashing
 */
SaAisErrorT vesta_mirror_verify(vesta_mirror_t *mirror, SaTimeT timeout);

/**
 * End a mirror and free it, its table included.
 *
 * @param mirror   *mirror becomes NULL, its descriptor is closed; *mirror == NULL is allowed
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  mirror is NULL
 *         SA_AIS_ERR_BAD_OPERATION  this is the mirror of a pair: vesta_pair_leave() ends that
 *
 * Threads: one at a time per mirror.   Blocks: never
 */
SaAisErrorT vesta_mirror_close(vesta_mirror_t **mirror);

/* ==== pair ======================================================================================================== */

/**
 * A member of a checkpoint's group: one of them is active, the others follow it, each with its own mirror.
 *
 * The first to join becomes active. When the active's process ends, by whatever cause, or it resigns or leaves, the
 * next is promoted: the synced ones first, then those that have applied what a writer was told to be applied
 * (`applied_by` of vesta_write_options_t), then by priority, then by the order of joining. It is ACTIVE only after it
 * has taken, with its own calls of vesta_pair_next(), every operation that was committed before: it needs no sleep, no
 * read-back and no iteration.
 *
 * Where something else decides who is active (Pacemaker, an AMF), members join as `manual` and call
 * vesta_pair_promote() when they are told to, and vesta_pair_resign() when they are no longer to be. Any member may
 * call vesta_pair_promote(): it takes the role from whoever has it.
 *
 * A process that ends is noticed at once. One that stands still (SIGSTOP, a debugger, a machine that pages) is alive
 * and holds the role for ever, unless it joined with a `heartbeat`.
 */
typedef struct vesta_pair vesta_pair_t;

/** How to join. Zero: a fenced group, priority 0, a name made of program and process id. */
typedef struct vesta_pair_options {
  const char *name;        /**< for operators to read: 1 to 64 bytes, copied; NULL: "program.pid" */
  SaUint32T priority;      /**< higher goes first, among members that are synced alike */
  SaBoolT unfenced;        /**< SA_FALSE: only the active member may write the checkpoint; all others, in the group or
                                not, get SA_AIS_ERR_BAD_OPERATION. Writes are fenced if any member wants it so */
  SaBoolT require_synced;  /**< never promote this member unless it is synced, even if nobody else is there */
  SaBoolT manual;          /**< SA_TRUE: this member is promoted by vesta_pair_promote() alone, and when it resigns the
                                role may stay with nobody. While nobody is active, nobody writes a fenced group */
  SaTimeT promote_timeout; /**< when promoted, this member has so long to take all changes up to its barrier; then the
                                next one is tried. 0: 5 seconds */
  SaTimeT heartbeat;     /**< as active, when it gives no sign of life for so long, it is taken for stopped and the next
                                one is promoted; if there is none it stays. When it wakes up its writes are refused, and
                                it is told FENCED. At least 10 milliseconds; 0: off. A sign of life is any call for this
                                checkpoint that reaches the service: a write, or vesta_pair_next(), which says so four
                                times a heartbeat if it is called as often (it is, by who waits in it or calls it when
                                its descriptor is readable). The library has no thread: who does neither for longer, in
                                a long computation or a write that waits for `applied_by`, chooses a longer one */
  SaSizeT buffer_bytes;  /**< as in vesta_stream_options_t */
  SaUint64T reserved[8]; /**< zero */
} vesta_pair_options_t;

/** A member's role.
 *
 *     STANDBY --granted--> PROMOTING --all taken--> ACTIVE
 *      ^ ^ ^                  |                      |  |
 *      | | +------revoked-----+                      |  |
 *      | +-----------------resigned------------------+  |
 *      +------- FENCED <-------another was granted------+
 */
typedef enum vesta_role {
  VESTA_ROLE_STANDBY = 1,   /**< follows; must not serve */
  VESTA_ROLE_PROMOTING = 2, /**< granted; take the events that are left, ACTIVE follows them */
  VESTA_ROLE_ACTIVE = 3,    /**< has everything; serves, and writes from now on */
  VESTA_ROLE_FENCED = 4,    /**< was active, another was granted the role: it asked for it, or this one was silent for
                                 its heartbeat. Writes are refused; stop serving. STANDBY follows. Or this node is cut
                                 off from the others (reason NO_QUORUM), who may grant the role to another any moment.
                                 If they did not, PROMOTING and ACTIVE come again when it is back, by a new grant */
} vesta_role_t;

/** Why a member is STANDBY, or FENCED. */
typedef enum vesta_role_reason {
  VESTA_ROLE_JOINED = 1,    /**< as every member at first */
  VESTA_ROLE_REVOKED = 2,   /**< the promotion was taken back: the barrier was not reached in time */
  VESTA_ROLE_RESIGNED = 3,  /**< it handed over by vesta_pair_resign() */
  VESTA_ROLE_AGAIN = 4,     /**< after FENCED */
  VESTA_ROLE_NO_QUORUM = 5, /**< of FENCED, in a cluster: this node has not been heard by a majority for half a second.
                                 Nothing is written through it until it is. corosync takes longer to give a node up,
                                 and only then the role goes to another */
} vesta_role_reason_t;

/** How complete a promotion is. */
typedef enum vesta_promotion_result {
  VESTA_PROMOTION_SYNCED = 1, /**< nothing that the checkpoint has is missing. What it lost with a node, in a mode other
                                   than SA_CKPT_WR_ALL_REPLICAS, nobody can tell */
  VESTA_PROMOTION_DIRTY = 2,  /**< operations are missing in the mirror, exactly those that are named. They are in
                                          the checkpoint: saCkptCheckpointRead() has their outcome */
  VESTA_PROMOTION_POSSIBLY_LOST = 3, /**< reserved; not given */
} vesta_promotion_result_t;

/** What a promotion brought. */
typedef struct vesta_promotion {
  vesta_promotion_result_t result;
  vesta_position_t missing_after; /**< DIRTY: of the last operation before the gap; all zero: the mirror has nothing */
  vesta_position_t missing_to;    /**< DIRTY: of the last operation in the gap: the grant, which ended the old epoch */
  SaUint64T reserved[4];
} vesta_promotion_t;

/** What vesta_pair_next() hands out: a change of the checkpoint or a change of this member's role. */
typedef enum vesta_event_kind {
  VESTA_EVENT_CHANGE = 1, /**< `change`; the mirror has it, as with vesta_mirror_next() */
  VESTA_EVENT_ROLE = 2,   /**< `role` is new; reason, role_epoch, promotion */
} vesta_event_kind_t;

typedef struct vesta_event {
  vesta_event_kind_t kind;
  vesta_role_t role;           /**< the member's role from this event on; of a CHANGE the role it has */
  vesta_role_reason_t reason;  /**< ROLE, STANDBY; ROLE, FENCED: NO_QUORUM, or 0: another was granted the role */
  vesta_promotion_t promotion; /**< ROLE, ACTIVE: DIRTY only after vesta_pair_promote() */
  SaUint64T role_epoch;        /**< ROLE, PROMOTING and ACTIVE: the epoch of the grant. It only ever rises: a fencing
                                    token, to show to resources outside */
  vesta_change_t change;       /**< CHANGE */
  SaUint64T reserved[4];
} vesta_event_t;

/**
 * Join the group of a checkpoint; there is one group per checkpoint, made by who joins first.
 *
 * The library handle of `checkpoint` is what becomes the member: every checkpoint handle opened through it may write
 * the checkpoint while it is ACTIVE. It has one membership: do not join a group twice through the same one. When the
 * process ends, its membership ends.
 *
 * @param checkpoint   opened with SA_CKPT_CHECKPOINT_READ (and to write as active, also SA_CKPT_CHECKPOINT_WRITE)
 * @param options      NULL: the defaults; copied
 * @param[out] pair    set on SA_AIS_OK only; free with vesta_pair_leave()
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  the name is empty or too long, the heartbeat too short, a time negative; and as in
 *                                   vesta_stream_open()
 *         and the errors of vesta_stream_open()
 *
 * Threads: any.   Blocks: for answers of the service, 10 seconds at most
 */
SaAisErrorT vesta_pair_join(SaCkptCheckpointHandleT checkpoint, const vesta_pair_options_t *options,
                            vesta_pair_t **pair);

/**
 * A descriptor for poll(), select() or epoll: readable while vesta_pair_next() would do something, as vesta_stream_fd()
 * is for a stream.
 *
 * @param[out] fd   belongs to the pair: valid until it is left, always the same, not to be read from
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL; SA_AIS_ERR_BAD_HANDLE in a forked child
 *
 * Threads: one at a time per pair.   Blocks: never
 */
SaAisErrorT vesta_pair_fd(vesta_pair_t *pair, SaSelectionObjectT *fd);

/**
 * Take the next event. The first one is ROLE STANDBY. A call says that everything handed out before has been dealt
 * with: ACTIVE comes only from the call after the last change before it.
 *
 * While ACTIVE, the member's own changes are not handed out and its mirror stays where it was when it became active.
 * When it is standby again, what changed since is resynced from there.
 *
 * @param timeout      how long to wait for one; 0: not at all
 * @param[out] event   set on SA_AIS_OK only. Pointers in `change` belong to the pair and live until the next call
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_HANDLE  as in vesta_stream_next(); or the service has ended the membership with its session
 *         and the errors of vesta_stream_next() and vesta_mirror_next()
 *
 * Threads: one at a time per pair.   Blocks: up to timeout, and when it gets ACTIVE for one answer of the service
 */
SaAisErrorT vesta_pair_next(vesta_pair_t *pair, SaTimeT timeout, vesta_event_t *event);

/**
 * The pair's mirror, for vesta_mirror_get(), _each(), _count(), _position(), _status() and _verify().
 *
 * @return NULL when pair is NULL
 *
 * Owns: the pair; it lives until vesta_pair_leave().   Threads: one at a time per pair.   Blocks: never
 */
vesta_mirror_t *vesta_pair_mirror(vesta_pair_t *pair);

/**
 * Ask for the role, whoever has it: an active that lives is fenced first and told FENCED. Nothing that it was
 * acknowledged is lost.
 *
 * The grant is what this call brings. The rest is as in any promotion: PROMOTING is the next role event, then comes
 * what is left to take up to the barrier, then ACTIVE. A member that has not taken all by the end of `timeout` becomes
 * ACTIVE all the same, when it has taken what is there, and its event says DIRTY and what is missing; with
 * `require_synced` it goes on taking instead. `promote_timeout` holds as well where others could be promoted.
 *
 * @param timeout          for the grant and for taking what is left; 0: 10 seconds; SA_TIME_END: no limit
 * @param[out] promotion   set on SA_AIS_OK only. SYNCED: this member follows the changes, what it has not taken is on
 *                         its way. DIRTY: it does not now (a snapshot or resync has not come to its end); what is
 *                         missing at this moment. A member that is active already is told what its ACTIVE event said
 * @return SA_AIS_OK
 *         SA_AIS_ERR_TRY_AGAIN         the member must be synced (`require_synced`) and isn't, or role events are
 *                                      waiting, or the service isn't there or has no quorum: nothing has changed
 *         SA_AIS_ERR_TIMEOUT           it was not granted in time: nothing has changed, nor will it
 *         SA_AIS_ERR_FAILED_OPERATION  the service has the request and gave no answer until a second after `timeout`:
 *                                      it is stopped, or was; or the node that it was passed on to gave none for 10
 *                                      seconds, whatever `timeout` is. The role events tell what came of it
 *         SA_AIS_ERR_BAD_OPERATION     the service does not know the member: it has left
 *         SA_AIS_ERR_BAD_HANDLE, SA_AIS_ERR_INVALID_PARAM  as in vesta_pair_next()
 *
 * Threads: one at a time per pair.   Blocks: for an answer of the service, up to timeout and a second
 */
SaAisErrorT vesta_pair_promote(vesta_pair_t *pair, SaTimeT timeout, vesta_promotion_t *promotion);

/**
 * A planned switchover: the active hands over to the next in order. From then on its writes are refused, and its
 * successor has everything that was ever acknowledged to it. The role event STANDBY with reason VESTA_ROLE_RESIGNED
 * follows. A `manual` member that nobody can succeed leaves the role to nobody until somebody asks for it.
 *
 * @param timeout   for the service's answer; 0: 10 seconds
 * @return SA_AIS_OK
 *         SA_AIS_ERR_BAD_OPERATION  the member is not active
 *         SA_AIS_ERR_TRY_AGAIN      nobody is there who could take over, or the service isn't: still active
 *         SA_AIS_ERR_TIMEOUT        no answer: the role events tell what came of it
 *         SA_AIS_ERR_BAD_HANDLE, SA_AIS_ERR_INVALID_PARAM  as in vesta_pair_next()
 *
 * Threads: one at a time per pair.   Blocks: up to timeout
 */
SaAisErrorT vesta_pair_resign(vesta_pair_t *pair, SaTimeT timeout);

/**
 * Leave the group and free the pair. If it was active the next one is promoted at once.
 *
 * @param pair   *pair becomes NULL; *pair == NULL is allowed
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when pair is NULL. Whatever else happens, the pair is freed: when the
 *         service can't be told now, it finds out when the checkpoint handle is closed
 *
 * Threads: one at a time per pair.   Blocks: for an answer of the service, 2 seconds at most
 */
SaAisErrorT vesta_pair_leave(vesta_pair_t **pair);

/* ==== writing ===================================================================================================== */

/**
 * A transaction: changes of sections of one checkpoint that are done together or not at all.
 *
 * It is one operation: one position, and to streams one group of changes (`index`, `count`). Changes are done in the
 * order of the calls, each on what the ones before it leave. At most 1000 changes with 256 MiB of data.
 */
typedef struct vesta_txn vesta_txn_t;

/** How to commit. Zero: done when the service has it, whatever the sections were before. */
typedef struct vesta_write_options {
  vesta_position_t if_unchanged_since; /**< only if no section that it changes was changed after this position: the one
                                            at which they were read (of a mirror), or of their last change. What the
                                            transaction creates must not be there, as always. All zero: always */
  SaUint32T applied_by;  /**< return when so many members of the checkpoint's group have applied it, by their own calls
                              of vesta_pair_next(), the writer itself not counted; at most 63. 0: none need have. A
                              member that has is promoted before one that has not */
  SaBoolT any_node;      /**< applied_by: SA_TRUE: members on this node count as well. SA_FALSE: only those on others;
                              while Vesta runs on one node there are none: SA_AIS_ERR_NOT_SUPPORTED */
  SaTimeT timeout;       /**< applied_by: wait so long for the members. 0: 10 seconds */
  SaUint64T reserved[8]; /**< zero */
} vesta_write_options_t;

/**
 * Begin a transaction. Nothing is done before its commit.
 *
 * @param checkpoint   opened with SA_CKPT_CHECKPOINT_WRITE; must be open when it is committed
 * @param[out] txn     set on SA_AIS_OK only; free with vesta_txn_commit() or vesta_txn_abort()
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  txn is NULL
 *         SA_AIS_ERR_BAD_HANDLE     no such checkpoint handle in this process
 *         SA_AIS_ERR_ACCESS         the checkpoint was not opened for writing
 *         SA_AIS_ERR_NO_MEMORY      out of memory
 *
 * Threads: any.   Blocks: never
 */
SaAisErrorT vesta_txn_begin(SaCkptCheckpointHandleT checkpoint, vesta_txn_t **txn);

/**
 * Add to a transaction: create a section.
 *
 * @param id       copied; ids are not generated here, so at least one byte
 * @param data     copied; may be NULL when size is 0
 * @param expiry   when it expires; SA_TIME_END: never
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  a pointer is NULL; the id is empty or longer than the checkpoint's may be; size is
 *                                   above the checkpoint's maxSectionSize; expiry is negative
 *         SA_AIS_ERR_BAD_HANDLE     the checkpoint handle was closed; or this is a forked child
 *         SA_AIS_ERR_NO_RESOURCES   there are 1000 changes in it, or more than 256 MiB of data with this one
 *         SA_AIS_ERR_NO_MEMORY      out of memory
 *         After an error the transaction is what it was before the call.
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_create(vesta_txn_t *txn, const SaCkptSectionIdT *id, const void *data, SaSizeT size,
                             SaTimeT expiry);

/**
 * Add to a transaction: write a part of a section, which grows if that reaches past its end.
 *
 * @param id       copied; the default section: an id of idLen 0
 * @param offset   in bytes
 * @param data     copied; may be NULL when size is 0
 * @return SA_AIS_OK
 *         SA_AIS_ERR_NO_RESOURCES  offset + size is above maxSectionSize; and as in vesta_txn_create()
 *         SA_AIS_ERR_NOT_EXIST     the id is empty and the checkpoint has no default section
 *         and the errors of vesta_txn_create()
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_write(vesta_txn_t *txn, const SaCkptSectionIdT *id, SaOffsetT offset, const void *data,
                            SaSizeT size);

/**
 * Add to a transaction: give a section this content, which is all of it then.
 *
 * @param id     copied; the default section: an id of idLen 0
 * @param data   copied; may be NULL when size is 0
 * @return SA_AIS_OK
 *         SA_AIS_ERR_NOT_EXIST  the id is empty and the checkpoint has no default section
 *         and the errors of vesta_txn_create()
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_overwrite(vesta_txn_t *txn, const SaCkptSectionIdT *id, const void *data, SaSizeT size);

/**
 * Add to a transaction: delete a section.
 *
 * @param id   copied; not the default section, which is there to stay
 * @return SA_AIS_OK
 *         and the errors of vesta_txn_create()
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_delete(vesta_txn_t *txn, const SaCkptSectionIdT *id);

/**
 * Add to a transaction: set when a section expires.
 *
 * @param id       copied; not the default section, which never expires
 * @param expiry   when; SA_TIME_END: never
 * @return SA_AIS_OK
 *         and the errors of vesta_txn_create()
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_expiry_set(vesta_txn_t *txn, const SaCkptSectionIdT *id, SaTimeT expiry);

/**
 * Do all of a transaction, or nothing.
 *
 * @param txn             *txn becomes NULL on SA_AIS_OK. After an error it is as before: commit it again, or abort it
 * @param options         NULL: the defaults
 * @param[out] position   of the operation, set on SA_AIS_OK only; may be NULL
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM     a pointer is NULL; nothing is in it; an option is out of its range; a reserved
 *                                      member is not zero
 *         SA_AIS_ERR_BAD_HANDLE        the checkpoint handle was closed; or this is a forked child
 *         SA_AIS_ERR_BAD_OPERATION     the group is fenced and its active is another
 *         SA_AIS_ERR_EXIST             a section to be created is there
 *         SA_AIS_ERR_NOT_EXIST         a section to be changed is not there; or the checkpoint has no active replica
 *         SA_AIS_ERR_NO_SPACE          the checkpoint has as many sections as it may have, or memory is full
 *         SA_AIS_ERR_NO_RESOURCES      a limit of the service was met
 *         SA_AIS_ERR_NO_MEMORY         out of memory
 *         SA_AIS_ERR_FAILED_OPERATION  if_unchanged_since: a section was changed since; or that is no position of the
 *                                      checkpoint's history. Read again, and decide again
 *         SA_AIS_ERR_NOT_SUPPORTED     applied_by without any_node: no other nodes
 *         SA_AIS_ERR_TRY_AGAIN         the service is not there now, or applied_by: the group has not so many others
 *         SA_AIS_ERR_TIMEOUT           applied_by: it is done, but not so many members have applied it in time. Or
 *                                      there was no answer within 10 seconds: it is done or not
 *         After any error but SA_AIS_ERR_TIMEOUT nothing was done; vesta_txn_failed_at() tells what it was about.
 *
 * Threads: one at a time per transaction.   Blocks: for one answer of the service, 10 seconds at most; with applied_by
 *          for options->timeout more
 */
SaAisErrorT vesta_txn_commit(vesta_txn_t **txn, const vesta_write_options_t *options, vesta_position_t *position);

/**
 * Which change of a transaction its last vesta_txn_commit() failed for.
 *
 * @param[out] index   set on SA_AIS_OK only; changes count from 0 in the order of the calls that added them
 * @return SA_AIS_OK
 *         SA_AIS_ERR_NOT_EXIST      it did not fail, or not for one of them
 *         SA_AIS_ERR_INVALID_PARAM  a pointer is NULL
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_failed_at(const vesta_txn_t *txn, SaUint32T *index);

/**
 * Drop a transaction.
 *
 * @param txn   *txn becomes NULL; *txn == NULL is allowed
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when txn is NULL
 *
 * Threads: one at a time per transaction.   Blocks: never
 */
SaAisErrorT vesta_txn_abort(vesta_txn_t **txn);

/**
 * Writes that nobody waits for one by one: many are under way at a time, done in the order in which they were handed
 * in, and what came of each is taken later, in that order.
 *
 *     vesta_writer_commit, _overwrite, _write     hand in, 64 at most; then SA_AIS_ERR_TRY_AGAIN: take some first
 *     vesta_writer_next                           take what came of the oldest
 *
 * Each is an operation of its own: it may fail while later ones succeed. They outlive a restart of the service: what is
 * unanswered is handed in again, and done once. Writes of other calls, on the same handle too, are not in order with
 * them.
 *
 * Up to 32 are on their way to the service when the call that hands them in returns, as far as the socket takes them.
 * Beyond, they go in groups, up to 15 of them waiting for one, at the latest with vesta_writer_next(): the descriptor
 * is readable while some wait.
 */
typedef struct vesta_writer vesta_writer_t;

/** What came of one write. */
typedef struct vesta_completion {
  SaInvocationT invocation;  /**< as handed in */
  SaAisErrorT error;         /**< as vesta_txn_commit() would return it */
  SaUint32T failed_at;       /**< on an error for one change of a transaction its index; else VESTA_NO_CHANGE */
  vesta_position_t position; /**< on SA_AIS_OK, of the operation */
  SaUint64T reserved[4];
} vesta_completion_t;

/** No change of a transaction. */
#define VESTA_NO_CHANGE ((SaUint32T)-1)

/**
 * Open a writer.
 *
 * @param checkpoint    opened with SA_CKPT_CHECKPOINT_WRITE; must stay open while the writer is
 * @param[out] writer   set on SA_AIS_OK only; free with vesta_writer_close()
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  writer is NULL
 *         SA_AIS_ERR_BAD_HANDLE     no such checkpoint handle in this process
 *         SA_AIS_ERR_ACCESS         the checkpoint was not opened for writing
 *         SA_AIS_ERR_NO_RESOURCES   no descriptors are left
 *         SA_AIS_ERR_NO_MEMORY      out of memory
 *
 * Threads: any.   Blocks: never
 */
SaAisErrorT vesta_writer_open(SaCkptCheckpointHandleT checkpoint, vesta_writer_t **writer);

/**
 * A descriptor for poll(), select() or epoll: readable while vesta_writer_next() would do something, level-triggered.
 * It may wake up for the writer's own needs: then vesta_writer_next() returns SA_AIS_ERR_TIMEOUT.
 *
 * @param[out] fd   belongs to the writer: valid until it is closed, always the same, not to be read from
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when a pointer is NULL; SA_AIS_ERR_BAD_HANDLE in a forked child
 *
 * Threads: one at a time per writer.   Blocks: never
 */
SaAisErrorT vesta_writer_fd(vesta_writer_t *writer, SaSelectionObjectT *fd);

/**
 * Hand in a transaction.
 *
 * @param txn          of the same checkpoint handle. *txn becomes NULL on SA_AIS_OK; after an error it is as before
 * @param options      NULL: the defaults; copied
 * @param invocation   comes back with the completion
 * @return SA_AIS_OK
 *         SA_AIS_ERR_INVALID_PARAM  a pointer is NULL; it is of another handle; nothing is in it; an option is out of
 *                                   its range; a reserved member is not zero
 *         SA_AIS_ERR_BAD_HANDLE     the checkpoint handle was closed; or this is a forked child
 *         SA_AIS_ERR_TRY_AGAIN      64 writes, or 64 MiB of them, are under way or were not taken yet, or other threads
 *                                   have as many under way through the same library handle. Nothing was handed in
 *         SA_AIS_ERR_NO_MEMORY      out of memory
 *
 * Threads: one at a time per writer.   Blocks: never, but for the socket to take the rest of a write that it has begun
 *          to take
 */
SaAisErrorT vesta_writer_commit(vesta_writer_t *writer, vesta_txn_t **txn, const vesta_write_options_t *options,
                                SaInvocationT invocation);

/**
 * Hand in one change, as vesta_txn_overwrite() and vesta_writer_commit() with a transaction of its own.
 *
 * @param id           copied; the default section: an id of idLen 0
 * @param data         copied; may be NULL when size is 0
 * @param invocation   comes back with the completion
 * @return SA_AIS_OK
 *         and the errors of vesta_txn_overwrite() and vesta_writer_commit()
 *
 * Threads: one at a time per writer.   Blocks: as vesta_writer_commit()
 */
SaAisErrorT vesta_writer_overwrite(vesta_writer_t *writer, const SaCkptSectionIdT *id, const void *data, SaSizeT size,
                                   SaInvocationT invocation);

/**
 * Hand in one change, as vesta_txn_write() and vesta_writer_commit() with a transaction of its own.
 *
 * @param id           copied; the default section: an id of idLen 0
 * @param offset       in bytes
 * @param data         copied; may be NULL when size is 0
 * @param invocation   comes back with the completion
 * @return SA_AIS_OK
 *         and the errors of vesta_txn_write() and vesta_writer_commit()
 *
 * Threads: one at a time per writer.   Blocks: as vesta_writer_commit()
 */
SaAisErrorT vesta_writer_write(vesta_writer_t *writer, const SaCkptSectionIdT *id, SaOffsetT offset, const void *data,
                               SaSizeT size, SaInvocationT invocation);

/**
 * Take what came of the oldest write that was not taken yet.
 *
 * @param timeout           how long to wait for it; 0: not at all
 * @param[out] completion   set on SA_AIS_OK only
 * @return SA_AIS_OK
 *         SA_AIS_ERR_TIMEOUT        it is not done yet
 *         SA_AIS_ERR_NOT_EXIST      nothing is under way
 *         SA_AIS_ERR_INVALID_PARAM  a pointer is NULL, timeout is negative
 *         SA_AIS_ERR_BAD_HANDLE     the checkpoint handle was closed, or the service does not know it any more: of what
 *                                   is under way it is not known whether it was done; or this is a forked child
 *
 * Threads: one at a time per writer.   Blocks: up to timeout; and 0.2 seconds at most when the service was gone
 */
SaAisErrorT vesta_writer_next(vesta_writer_t *writer, SaTimeT timeout, vesta_completion_t *completion);

/**
 * Close a writer and free it. What is under way is done or not; take the completions first if that matters.
 *
 * @param writer   *writer becomes NULL, its descriptor is closed; *writer == NULL is allowed
 * @return SA_AIS_OK; SA_AIS_ERR_INVALID_PARAM when writer is NULL
 *
 * Threads: one at a time per writer.   Blocks: never
 */
SaAisErrorT vesta_writer_close(vesta_writer_t **writer);

#ifdef __cplusplus
}
#endif

#endif
