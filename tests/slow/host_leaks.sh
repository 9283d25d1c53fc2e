#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of a host that launches guests in ways that could leak: two at once, with one
# and two processors; guests that are killed before and while they run; one that reboots; the driver
# removed and loaded again. It reboots the host once, which the first byte of /dev/vda remembers,
# and powers off.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp

load() {
    while read -r module; do
        grep -q "^${module%.ko} " /proc/modules || insmod "/modules/$module" ||
            echo "host: $module does not load"
    done </modules/host-order
}
launch() { # NAME MODE VCPUS [OPTION...]: QEMU, whose guest writes to /tmp/NAME
    name=$1
    mode=$2
    vcpus=$3
    shift 3
    set -- "$@" -smp "$vcpus" -m 256M -kernel /guest/vmlinuz -initrd /guest/initrd.gz
    case $mode in
    none) set -- "$@" -machine q35,vmport=off ;;
    sev-snp) object="sev-snp-guest,id=sev0,policy=0x30000" ;;
    sev-es) object="sev-guest,id=sev0,policy=0x5" ;;
    sev) object="sev-guest,id=sev0,policy=0x1" ;;
    esac
    [ "$mode" = none ] || set -- "$@" -machine q35,confidential-guest-support=sev0,vmport=off \
        -object "$object,cbitpos=51,reduced-phys-bits=1,kernel-hashes=on"
    timeout 300 qemu-system-x86_64 -enable-kvm -cpu EPYC-v4,level=0xc -bios /guest/OVMF.fd \
        -nodefaults -no-user-config -display none -serial "file:/tmp/$name" -no-reboot "$@" \
        </dev/null 2>"/tmp/$name.errors"
}
ends() { # NAME STATUS
    echo "host: $1: QEMU has ended with status $2"
    [ "$2" = 0 ] || grep -v -e 'requested feature' -e 'rom: file' "/tmp/$1.errors" | sed "s/^/host: $1: QEMU: /"
    grep -o -e 'guest: Linux.*' -e 'guest: processors.*' -e 'Encryption Features.*' "/tmp/$1" |
        sed "s/^/host: $1: /"
}
killed() { # NAME SECONDS MODE [OPTION...]
    name=$1
    seconds=$2
    mode=$3
    shift 3
    launch "$name" "$mode" 1 -append "$append spin=60" "$@" &
    sleep "$seconds"
    busybox killall -9 qemu-system-x86_64 && echo "host: $name: killed"
    wait
}

append="$(cat /guest/append)"
load
if [ "$(dd if=/dev/vda bs=1 count=1 2>/dev/null)" = R ]; then
    echo "host: the host has rebooted"
    launch after sev-snp 1 -append "$append"
    ends after $?
else
    launch two-snp sev-snp 1 -append "$append" &
    first=$!
    launch two-sev sev 2 -append "$append" &
    second=$!
    wait $first
    ends two-snp $?
    wait $second
    ends two-sev $?
    launch two-processors sev-snp 2 -append "$append"
    ends two-processors $?
    killed launched-snp 4 sev-snp -S
    killed launched-sev 4 sev-es -S
    killed running-snp 6 sev-snp
    killed running-es 6 sev-es
    launch reboots sev-snp 1 -append "$append rdinit=/vmm-init reboots" \
        -action reboot=reset
    ends reboots $?
    for module in kvm_amd ccp; do
        busybox rmmod "$module" && echo "host: $module is removed"
    done
    load
    launch again sev-es 1 -append "$append"
    ends again $?
    printf R | dd of=/dev/vda bs=1 conv=notrunc 2>/dev/null
    busybox sync
    next=reboot
fi
dmesg | grep -i -e 'leak' -e 'BUG:' -e 'Oops' -e 'WARNING:' -e 'failed' | sed 's/^/host: /'
for module in kvm_amd ccp; do
    busybox rmmod "$module" && echo "host: $module is removed"
done
echo "host: free at the end: $(sed -n 's/MemFree: *//p' /proc/meminfo)"
"${next:-poweroff}" -f
