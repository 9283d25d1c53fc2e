#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-host.sh BUILD OUT: boots Debian's ordinary kernel in host mode of the bare machine. Its own
# KVM launches a page of code as a plain, a SEV, a SEV-ES and an SNP guest; with MODE=none, sev,
# sev-es or sev-snp, Debian 13's QEMU launches Debian's cloud kernel in that mode (run-vmm.py).
# Shows the firmware's commands at the end; APPEND=shell gives a shell on the host instead.
set -eu
build=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
[ -f "$out/vmlinuz-host" ] || { echo "make host: there is no kernel to boot" >&2; exit 1; }
if [ -n "${MODE:-}" ]; then
    exec "$here/run-vmm.py" "$build/softsev" "$out" "$MODE" --cpus "${CPUS:-1}" \
        --vcpus "${VCPUS:-1}"
fi
"$build/softsev" host --kernel "$out/vmlinuz-host" --initrd "$out/initrd-host.cpio.gz" \
    --memory 2G --cpus "${CPUS:-1}" --state "$out/state" --clock virtual --no-reboot \
    --trace command --trace-file "$out/host.trace" \
    --append "console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests ${APPEND:-}"
echo
echo "What the secure processor was asked for ($out/host.trace):"
awk '{ print $3 }' "$out/host.trace" | sort | uniq -c | sort -rn
