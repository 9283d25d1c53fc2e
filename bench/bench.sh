#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD OUT: every figure is a ratio against a named peer or limit, taken in this run.
set -eu
cd "$(dirname "$0")/.."
build=$1 out=$2
ninja -C "$build" bench/memory_flips bench/launch_throughput >/dev/null
status=0
"$build/bench/memory_flips" || status=1
"$build/bench/launch_throughput" || status=1
python3 bench/boots.py "$build/src/cli/softsev" "$out" "${ROUNDS:-5}" || status=1
exit "$status"
