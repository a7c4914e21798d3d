#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Every exported call has a man page that is whole, and no page refers to one that is not there. What is exported:
# test/abi/*.symbols, but for what the two libraries have between themselves. Usage: man_pages_test.sh TREE [DIR]; the
# pages are left in DIR.
set -eu
tree=${1:?usage: man_pages_test.sh TREE [DIR]}
pages=${2:-}
if [ -z "$pages" ]; then
  pages=$(mktemp -d)
  trap 'rm -rf "$pages"' EXIT
fi
cd "$tree"
version=$(sed -n 's/^project(vesta VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
awk -f doc/man/man3.awk -v directory="$pages" -v version="$version" \
  saf_api/saAis.h saf_api/saCkpt.h saf_api/saCkpt_B_02_03.h saf_api/cpsv_papi.h ext_api/vesta.h

bad=0
complain() {
  echo "$*" >&2
  bad=1
}

for call in $(sed -n 's/@@\{0,1\}VESTA_[0-9][0-9.]*$//p' test/abi/*.symbols); do
  page=$pages/$call.3
  if [ ! -f "$page" ]; then
    complain "$call is exported and has no man page"
    continue
  fi
  sections='NAME SYNOPSIS DESCRIPTION NOTES STANDARDS'
  grep -q '^void ' "$page" || sections="$sections RETURN"
  for section in $sections; do
    grep -q "^\.SH $section" "$page" || complain "$call(3) has no section $section: its comment lacks something"
  done
done

for page in doc/man/*.[178] "$pages"/*.3; do
  for reference in $(sed -n 's/^\.BR \([A-Za-z_0-9]*\) (\([1-8]\)).*/\1.\2/p' "$page"); do
    [ -f "$pages/$reference" ] || [ -f "doc/man/$reference" ] || complain "$page refers to $reference: there is none"
  done
done
exit $bad
