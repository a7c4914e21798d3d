/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who uses a checkpoint: the handles it is open through and the streams asked for through them, each list in the order
 * of ids, so that it can be told piece by piece while some come and go.
 *
 * Handles are the directory's, replicated. Streams are this node's: they tell people who follows and how far he is, and
 * nothing depends on them; so a stream that finds no room here works as well and is not listed.
 */
#include <stdlib.h>

#include "core/directory_state.h"

/* Ids rise, so it is nearly always the newest; a journal of an earlier version may have them in another order. */
void directory_handle_link(directory_handle_t *handle) {
  directory_checkpoint_t *checkpoint = handle->checkpoint;
  directory_handle_t *older = checkpoint->newest;
  while (older != NULL && older->id > handle->id) {
    older = older->older;
  }
  handle->older = older;
  handle->newer = older == NULL ? checkpoint->oldest : older->newer;
  *(older == NULL ? &checkpoint->oldest : &older->newer) = handle;
  *(handle->newer == NULL ? &checkpoint->newest : &handle->newer->older) = handle;
}

void directory_handle_unlink(directory_t *d, directory_handle_t *handle) {
  directory_checkpoint_t *checkpoint = handle->checkpoint;
  while (handle->streams != NULL) {
    directory_stream_remove(d, handle->streams);
  }
  *(handle->older == NULL ? &checkpoint->oldest : &handle->older->newer) = handle->newer;
  *(handle->newer == NULL ? &checkpoint->newest : &handle->newer->older) = handle->older;
}

directory_handle_t *directory_handle_after(const directory_t *d, const directory_checkpoint_t *checkpoint,
                                           uint64_t after) {
  directory_handle_t *handle = after == 0 ? NULL : directory_handle(d, after);
  if (handle != NULL && handle->checkpoint == checkpoint) {
    return handle->newer;
  }
  handle = checkpoint->oldest; /* it was closed meanwhile, or this is the beginning */
  while (handle != NULL && handle->id <= after) {
    handle = handle->newer;
  }
  return handle;
}

/* Ids rise, so it is nearly always the newest of its checkpoint. */
static void stream_link(directory_t *d, directory_handle_t *handle, directory_stream_t *stream) {
  directory_checkpoint_t *checkpoint = handle->checkpoint;
  directory_stream_t *older = checkpoint->streams_last;
  while (older != NULL && older->id > stream->id) {
    older = older->older;
  }
  stream->handle = handle;
  stream->next = handle->streams;
  handle->streams = stream;
  stream->older = older;
  stream->newer = older == NULL ? checkpoint->streams : older->newer;
  *(older == NULL ? &checkpoint->streams : &older->newer) = stream;
  *(stream->newer == NULL ? &checkpoint->streams_last : &stream->newer->older) = stream;
  checkpoint->stream_count++;
  d->stream_count++;
}

directory_stream_t *directory_stream_add(directory_t *d, directory_handle_t *handle, uint64_t id) {
  directory_stream_t *stream = d->stream_count < VESTA_STREAMS_MAX ? calloc(1, sizeof *stream) : NULL;
  if (stream == NULL) {
    return NULL;
  }
  d->last_stream = id > d->last_stream ? id : d->last_stream + 1;
  stream->id = d->last_stream;
  stream_link(d, handle, stream);
  return stream;
}

directory_stream_t *directory_stream(const directory_handle_t *handle, uint64_t id, uint64_t request) {
  directory_stream_t *stream = handle->streams;
  while (stream != NULL && stream->id != id && (request == 0 || stream->request != request)) {
    stream = stream->next;
  }
  return stream;
}

static void stream_unlink(directory_t *d, directory_stream_t *stream) {
  directory_checkpoint_t *checkpoint = stream->handle->checkpoint;
  directory_stream_t **at = &stream->handle->streams;
  while (*at != stream) {
    at = &(*at)->next;
  }
  *at = stream->next;
  *(stream->older == NULL ? &checkpoint->streams : &stream->older->newer) = stream->newer;
  *(stream->newer == NULL ? &checkpoint->streams_last : &stream->newer->older) = stream->older;
  checkpoint->stream_count--;
  d->stream_count--;
}

void directory_stream_remove(directory_t *d, directory_stream_t *stream) {
  stream_unlink(d, stream);
  free(stream);
}

void directory_handle_adopt(directory_t *d, directory_handle_t *handle, directory_t *from, directory_handle_t *before) {
  handle->track = before->track;
  while (before->streams != NULL) {
    directory_stream_t *stream = before->streams;
    stream_unlink(from, stream);
    stream_link(d, handle, stream);
    d->last_stream = stream->id > d->last_stream ? stream->id : d->last_stream;
  }
}

uint32_t directory_stream_count(const directory_t *d) { return d->stream_count; }
