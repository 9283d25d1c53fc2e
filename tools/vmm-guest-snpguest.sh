#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# Runs before /init in an SNP guest of QEMU: the unmodified snpguest asks the kernel's
# /dev/sev-guest for a report over random data, and for two derived keys, which differ.
busybox=/bin/busybox
$busybox mount -t devtmpfs dev /dev
while read -r module; do $busybox insmod "/modules/$module"; done </modules/order
while read -r module; do $busybox insmod "/modules/$module"; done </modules/snp-order
snpguest report /report.bin /request.bin --random &&
    echo "guest: report by snpguest: $($busybox base64 -w 0 </report.bin)"
snpguest key /key.bin vcek --guest_field_select 1 &&
    snpguest key /other.bin vcek --guest_field_select 9 &&
    ! $busybox cmp -s /key.bin /other.bin && echo "guest: snpguest derives keys"
$busybox umount /dev
exec /init
