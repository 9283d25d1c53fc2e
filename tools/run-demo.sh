#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-demo.sh BUILD OUT: the main job. Launches the fetched kernel as an SEV guest (MODE=none for a plain one) with an
# owner's secret, a virtio console and a platform that stays in OUT/state.
set -eu
build=$1
out=$2
mode=${MODE:-sev}
[ -f "$out/secret.txt" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$out/secret.txt"
set -- --kernel "$out/vmlinuz" --initrd "$out/initrd.cpio.gz" --memory 512M --mode "$mode" --state "$out/state" \
    --append "console=ttyS0 panic=-1 cryptomgr.notests ${APPEND:-}" --virtio-console
if [ "$mode" != none ]; then
    set -- "$@" --owner-secret "$out/secret.txt"
    echo "The owner's secret is in $out/secret.txt; its SHA-256, which the guest must print:"
    sha256sum <"$out/secret.txt" | cut -d' ' -f1
fi
exec "$build/src/cli/softsev" run "$@"
