/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A main for fuzzers where there is no libFuzzer: gives LLVMFuzzerTestOneInput() no bytes at all, then each file of the
 * folders named on the command line. What a fuzzer once found stays in its corpus and is replayed here, with sanitizers
 * and either compiler.
 *
 * Each input stands alone in heap memory of exactly its size, so that AddressSanitizer sees a read past its end.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bounds of a corpus: it is meant to be small. */
#define INPUT_BYTES_MAX (1L << 20)
#define PATH_BYTES_MAX 4096

static int input_replay(const char *path) {
  int result = 1;
  uint8_t *data = NULL;
  long size;
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || size > INPUT_BYTES_MAX) {
    (void)fprintf(stderr, "%s: not a file, or larger than %ld bytes\n", path, INPUT_BYTES_MAX);
    goto out;
  }
  rewind(file);
  data = malloc(size > 0 ? (size_t)size : 1);
  if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
    perror(path);
    goto out;
  }
  (void)LLVMFuzzerTestOneInput(data, (size_t)size);
  result = 0;
out:
  free(data);
  (void)fclose(file);
  return result;
}

static int folder_replay(const char *folder, unsigned *count) {
  int result = 0;
  const struct dirent *entry;
  DIR *dir = opendir(folder);
  if (dir == NULL) {
    perror(folder);
    return 1;
  }
  while (result == 0 && (entry = readdir(dir)) != NULL) {
    char path[PATH_BYTES_MAX];
    if (entry->d_name[0] == '.') {
      continue;
    }
    const int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (length < 0 || (size_t)length >= sizeof path) {
      (void)fprintf(stderr, "%s/%s: name too long\n", folder, entry->d_name);
      result = 1;
    } else {
      result = input_replay(path);
      ++*count;
    }
  }
  (void)closedir(dir);
  return result;
}

int main(int argc, char **argv) {
  unsigned count = 1;
  (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  for (int i = 1; i < argc; i++) {
    if (folder_replay(argv[i], &count) != 0) {
      return EXIT_FAILURE;
    }
  }
  (void)printf("%u inputs replayed\n", count);
  return EXIT_SUCCESS;
}
