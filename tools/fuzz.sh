#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every libFuzzer target for FUZZ_SECONDS (default 10) from its committed corpus; findings
# stay in out/fuzz/.
set -eu
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-10}
CC=clang tools/build.sh build-fuzz -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false
for target in build-fuzz/tests/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target")
    work=out/fuzz/$name
    mkdir -p "$work/new"
    echo "== $name, $seconds s"
    "$target" -max_total_time="$seconds" -max_len=65536 -artifact_prefix="$work/" \
        -print_final_stats=1 \
        "$work/new" "tests/fuzz/corpus/${name#fuzz_}" 2>&1 |
            grep -E 'ERROR|SUMMARY|stat::number_of_executed_units|Test unit' || true
done
