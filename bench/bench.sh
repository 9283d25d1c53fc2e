#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD OUT: every figure is a ratio against a named peer or limit, taken in this run.
set -eu
cd "$(dirname "$0")/.."
build=$1 out=$2
status=0
names=(memory_flips launch_throughput snp_reports snp_launch dispatch)
ninja -C "$build" "${names[@]/#/bench/}" >/dev/null
for name in "${names[@]}"; do
    "$build/bench/$name" || status=1
done
python3 bench/table.py --softsev "$build/softsev" --out "$out" || status=1
python3 bench/doors.py "$build/softsev" "${ROUNDS:-5}" || status=1
python3 bench/exits.py "$build/softsev" "$build/guests/host/host-kvm" "$out" "${ROUNDS:-5}" || status=1
python3 bench/boots.py "$build/softsev" "$out" "${ROUNDS:-5}" || status=1
python3 bench/watching.py "$build/softsev" "$out" "${ROUNDS:-5}" || status=1
python3 bench/hosts.py "$build/softsev" "$out" "${ROUNDS:-3}" || status=1
exit "$status"
