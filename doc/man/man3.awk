# SPDX-License-Identifier: BSD-2-Clause
#
# man3 pages of the public headers: one for each call and each callback, made of the comment above its declaration. That
# comment is the only place where it is documented; see saCkpt.h for its form. POSIX awk.
#
#   awk -f man3.awk -v directory=DIR -v version=VERSION HEADER...
#
# A comment is, in this order: what the call does (the beginning of its first sentence becomes the page's name line);
# @param lines; @return, with a line for each error, or all in a row, parted by semicolons; Units, Owns, Threads, Blocks,
# Spec.

BEGIN { WIDTH = 72 } # of what stands as it is

# ---- reading ----

function flush_type() {
  if (type_name != "" && !(type_name in type_text)) {
    type_text[type_name] = type_lines
    type_doc[type_name] = type_comment
  }
  type_name = ""
}

FNR == 1 {
  flush_type()
  header = FILENAME
  sub(/.*\//, "", header)
  state = ""
  comment = ""
}

# A comment of a declaration; it begins in the first column.
state == "" && /^\/\*\*/ {
  flush_type()
  comment = ""
  state = "comment"
  line = $0
  sub(/^\/\*\* ?/, "", line)
  if (sub(/ ?\*\/ *$/, "", line)) state = ""
  if (line != "") comment = line "\n"
  next
}
state == "comment" {
  line = $0
  if (sub(/ *\*\/ *$/, "", line)) state = ""
  sub(/^ \* ?/, "", line)
  if (state == "comment" || line != "") comment = comment line "\n"
  next
}
state == "" && /^\/\*/ { state = "story" }
state == "story" {
  if (/\*\//) state = ""
  next
}

# #define lines right below a type are its values.
state == "" && /^#define [A-Z]/ && type_name != "" {
  type_lines = type_lines $0 "\n"
  next
}
state == "" && /^ *$/ { flush_type(); comment = ""; next }

state == "" && /^typedef / { flush_type(); state = "typedef"; type_lines = ""; type_comment = comment; depth = 0 }
state == "typedef" {
  type_lines = type_lines $0 "\n"
  line = $0
  gsub(/\/\*.*\*\//, "", line)
  sub(/\/\*.*/, "", line)
  depth += gsub(/{/, "{", line) - gsub(/}/, "}", line)
  if (depth == 0 && line ~ /; *$/) {
    state = ""
    if (type_lines ~ /\(\*/) { # a pointer to a function: a callback
      name = type_lines
      sub(/[^(]*\(\*/, "", name)
      sub(/\).*/, "", name)
      page_add(name, type_lines)
      type_text[name] = type_lines # and shown where it is wanted
      type_doc[name] = comment
      sub(/\n+(@|Units:|Owns:|Threads:|Blocks:|Spec:).*/, "", type_doc[name])
    } else {
      sub(/; *$/, "", line)
      sub(/.*[ }]/, "", line)
      type_name = line
    }
    comment = ""
  }
  next
}

state == "" && /^[A-Za-z].*[a-zA-Z0-9_]+\(/ { state = "call"; prototype = "" }
state == "call" {
  prototype = prototype $0 "\n"
  if (/\); *$/) {
    state = ""
    name = prototype
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    page_add(name, prototype)
    comment = ""
  }
  next
}

function page_add(name, declaration) {
  if (comment == "") {
    print header ": " name " has no comment" >"/dev/stderr"
    failed = 1
  }
  page_order[++page_count] = name
  page_header[name] = header
  page_declaration[name] = declaration
  page_comment[name] = comment
}

# ---- roff ----

function roff(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  gsub(/`[^`]*`/, "&\\fP", text) # code, parameters: the closing quote is put right below
  while (match(text, /`[^`]*`\\fP/)) {
    text = substr(text, 1, RSTART - 1) "\\fI" substr(text, RSTART + 1, RLENGTH - 5) "\\fP" \
           substr(text, RSTART + RLENGTH)
  }
  sub(/^[.']/, "\\\\\\&&", text)
  return text
}

# Calls become references to their pages.
function linked(text,    out, name) {
  text = roff(text)
  out = ""
  while (match(text, /[a-zA-Z_][a-zA-Z0-9_]*\(\)/)) {
    name = substr(text, RSTART, RLENGTH - 2)
    out = out substr(text, 1, RSTART - 1) "\\fB" name "\\fP" ((name in page_comment) ? "(3)" : "()")
    text = substr(text, RSTART + RLENGTH)
  }
  return out text
}

function put(line) { print line >file }
# A declaration as it is, but for comments that would not fit into the width of a terminal: those go above their line.
function put_verbatim(text,    lines, count, i, line, at, remark) {
  count = split(trim(text), lines, "\n")
  put(".nf")
  for (i = 1; i <= count; i++) {
    line = lines[i]
    at = index(line, "/**<")
    if (at == 0) at = index(line, "/* ")
    if (at > 0) {
      remark = substr(line, at)
      while (remark !~ /\*\// && i < count) remark = remark " " trim(lines[++i])
      gsub(/^\/\*+<? *| *\*\/$/, "", remark)
      line = substr(line, 1, at - 1)
      if (at + length(remark) + 6 > WIDTH) {
        put_remark(line, remark)
        sub(/ +$/, "", line)
      } else {
        line = line "/* " remark " */"
      }
    }
    put(line == "" ? ".sp" : roff_code(line))
  }
  put(".fi")
}
function put_remark(line, remark,    indent, words, count, i, out) {
  match(line, /^ */)
  indent = substr(line, 1, RLENGTH)
  count = split(remark, words, / +/)
  out = indent "/*"
  for (i = 1; i <= count; i++) {
    if (length(out) + length(words[i]) + 4 > WIDTH) {
      put(roff_code(out))
      out = indent "  "
    }
    out = out " " words[i]
  }
  put(roff_code(out " */"))
}
function roff_code(line) {
  gsub(/\\/, "\\e", line)
  gsub(/-/, "\\-", line)
  sub(/^[.']/, "\\\\\\&&", line)
  return line
}

function trim(text) {
  gsub(/^[ \t\n]+|[ \t\n]+$/, "", text)
  return text
}
# Whole sentences, of notes in few words.
function sentence(text) {
  text = trim(text)
  if (text !~ /^[a-z]+[A-Z_(]/ && text !~ /^[*`]/) text = toupper(substr(text, 1, 1)) substr(text, 2) # not of a name
  return text ~ /[.:]$/ ? text : text "."
}
function join(before, after) { return before == "" ? after : before " " after }

# ---- a comment, taken apart ----

function entry_add(codes, text) {
  entry_count++
  entry_codes[entry_count] = codes
  entry_text[entry_count] = text
}

# All errors in a row: "SA_AIS_OK; SA_AIS_ERR_X when this; ..."
function entries_of_row(text,    pieces, count, i, piece) {
  count = split(text, pieces, /; */)
  for (i = 1; i <= count; i++) {
    piece = trim(pieces[i])
    if (match(piece, /^SA_AIS_[A-Z_]+/)) {
      entry_add(substr(piece, 1, RLENGTH), trim(substr(piece, RLENGTH + 1)))
      sub(/^, */, "", entry_text[entry_count])
    } else if (entry_count > 0) {
      entry_text[entry_count] = entry_text[entry_count] "; " piece
    } else {
      entry_add("", piece)
    }
  }
}

function take_apart(text,    lines, count, i, line, part, rest) {
  description = ""
  param_count = entry_count = 0
  row = ""
  for (i in note) delete note[i]
  part = "description"
  count = split(text, lines, "\n")
  for (i = 1; i <= count; i++) {
    line = lines[i]
    while (match(line, /   (Threads|Blocks|Owns|Units|Spec):/)) { # notes in one line
      lines[++count] = "" # makes room
      for (rest = count; rest > i + 1; rest--) lines[rest] = lines[rest - 1]
      lines[i + 1] = substr(line, RSTART + 3)
      line = substr(line, 1, RSTART - 1)
    }
    if (line ~ /^@param/) {
      part = "param"
      param_count++
      param_out[param_count] = ""
      if (match(line, /^@param\[[a-z,]+\]/)) param_out[param_count] = substr(line, 8, RLENGTH - 8)
      sub(/^@param(\[[a-z,]+\])? */, "", line)
      param_name[param_count] = line
      sub(/ .*/, "", param_name[param_count])
      param_text[param_count] = trim(substr(line, length(param_name[param_count]) + 1))
    } else if (line ~ /^@return/) {
      part = "return"
      sub(/^@return */, "", line)
      if (line ~ /;/ && line ~ /SA_AIS_/) {
        part = "row"
        row = line
      } else if (match(line, /^SA_AIS_[A-Z_]+/)) {
        entry_add(substr(line, 1, RLENGTH), trim(substr(line, RLENGTH + 1)))
        sub(/^, */, "", entry_text[entry_count])
      } else {
        entry_add("", line)
      }
    } else if (line ~ /^(Units|Owns|Threads|Blocks|Spec):/) {
      part = line
      sub(/:.*/, "", part)
      sub(/^[A-Za-z]+: */, "", line)
      note[part] = trim(line)
    } else if (line ~ /^ *$/) {
      if (part == "description") description = description "\n"
    } else if (part == "description") {
      description = description line "\n"
    } else if (part == "param") {
      param_text[param_count] = join(param_text[param_count], trim(line))
    } else if (part == "row") {
      row = row " " trim(line)
    } else if (part == "return") {
      line = trim(line)
      if (match(line, /^SA_AIS_[A-Z_]+(, SA_AIS_[A-Z_]+)*(  |$)/))
        entry_add(trim(substr(line, 1, RLENGTH)), trim(substr(line, RLENGTH + 1)))
      else if (line ~ /^(and the errors of|as )/)
        entry_add("", line)
      else
        entry_text[entry_count] = join(entry_text[entry_count], line)
    } else {
      note[part] = join(note[part], trim(line))
    }
  }
  if (row != "") entries_of_row(row)
}

# ---- writing ----

# For the name line: up to the first stop of any kind.
function summary(text) {
  gsub(/\n/, " ", text)
  text = trim(text)
  gsub(/e\.g\./, "e,g,", text) # is no stop
  if (match(text, /[.;:?]( |$)/)) text = substr(text, 1, RSTART - 1)
  gsub(/e,g,/, "e.g.", text)
  return tolower(substr(text, 1, 1)) substr(text, 2)
}

# The types that a declaration needs, those they are made of after them; callbacks are types as well.
function types_of(text,    word) {
  while (match(text, /[A-Za-z_][A-Za-z0-9_]*/)) {
    word = substr(text, RSTART, RLENGTH)
    text = substr(text, RSTART + RLENGTH)
    if ((word in type_text) && !(word in shown) && word !~ /^(SaAisErrorT|SaBoolT)$/) {
      shown[word] = 1
      if (type_text[word] ~ /[{]|#define|\(\*/) types_shown[++types_count] = word
      types_of(type_text[word])
    }
  }
}

# What is indented is a drawing and stays as it is.
function put_paragraphs(text,    paragraphs, count, lines, line_count, i, line) {
  count = split(trim(text), paragraphs, /\n\n+/)
  for (i = 1; i <= count; i++) {
    if (i > 1) put(".PP")
    if (paragraphs[i] ~ /^    /) {
      line_count = split(paragraphs[i], lines, "\n")
      put(".nf")
      for (line = 1; line <= line_count; line++) put(roff_code(substr(lines[line], 3)))
      put(".fi")
    } else {
      gsub(/\n/, " ", paragraphs[i])
      put(linked(paragraphs[i]))
    }
  }
}

function put_entries(    i, errors, text) {
  put(".SH RETURN VALUE")
  for (i = 1; i <= entry_count; i++) {
    if (entry_codes[i] ~ /ERR/) errors = 1
  }
  for (i = 1; i <= entry_count; i++) {
    text = entry_text[i]
    if (entry_codes[i] == "SA_AIS_OK") {
      put(text == "" ? ".BR SA_AIS_OK ," : ".BR SA_AIS_OK :")
      put(text == "" ? "or an error." : linked(sentence(text)))
    } else if (entry_codes[i] == "" && i == 1) {
      put(linked(sentence(text)))
    }
  }
  if (errors || (entry_count > 1 && entry_codes[entry_count] == "")) put(".SH ERRORS")
  for (i = 1; i <= entry_count; i++) {
    text = entry_text[i]
    if (entry_codes[i] ~ /ERR/) {
      put(".TP")
      put(".B " entry_codes[i])
      put(linked(sentence(text)))
    } else if (entry_codes[i] == "" && i > 1) {
      put(".PP")
      sub(/^and the errors of any call/, "Besides, the errors that any call may return: see `vesta`(7)", text)
      sub(/^and the errors of/, "Besides, the errors of", text)
      put(linked(sentence(text)))
    }
  }
}

# One parameter a line, where the whole is too long for one.
function prototype_of(declaration,    text, open, rest) {
  text = trim(declaration)
  gsub(/\n */, " ", text)
  if (length(text) <= 72) return text
  open = text ~ /\(\*/ ? index(text, ")(") + 1 : index(text, "(")
  rest = substr(text, open + 1)
  gsub(/, /, ",\n    ", rest)
  return substr(text, 1, open) "\n    " rest
}

function put_page(name,    i, text, mentioned, count, list, related) {
  file = directory "/" name ".3"
  take_apart(page_comment[name])
  put(".\\\" Made of " page_header[name] " by man3.awk: edit that.")
  text = length(name) > 26 ? "" : "Checkpoint Service" # there would be no room in the middle of the first line
  put(".TH " name " 3 \"\" \"Vesta " version "\" \"" text "\"")
  put(".nh")
  put(".ad l")
  put(".SH NAME")
  put(name " \\- " roff(summary(description)))
  put(".SH SYNOPSIS")
  put(".nf")
  put(".B #include <" page_header[name] ">")
  put(".PP")
  put(".ft B")
  put(roff_code(prototype_of(page_declaration[name])))
  put(".ft R")
  put(".fi")
  put(".PP")
  put("Link with \\fI" (page_header[name] == "vesta.h" ? "\\-lvesta \\-lSaCkpt" : "\\-lSaCkpt") "\\fP.")
  put(".SH DESCRIPTION")
  put_paragraphs(description)
  for (i = 1; i <= param_count; i++) {
    put(".TP")
    put(".IR " param_name[i] (param_out[i] == "" ? "" : " \" (" (param_out[i] == "out" ? "out" : "in and out") ")\""))
    put(param_text[i] == "" ? "What is asked for." : linked(sentence(param_text[i])))
  }
  if (entry_count > 0) put_entries()
  for (i in shown) delete shown[i]
  types_count = 0
  shown[name] = 1
  types_of(page_declaration[name])
  if (types_count > 0) put(".SH TYPES")
  for (i = 1; i <= types_count; i++) {
    if (i > 1) put(".PP")
    if (type_doc[types_shown[i]] != "") {
      put_paragraphs(type_doc[types_shown[i]])
      put(".PP")
    }
    put_verbatim((types_shown[i] in page_declaration) ? prototype_of(type_text[types_shown[i]]) : type_text[types_shown[i]])
  }
  if (("Units" in note) || ("Owns" in note) || ("Threads" in note) || ("Blocks" in note)) put(".SH NOTES")
  put_note("Units", "Units")
  put_note("Owns", "Ownership")
  put_note("Threads", "Threads")
  put_note("Blocks", "Blocking")
  put(".SH STANDARDS")
  text = note["Spec"]
  if (text == "") put((page_header[name] == "vesta.h" ? "Vesta's" : "OpenSAF's") " extension.")
  else if (text ~ /^[0-9]/) put("SAI\\-AIS\\-CKPT\\-B.01.01, " text "; SAI\\-AIS\\-CKPT\\-B.02.02.")
  else put(linked(sentence(text)))
  put(".SH SEE ALSO")
  related = ""
  for (i = 1; i <= page_count; i++)
    if (page_order[i] != name &&
        (mentions(text_of(name), page_order[i]) || mentions(text_of(page_order[i]), name)))
      related = related ".BR " page_order[i] " (3),\n"
  put(related ".BR vesta (7)")
  close(file)
}

function put_note(which, title) {
  if (which in note) {
    put(".TP")
    put(title)
    put(linked(sentence(note[which])))
  }
}

function text_of(name) { return page_comment[name] page_declaration[name] }
function mentions(text, name,    at) {
  while ((at = index(text, name)) > 0) {
    if (substr(text, at + length(name), 1) !~ /[A-Za-z0-9_]/ && (at == 1 || substr(text, at - 1, 1) !~ /[A-Za-z0-9_]/))
      return 1
    text = substr(text, at + length(name))
  }
  return 0
}

END {
  flush_type()
  if (page_count == 0) {
    print "no declarations found" >"/dev/stderr"
    failed = 1
  }
  for (p = 1; p <= page_count; p++) put_page(page_order[p])
  exit failed
}
