#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of a host that runs QEMU on the bare machine: loads KVM and the secure
# processor's driver, and has QEMU launch the guest in /guest. Words on the kernel's command line:
# mode=none, sev, sev-es or sev-snp; vcpus=N. A SEV or SEV-ES guest waits until its owner, who types
# at this console, has seen the measurement and sent the secret. Then the host powers off.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mode=sev-snp
vcpus=1
for word in $(cat /proc/cmdline); do
    case $word in
    mode=*) mode=${word#mode=} ;;
    vcpus=*) vcpus=${word#vcpus=} ;;
    esac
done
while read -r module; do
    insmod "/modules/$module" || echo "host: $module does not load"
done </modules/host-order
dmesg | grep -e 'SEV.*API' -e 'kvm_amd: SEV' | sed 's/^/host: /'

launch="cbitpos=51,reduced-phys-bits=1,kernel-hashes=on"
machine=q35,vmport=off,confidential-guest-support=sev0
session="dh-cert-file=/guest/godh.b64,session-file=/guest/session.b64"
waits="-S -chardev pipe,id=qmp,path=/tmp/qmp -mon chardev=qmp,mode=control"
case $mode in
none)
    object=
    machine=q35,vmport=off
    waits=
    ;;
sev) object="sev-guest,id=sev0,$launch,policy=0x1,legacy-vm-type=off,$session" ;;
sev-es) object="sev-guest,id=sev0,$launch,policy=0x5,legacy-vm-type=off,$session" ;;
sev-snp)
    object="sev-snp-guest,id=sev0,$launch,policy=0x30000"
    waits=
    ;;
*)
    echo "host: mode=$mode: none, sev, sev-es or sev-snp"
    poweroff -f
    ;;
esac

ask() { # COMMAND: prints QEMU's answer
    echo "$1" >&3
    while read -t 100 -r answer <&4; do
        case $answer in
        *'"error"'*)
            echo "host: QEMU refuses $1: $answer" >&2
            return 1
            ;;
        *'"return"'*)
            echo "$answer" | sed 's/.*"data": "\([^"]*\)".*/\1/'
            return
            ;;
        esac
    done
    echo "host: QEMU does not answer $1" >&2
    return 1
}

# Carries the messages between QEMU and the owner: measurement out, packet and MNONCE in, and the
# firmware's report about the running guest out.
owner() {
    stty -echo
    ask '{"execute": "qmp_capabilities"}' >/dev/null &&
        measurement=$(ask '{"execute": "query-sev-launch-measure"}') || return
    echo "host: measurement: $measurement"
    read -r header packet mnonce
    [ -n "$mnonce" ] || { echo "host: the owner refuses"; return 1; }
    ask '{"execute": "sev-inject-launch-secret", "arguments": {"packet-header": "'"$header"'",
        "secret": "'"$packet"'"}}' >/dev/null && ask '{"execute": "cont"}' >/dev/null || return
    echo "host: attestation report: $(ask '{"execute": "query-sev-attestation-report",
        "arguments": {"mnonce": "'"$mnonce"'"}}')"
}

echo "host: $(qemu-system-x86_64 --version | head -n 1), a guest in mode $mode"
mkfifo /tmp/qmp.in /tmp/qmp.out
exec 3<>/tmp/qmp.in 4<>/tmp/qmp.out
# shellcheck disable=SC2086
timeout 300 qemu-system-x86_64 -enable-kvm -smp "$vcpus" -m 256M -cpu EPYC-v4,level=0xc \
    -machine "$machine" ${object:+-object $object} -bios /guest/OVMF.fd \
    -kernel /guest/vmlinuz -initrd /guest/initrd.gz -append "$(cat /guest/append)" $waits \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot </dev/null 2>/tmp/errors &
qemu=$!
[ -z "$waits" ] || owner || kill $qemu
wait $qemu
echo "host: QEMU has ended with status $?"
grep -v -e 'requested feature' -e 'rom: file' /tmp/errors | sed 's/^/host: QEMU: /'
dmesg | grep -e 'requested termination' -e 'BUG:' -e 'Oops' | sed 's/^/host: /'
poweroff -f
