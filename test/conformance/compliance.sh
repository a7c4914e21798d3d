#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# doc/COMPLIANCE.md, made from clauses.txt, from the tests that name its rules, and from what came of them.
#
#   compliance.sh write TREE JUNIT   make it of a run: ctest --output-junit JUNIT --test-output-size-passed 1000000
#   compliance.sh check TREE         is it complete and up to date, and does it say that all is well?
#
# A test in test/unit or here names rules in a comment right above it: `/* clauses 17.2, 17.3 */`, or `/* clause 17.2: and
# why */`. No rule may be without a test, unless clauses.txt says why none is possible; no test may name a rule that is
# not there.
set -eu
what=${1:-} tree=${2:-} junit=${3:-}
case $what$# in
  check2 | write3) ;;
  *)
    echo "usage: compliance.sh check TREE | write TREE JUNIT" >&2
    exit 2
    ;;
esac
cd "$tree"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Lines: file<TAB>test<TAB>numbers, in the order of the files. A mark that stands above no test is an error.
awk '
  FNR == 1 && mark != "" { lost() }
  function lost() { printf "%s: `clause %s` stands above no test\n", at, mark >"/dev/stderr"; bad = 1; mark = "" }
  /^\/\* clauses? [0-9]/ {
    if (mark != "") lost()
    mark = $0
    sub(/^\/\* clauses? /, "", mark)
    match(mark, /^[0-9., ]*/)
    mark = substr(mark, 1, RLENGTH)
    at = FILENAME ":" FNR
    next
  }
  /^(static|int|typedef|#|})/ && mark != "" {
    if ($0 !~ /^static void [a-z0-9_]+\(void \*\*state\)/) { lost(); next }
    test = $3
    sub(/\(.*/, "", test)
    printf "%s\t%s\t%s\n", FILENAME, test, mark
    mark = ""
  }
  END { if (mark != "") lost(); exit bad }' test/unit/*_test.c test/conformance/*_test.c >"$work/marks"

# Lines: program<TAB>test<TAB>result
if [ "$what" = write ]; then
  awk '
    /<testcase name="/ { program = $0; sub(/.*<testcase name="/, "", program); sub(/".*/, "", program) }
    /\[       OK \] / { sub(/.*\[       OK \] /, ""); print program "\t" $1 "\tpassed" }
    /\[  FAILED  \] / { sub(/.*\[  FAILED  \] /, ""); print program "\t" $1 "\tFAILED" }
    /\[  SKIPPED \] / { sub(/.*\[  SKIPPED \] /, ""); print program "\t" $1 "\tskipped" }
  ' "$junit" >"$work/results"
else
  awk -F '\t' '{ program = $1; sub(/.*\//, "", program); sub(/\.c$/, "", program); print program "\t" $2 "\tpassed" }' \
    "$work/marks" >"$work/results"
fi

awk -F '\t' -v marks="$work/marks" -v results="$work/results" '
  function trim(text) { gsub(/^ +| +$/, "", text); return text }
  function complain(text) { print text >"/dev/stderr"; bad = 1 }
  BEGIN {
    while ((getline <results) > 0) result[$1, $2] = $3
    while ((getline <marks) > 0) {
      program = $1
      sub(/.*\//, "", program)
      sub(/\.c$/, "", program)
      outcome = ((program, $2) in result) ? result[program, $2] : "not run"
      count = split($3, numbers, /[, ]+/)
      for (i = 1; i <= count; i++) {
        number = numbers[i]
        if (number == "") continue
        used[number] = $1 ": " $2
        gap = (number in tests) ? "<br>" : ""
        tests[number] = tests[number] gap "[" $2 "](../" $1 ")"
        if (outcome != "passed") not_passed[number] = not_passed[number] outcome ": " $2 "<br>"
      }
    }
    print "<!-- Made by test/conformance/compliance.sh from test/conformance/clauses.txt and the tests: edit those. -->"
    print "# Compliance"
    print ""
    print "What the Checkpoint Service of the SA Forum asks of an implementation, rule by rule, with the tests that"
    print "hold Vesta to it and what came of them. Clauses are those of SAI-AIS-CKPT-B.01.01; *B.02* marks what"
    print "SAI-AIS-CKPT-B.02.02 has changed or added, *open* what the standard leaves open: there the rule is an answer"
    print "of Vesta. Tests that hold more than one rule stand at each of them. `./dev compliance` runs them and writes"
    print "this file anew."
  }
  /^#/ || /^ *$/ { next }
  /^== / {
    print ""
    print "## " substr($0, 4)
    print ""
    print "| rule | standard | what it asks | tests | result |"
    print "| --- | --- | --- | --- | --- |"
    next
  }
  {
    fields = split($0, field, / \| /)
    number = trim(field[1])
    if (fields < 3 || fields > 4 || number !~ /^[0-9]+\.[0-9]+$/ || (number in known))
      complain("clauses.txt: " $0 ": is no rule, or a number is there twice")
    known[number] = 1
    if (number in tests) {
      if (fields == 4) complain("clauses.txt: " number " says that no test is possible, but " used[number])
      outcome = (number in not_passed) ? not_passed[number] : "passed"
      sub(/<br>$/, "", outcome)
      rules_tested++
      if (outcome == "passed") rules_passed++
    } else {
      if (fields == 3) complain("clauses.txt: " number " has no test: " field[3])
      tests[number] = "none is possible: " trim(field[4])
      outcome = "not tested"
      rules_untested++
    }
    printf "| %s | %s | %s | %s | %s |\n", number, trim(field[2]), trim(field[3]), tests[number], outcome
  }
  END {
    for (number in used)
      if (!(number in known)) complain(used[number] " names rule " number ", which is not in clauses.txt")
    printf "\n%d rules: %d tested, %d of them passed; %d for which no test is possible.\n",
           rules_tested + rules_untested, rules_tested, rules_passed, rules_untested
    exit bad
  }' test/conformance/clauses.txt >"$work/COMPLIANCE.md"

if [ "$what" = write ]; then
  cp "$work/COMPLIANCE.md" doc/COMPLIANCE.md
elif ! diff -u doc/COMPLIANCE.md "$work/COMPLIANCE.md"; then
  echo "doc/COMPLIANCE.md is not what the tests say now, or not all is well: ./dev compliance writes it anew" >&2
  exit 1
fi
