#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD OUT: every figure is a ratio against a named peer or limit, taken in this run.
set -eu
cd "$(dirname "$0")/.."
build=$1 out=$2
status=0
for name in memory_flips launch_throughput snp_reports snp_launch dispatch; do
    ninja -C "$build" "bench/$name" >/dev/null
    "$build/bench/$name" || status=1
done
python3 bench/doors.py "$build/src/cli/softsev" "${ROUNDS:-5}" || status=1
python3 bench/boots.py "$build/src/cli/softsev" "$out" "${ROUNDS:-5}" || status=1
exit "$status"
