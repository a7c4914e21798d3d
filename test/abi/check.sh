#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What the two libraries export is a promise. Compares their dynamic symbols and soname with the committed lists beside
# this file (usage: check.sh LIBDIR). After a change that is meant: check.sh --write LIBDIR, and say it in CHANGELOG.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
write=no
if [ "${1:-}" = --write ]; then
  write=yes
  shift
fi
libdir=${1:?usage: check.sh [--write] LIBDIR}
now=$(mktemp)
trap 'rm -f "$now"' EXIT

exit_code=0
for library in libSaCkpt libvesta; do
  list=$here/$library.symbols
  {
    objdump -p "$libdir/$library.so" | awk '$1 == "SONAME" { print "soname " $2 }'
    nm -D --defined-only "$libdir/$library.so" | awk '{ print $3 }' | LC_ALL=C sort
  } >"$now"
  if [ $write = yes ]; then
    cp "$now" "$list"
  elif ! diff -u --label "$library.symbols" --label "$library.so as built" "$list" "$now"; then
    echo "$library.so does not export what test/abi/$library.symbols promises."
    exit_code=1
  fi
done
exit $exit_code
