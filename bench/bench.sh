#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD OUT: every figure is a ratio against a named peer or limit, taken in this run.
set -eu
cd "$(dirname "$0")/.."
build=$1 out=$2
if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "installing qemu-system-x86, the peer of whole boots"
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends qemu-system-x86 >/dev/null
fi
ninja -C "$build" bench/memory_flips bench/launch_throughput >/dev/null
status=0
"$build/bench/memory_flips" || status=1
"$build/bench/launch_throughput" || status=1
python3 bench/boots.py "$build/src/cli/softsev" "$out" "${ROUNDS:-5}" || status=1
exit "$status"
