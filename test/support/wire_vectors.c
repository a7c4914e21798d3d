/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See wire_vectors.h. The file is read into one buffer; hexadecimal is turned into bytes where it stands.
 */
#include "test/support/wire_vectors.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES 65536U
#define VECTORS_MAX 64U
#define ELEMENTS_MAX 64U /* of all vectors */

typedef struct vector_reader {
  char text[FILE_BYTES];
  wire_vector_t vectors[VECTORS_MAX];
  wire_element_t elements[ELEMENTS_MAX];
  size_t count, element_count;
} vector_reader_t;

static vector_reader_t reader;

_Noreturn static void fault(const char *what, const char *text) {
  (void)fprintf(stderr, "test/vectors/wire.txt: %s: %s\n", what, text);
  exit(EXIT_FAILURE);
}

static vesta_bytes_t hex_read(char *text) {
  uint8_t *bytes = (uint8_t *)text;
  size_t size = 0;
  for (const char *at = text; *at != '\0'; at += 2) {
    unsigned byte;
    if (sscanf(at, "%2x", &byte) != 1 || at[1] == '\0') {
      fault("not hexadecimal", text);
    }
    bytes[size++] = (uint8_t)byte;
  }
  return vesta_bytes(size != 0 ? bytes : NULL, size);
}

static uint64_t value_U(char *text) { return strtoull(text, NULL, 10); }
static int64_t value_I(char *text) { return strtoll(text, NULL, 10); }
static vesta_bytes_t value_B(char *text) {
  if (text[0] != 'x') {
    fault("bytes begin with an x", text);
  }
  return hex_read(text + 1);
}

/* NUMBER NAME VALUE */
static void field_read(wire_message_t *message, char *text) {
  char *rest = NULL;
  const char *number = strtok_r(text, " ", &rest);
  const char *name = strtok_r(NULL, " ", &rest);
  if (number == NULL || name == NULL) {
    fault("not a field", text);
  }
#define FIELD_READ(field, NAME, field_number, type, max)             \
  if (atoi(number) == (field_number) && strcmp(name, #field) == 0) { \
    message->field = value_##type(rest);                             \
    return;                                                          \
  }
  WIRE_FIELDS(FIELD_READ)
#undef FIELD_READ
  fault("no such field", name);
}

static void element_read(wire_message_t *message, char *text) {
  if (reader.element_count == ELEMENTS_MAX) {
    fault("too many elements", text);
  }
  wire_element_t *element = &reader.elements[reader.element_count++];
  char *rest = NULL;
  char *value = strtok_r(text, " ", &rest);
#define ITEM_READ(item, type, max)       \
  if (value != NULL) {                   \
    element->item = value_##type(value); \
    value = strtok_r(NULL, " ", &rest);  \
  }
  WIRE_ELEMENT_ITEMS(ITEM_READ)
#undef ITEM_READ
  message->elements = element - message->element_count++; /* they follow each other */
}

static void line_read(wire_vector_t *vector, const char *word, char *rest) {
  if (strcmp(word, "field") == 0) {
    field_read(&vector->message, rest);
  } else if (strcmp(word, "element") == 0) {
    element_read(&vector->message, rest);
  } else if (strcmp(word, "topic") == 0) {
    vector->topic = hex_read(rest);
  } else if (strcmp(word, "head") == 0) {
    vector->head = hex_read(rest);
  } else if (strcmp(word, "payload") == 0) {
    vector->payload = hex_read(rest);
  } else if (strcmp(word, "frame") == 0) {
    vector->frame = hex_read(rest);
  } else if (strcmp(word, "form") == 0) {
    vector->canonical = false;
  } else if (strcmp(word, "error") == 0) {
    vector->error = strcmp(rest, "VERSION") == 0 ? VESTA_ERR_VERSION : VESTA_ERR_MALFORMED;
    vector->canonical = false;
  } else {
    fault("no such line", word);
  }
}

static void file_read(void) {
  const char *source = getenv("VESTA_TEST_SOURCE_DIR"); /* without ctest: started in the source folder */
  char path[4096];
  (void)snprintf(path, sizeof path, "%s/test/vectors/wire.txt", source != NULL ? source : ".");
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    fault("cannot be opened", path);
  }
  size_t size = fread(reader.text, 1, sizeof reader.text, file);
  (void)fclose(file);
  if (size == sizeof reader.text) {
    fault("too long", path);
  }
}

static void lines_read(void) {
  char *lines = NULL;
  for (char *line = strtok_r(reader.text, "\n", &lines); line != NULL; line = strtok_r(NULL, "\n", &lines)) {
    char *rest = NULL;
    const char *word = strtok_r(line, " ", &rest);
    if (line[0] == '#') {
      continue;
    }
    if (strcmp(word, "vector") == 0) {
      if (reader.count == VECTORS_MAX) {
        fault("too many vectors", rest);
      }
      reader.vectors[reader.count++] = (wire_vector_t){.name = rest, .canonical = true};
    } else if (reader.count == 0) {
      fault("no vector has begun", line);
    } else {
      line_read(&reader.vectors[reader.count - 1], word, rest);
    }
  }
}

const wire_vector_t *wire_vectors(size_t *count) {
  if (reader.count == 0) {
    file_read();
    lines_read();
  }
  if (reader.count == 0) {
    fault("no vectors", "");
  }
  *count = reader.count;
  return reader.vectors;
}
