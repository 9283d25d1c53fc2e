#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run-host.sh BUILD OUT: boots Debian's ordinary kernel in host mode of the bare machine. Its own
# KVM launches a page of code as a plain, a SEV, a SEV-ES and an SNP guest; with MODE=sev, sev-es or
# sev-snp, Debian 13's QEMU launches Debian's cloud kernel in that mode. Shows the firmware's
# commands at the end; APPEND=shell gives a shell on the host instead.
set -eu
build=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
[ -f "$out/vmlinuz-host" ] || { echo "make host: there is no kernel to boot" >&2; exit 1; }
initrd=$out/initrd-host.cpio.gz
words=
set --
if [ -n "${MODE:-}" ]; then
    initrd=$out/initrd-vmm.cpio
    words="mode=$MODE"
    kernel=$(ls -d "$out"/guest/linux-image-6.12*-amd64 | grep -v cloud | head -n 1)
    firmware=$out/oracles/OVMF.amdsev.fd
    [ -f "$firmware" ] || { echo "make host: there is no $firmware" >&2; exit 1; }
    "$here/pack-vmm.py" "$out/guest/busybox-static/bin/busybox" "$here/vmm-init.sh" "$kernel" \
        "$out/qemu" "$initrd" "$out/vmlinuz=guest/vmlinuz" "$out/initrd.cpio.gz=guest/initrd.gz" \
        "$firmware=guest/OVMF.fd"
    set -- --expect "host: QEMU has ended with status 0"
fi
"$build/softsev" host --kernel "$out/vmlinuz-host" --initrd "$initrd" \
    --memory 2G --cpus "${CPUS:-1}" --state "$out/state" --clock virtual --no-reboot \
    --trace command --trace-file "$out/host.trace" "$@" \
    --append "console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests $words ${APPEND:-}"
echo
echo "What the secure processor was asked for ($out/host.trace):"
awk '{ print $3 }' "$out/host.trace" | sort | uniq -c | sort -rn
