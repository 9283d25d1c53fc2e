#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-demo.sh BUILD OUT: the main job. Launches the fetched kernel as an SEV guest (MODE=none for a
# plain one, or sev-es) with an owner's secret, a virtio console and a platform that stays in
# OUT/state. MODE=sev-snp takes Linux 6.12, if there is one; the agent in its initramfs asks for
# the secret.
set -eu
build=$1
out=$2
mode=${MODE:-sev}
suffix=
[ "$mode" = sev-snp ] && [ -f "$out/vmlinuz-6.12" ] && suffix=-6.12
[ -f "$out/secret.txt" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$out/secret.txt"
set -- --kernel "$out/vmlinuz$suffix" --initrd "$out/initrd$suffix.cpio.gz" --memory 512M \
    --mode "$mode" --state "$out/state" \
    --virtio-console
[ -z "$suffix" ] || [ ! -f "$out/initrd$suffix.agent" ] || asks=agent
set -- "$@" --append "console=ttyS0 panic=-1 cryptomgr.notests ${asks:-} ${APPEND:-}"
if [ "$mode" = sev ] || [ "$mode" = sev-es ] || [ -n "${asks:-}" ]; then
    set -- "$@" --owner-secret "$out/secret.txt"
    echo "The owner's secret is in $out/secret.txt; its SHA-256, which the guest must print:"
    sha256sum <"$out/secret.txt" | cut -d' ' -f1
fi
exec "$build/softsev" run "$@"
