#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: lint.sh [BUILD]: clang-format over all sources, then clang-tidy (.clang-tidy) over src/
# with the compile commands of a build folder. LINT_FILES="src/x.c ..." looks at these alone.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}

for tool in clang-format clang-tidy; do
    command -v $tool >/dev/null || { echo "lint: $tool is missing (Debian: apt-get install $tool)" \
        >&2; exit 1; }
done
[ -f "$build/compile_commands.json" ] || {
    echo "lint: $build has no compile_commands.json; make build first" >&2
    exit 1
}

files=${LINT_FILES:-$(git ls-files '*.c' '*.h')}
clang-format --dry-run --Werror $files
sources=$(for file in $files; do case $file in src/*.c) echo "$file" ;; esac; done)
[ -z "$sources" ] || echo "$sources" | xargs -n 4 -P "$(nproc)" clang-tidy -p "$build" \
    --quiet 2>/dev/null
echo "lint: $(echo "$files" | wc -w) files in form, $(echo "$sources" | wc -w) looked at by clang-tidy"
