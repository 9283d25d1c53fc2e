#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of a host that runs QEMU on the bare machine: loads KVM and the secure
# processor's driver, and has QEMU launch Debian's cloud kernel as the guest that `mode=` on the
# kernel's command line names: sev, sev-es or sev-snp. Then it powers off.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mode=sev-snp
for word in $(cat /proc/cmdline); do
    case $word in
    mode=*) mode=${word#mode=} ;;
    esac
done
while read -r module; do
    insmod "/modules/$module" || echo "host: $module does not load"
done </modules/host-order
dmesg | grep -e 'SEV.*API' -e 'kvm_amd: SEV' | sed 's/^/host: /'

launch="cbitpos=51,reduced-phys-bits=1,kernel-hashes=on"
case $mode in
sev) object="sev-guest,id=sev0,$launch,policy=0x1" ;;
sev-es) object="sev-guest,id=sev0,$launch,policy=0x5" ;;
sev-snp) object="sev-snp-guest,id=sev0,$launch,policy=0x30000" ;;
*)
    echo "host: mode=$mode: sev, sev-es or sev-snp"
    poweroff -f
    ;;
esac
echo "host: $(qemu-system-x86_64 --version | head -n 1), a guest in mode $mode"
timeout 300 qemu-system-x86_64 -enable-kvm -smp 1 -m 256M -cpu EPYC-v4,level=0xc \
    -machine q35,confidential-guest-support=sev0,vmport=off -object "$object" -bios /guest/OVMF.fd \
    -kernel /guest/vmlinuz -initrd /guest/initrd.gz \
    -append "console=ttyS0 panic=-1 cryptomgr.notests quiet" \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot </dev/null 2>/tmp/errors
echo "host: QEMU has ended with status $?"
grep -v 'requested feature' /tmp/errors | sed 's/^/host: QEMU: /'
dmesg | grep -e 'requested termination' -e 'BUG:' -e 'Oops' | sed 's/^/host: /'
poweroff -f
