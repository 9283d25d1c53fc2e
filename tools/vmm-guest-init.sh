#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# Runs before /init in a SEV or SEV-ES guest of QEMU, and prints the digest of the secret that its
# owner has sealed for it. Firmware keeps it in a table at the address of `secrets=` on the
# kernel's command line; Debian's kernels are built without CONFIG_EFI_SECRET, which would show it
# as a file. The table begins with a GUID and its size, and so does its first entry. `reboots`
# reboots instead.
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t devtmpfs dev /dev
at=
for word in $($busybox cat /proc/cmdline); do
    case $word in
    secrets=*) at=$((${word#secrets=})) ;;
    reboots) $busybox reboot -f ;;
    esac
done
size=$(($($busybox devmem $((at + 36)) 32) - 20))
if [ "$size" -gt 0 ] && [ "$size" -le 512 ]; then
    i=0
    while [ $i -lt $size ]; do
        printf "\\x$($busybox devmem $((at + 40 + i)) 8 | $busybox cut -c3-)"
        i=$((i + 1))
    done | $busybox sha256sum | $busybox sed "s/^/guest: sha256 of the launch's secret: /;s/ *-$//"
else
    echo "guest: no secret of the launch at $at"
fi
$busybox umount /dev /proc
exec /init
