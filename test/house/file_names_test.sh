#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# A file's name says the noun inside, and no two files have the same (usage: file_names_test.sh TREE). Names that a tool
# or a habit prescribes may repeat; a sample is a program of its own, a fuzzer's corpus is data.
set -eu
cd "${1:?usage: file_names_test.sh TREE}"

files=$(find . -type d \( -name .git -o -path ./build -o -path ./samples -o -path ./test/fuzz/corpus \) -prune -o -type f -print)
twice=$(printf '%s\n' "$files" | sed 's#.*/##' | grep -vxE 'README\.md|CMakeLists\.txt|main\.c' | sort | uniq -d)
[ -z "$twice" ] && exit 0
for name in $twice; do
  echo "$name is the name of more than one file:"
  printf '%s\n' "$files" | grep -E "/$name\$" | sed 's#^\./#  #'
done
exit 1
