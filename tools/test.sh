#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All tests: the ordinary build, then the same under AddressSanitizer and
# UndefinedBehaviorSanitizer, then clang without sanitizers (unit tests only). Prints the totals of
# every stage and of all; fails if any failed.
set -u
cd "$(dirname "$0")/.."
SECONDS=0
failed=0
logs=()

stage() { # name, folder, test arguments... (after --), meson options before
    local name=$1 folder=$2
    shift 2
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    echo "== $name"
    tools/build.sh "$folder" "${options[@]}" || { failed=1; return; }
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@" || failed=1
    logs+=("$folder/meson-logs/testlog.json")
}

export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

stage "gcc, optimised" build -Dbuildtype=debugoptimized -- --num-processes 2
CC=clang stage "clang, AddressSanitizer and UndefinedBehaviorSanitizer" build-sanitize \
    -Db_sanitize=address,undefined -Db_lundef=false -- --num-processes 2 --timeout-multiplier 6
CC=clang stage "clang, optimised" build-clang -Dbuildtype=debugoptimized -- --num-processes 2 \
    --suite unit

echo "== all stages, ${SECONDS} s"
python3 tools/totals.py "${logs[@]}" || failed=1
exit "$failed"
