#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD OUT: unmodified public tools against softsev. Each script of this folder is one
# tool; it prints TAP lines and exits 0, 1 or 77 (the tool cannot be had: skipped by name). Totals
# come last.
set -u
cd "$(dirname "$0")/../.."
build=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")

tools/fetch-oracles.sh "$out"

passed=0 failed=0 skipped=0
for script in tests/interop/*.sh; do
    name=$(basename "$script" .sh)
    [ "$name" != run ] || continue
    echo "== $name"
    log=$(mktemp)
    SOFTSEV="$build/softsev" CPUID_PRELOAD="$build/tests/interop/cpuid.so" OUT="$out" timeout 600 \
        bash "$script" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    bad=$(grep -c '^not ok' "$log")
    skips=$(grep -ciE '^ok.*# skip' "$log")
    good=$(($(grep -c '^ok' "$log") - skips))
    rm -f "$log"
    if [ "$status" -eq 77 ]; then
        echo "skipped: $name"
        skipped=$((skipped + 1))
    elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        echo "failed: $name (exit code $status)"
        bad=1
    fi
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
