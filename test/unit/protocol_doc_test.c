/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of doc/PROTOCOL.md say what core/wire.h says.
 *
 * In the document a table stands between the lines `<!-- table NAME -->` and `<!-- end -->`. Here each is made anew,
 * from the X-macros of wire.h and error.h and the enums of wire.h (read as text); the document must be the same to the
 * byte. After a change of the protocol run
 *
 *     protocol_doc_test --write doc/PROTOCOL.md
 *
 * which puts the new tables in, and read the words around them again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/wire.h"

#define PATH_BYTES 4096
#define LINE_BYTES 1024

/* ---- the tables ---- */

static void number_print(FILE *out, uint64_t value) {
  if (value == UINT64_MAX) {
    (void)fputs("2^64 - 1", out);
  } else if (value == INT64_MAX) {
    (void)fputs("2^63 - 1", out);
  } else if (value == UINT32_MAX) {
    (void)fputs("2^32 - 1", out);
  } else {
    (void)fprintf(out, "%llu", (unsigned long long)value);
  }
}

static const char *field_name(unsigned number) {
  switch (number) {
#define FIELD_NAME(name, NAME, number, type, max) \
  case number: return #name;
    WIRE_FIELDS(FIELD_NAME)
#undef FIELD_NAME
    case WIRE_FIELD_ELEMENTS: return "elements";
    default: return NULL;
  }
}

static void kind_print(FILE *out, const char *name, unsigned number, uint64_t required, const char *text) {
  (void)fprintf(out, "| %u | %s | ", number, name);
  const char *between = "";
  for (uint64_t rest = required; rest != 0; rest &= rest - 1) {
    (void)fprintf(out, "%s`%s`", between, field_name((unsigned)__builtin_ctzll(rest)));
    between = ", ";
  }
  (void)fprintf(out, " | %s |\n", text);
}

static void kinds_print(FILE *out, unsigned first, unsigned last) {
  (void)fputs("| number | kind | requires | what it is |\n| --- | --- | --- | --- |\n", out);
#define KIND_PRINT(name, number, required, text)    \
  if ((number) >= first && (number) <= last) {      \
    kind_print(out, #name, number, required, text); \
  }
  WIRE_KINDS(KIND_PRINT)
#undef KIND_PRINT
}

static const char *type_U(void) { return "unsigned"; }
static const char *type_I(void) { return "signed"; }
static const char *type_B(void) { return "bytes"; }

static void fields_print(FILE *out) {
  (void)fputs("| number | field | type | at most |\n| --- | --- | --- | --- |\n", out);
#define FIELD_PRINT(name, NAME, number, type, max)                           \
  (void)fprintf(out, "| %d | `%s` | %s | ", (number), #name, type_##type()); \
  number_print(out, (max));                                                  \
  (void)fputs(" |\n", out);
  WIRE_FIELDS(FIELD_PRINT)
#undef FIELD_PRINT
  (void)fprintf(out, "| %d | `elements` | array of elements | %u |\n", WIRE_FIELD_ELEMENTS, WIRE_ELEMENTS_MAX);
}

static void items_print(FILE *out) {
  unsigned place = 0;
  (void)fputs("| place | item | type | at most |\n| --- | --- | --- | --- |\n", out);
#define ITEM_PRINT(name, type, max)                                         \
  (void)fprintf(out, "| %u | `%s` | %s | ", place++, #name, type_##type()); \
  number_print(out, (max));                                                 \
  (void)fputs(" |\n", out);
  WIRE_ELEMENT_ITEMS(ITEM_PRINT)
#undef ITEM_PRINT
}

static void errors_print(FILE *out) {
  (void)fputs("| number | error | meaning |\n| --- | --- | --- |\n", out);
#define ERROR_PRINT(name, number, text) (void)fprintf(out, "| %d | %s | %s |\n", (number), #name, text);
  VESTA_ERRORS(ERROR_PRINT)
#undef ERROR_PRINT
}

static void limits_print(FILE *out) {
  (void)fputs("| limit | number |\n| --- | --- |\n", out);
  const struct {
    const char *what;
    uint64_t number;
  } limits[] = {
      {"protocol version, major", WIRE_MAJOR},
      {"protocol version, minor", WIRE_MINOR},
      {"bytes of a head", VESTA_FRAME_HEAD_BYTES_MAX},
      {"bytes of a payload", VESTA_OPERATION_BYTES_MAX},
      {"elements of a message", WIRE_ELEMENTS_MAX},
      {"elements of a CHANGE", VESTA_VECTOR_ELEMENTS_MAX},
      {"milliseconds between the beacons of an idle topic", VESTA_BEACON_PERIOD_MS},
      {"periods without a word after which a subscription is dead", VESTA_SILENCE_PERIODS},
      {"bytes of data in a chunk, about", VESTA_STREAM_CHUNK_BYTES},
      {"sections slots walked for a chunk", VESTA_STREAM_CHUNK_SLOTS_MAX},
      {"milliseconds after which a member that has not confirmed is passed over, unless it said otherwise",
       VESTA_PROMOTE_TIMEOUT_MS},
  };
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    (void)fprintf(out, "| %s | %llu |\n", limits[i].what, (unsigned long long)limits[i].number);
  }
}

/* The anonymous enums of wire.h: a comment line that says of which field, then a line for each value. */
static void values_print(FILE *out, FILE *wire_h) {
  char line[LINE_BYTES];
  char field[LINE_BYTES] = "";
  char before[LINE_BYTES] = "";
  bool inside = false;
  (void)fputs("| field | value | name | meaning |\n| --- | --- | --- | --- |\n", out);
  while (fgets(line, sizeof line, wire_h) != NULL) {
    char name[64];
    char text[LINE_BYTES];
    unsigned value;
    if (strcmp(line, "enum {\n") == 0) {
      inside = sscanf(before, "/* %1023[^*\n]", field) == 1;
    } else if (line[0] == '}') {
      inside = false;
    } else if (inside && sscanf(line, " WIRE_%63[A-Z_] = %u, /* %1023[^*\n]", name, &value, text) == 3) {
      for (char *end = field + strlen(field); end > field && end[-1] == ' ';) {
        *--end = '\0';
      }
      for (char *end = text + strlen(text); end > text && end[-1] == ' ';) {
        *--end = '\0';
      }
      (void)fprintf(out, "| %s | %u | %s | %s |\n", field, value, name, text);
    }
    memcpy(before, line, sizeof before);
  }
}

static bool table_print(FILE *out, const char *name, FILE *wire_h) {
  if (strcmp(name, "requests") == 0) {
    kinds_print(out, 1, 31);
  } else if (strcmp(name, "answers") == 0) {
    kinds_print(out, 32, 47);
  } else if (strcmp(name, "operations") == 0) {
    kinds_print(out, 48, 79);
  } else if (strcmp(name, "stream") == 0) {
    kinds_print(out, 80, 255);
  } else if (strcmp(name, "fields") == 0) {
    fields_print(out);
  } else if (strcmp(name, "items") == 0) {
    items_print(out);
  } else if (strcmp(name, "values") == 0) {
    values_print(out, wire_h);
  } else if (strcmp(name, "errors") == 0) {
    errors_print(out);
  } else if (strcmp(name, "limits") == 0) {
    limits_print(out);
  } else {
    return false;
  }
  return true;
}

/* ---- the document ---- */

static FILE *file_open(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  return file;
}

static char *file_text(const char *path) {
  FILE *file = file_open(path);
  char *text = NULL;
  size_t size;
  FILE *copy = open_memstream(&text, &size);
  char line[LINE_BYTES];
  while (fgets(line, sizeof line, file) != NULL) {
    (void)fputs(line, copy);
  }
  (void)fclose(copy);
  (void)fclose(file);
  return text;
}

/* The document as it should be: its own words, our tables. Freed with free(). */
static char *document_expected(const char *path, const char *wire_h_path, unsigned *tables) {
  FILE *document = file_open(path);
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  char line[LINE_BYTES];
  bool inside = false;
  while (fgets(line, sizeof line, document) != NULL) {
    char name[32];
    if (strcmp(line, "<!-- end -->\n") == 0) {
      inside = false;
    }
    if (!inside) {
      (void)fputs(line, out);
    }
    if (sscanf(line, "<!-- table %31[a-z] -->", name) == 1) {
      FILE *wire_h = file_open(wire_h_path);
      inside = table_print(out, name, wire_h);
      *tables += inside;
      (void)fclose(wire_h);
    }
  }
  (void)fclose(out);
  (void)fclose(document);
  return text;
}

static void the_tables_of_the_protocol_document_are_those_of_the_code(void **state) {
  (void)state;
  const char *source = getenv("VESTA_TEST_SOURCE_DIR");
  char path[PATH_BYTES];
  char wire_h_path[PATH_BYTES];
  unsigned tables = 0;
  if (source == NULL) {
    skip(); /* not started by ctest */
  }
  (void)snprintf(path, sizeof path, "%s/doc/PROTOCOL.md", source);
  (void)snprintf(wire_h_path, sizeof wire_h_path, "%s/core/wire.h", source);
  char *expected = document_expected(path, wire_h_path, &tables);
  char *actual = file_text(path);
  bool same = strcmp(expected, actual) == 0;
  free(expected);
  free(actual);
  if (!same) {
    fail_msg("the tables are not up to date: protocol_doc_test --write doc/PROTOCOL.md");
  }
  assert_int_equal(tables, 9);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--write") == 0) { /* started in the source folder */
    unsigned tables = 0;
    char *text = document_expected(argv[2], "core/wire.h", &tables);
    FILE *document = fopen(argv[2], "w");
    if (document == NULL || fputs(text, document) < 0 || fclose(document) != 0) {
      perror(argv[2]);
      return EXIT_FAILURE;
    }
    free(text);
    return EXIT_SUCCESS;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_tables_of_the_protocol_document_are_those_of_the_code),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
