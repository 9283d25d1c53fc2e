#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of a host on the bare machine: loads the secure processor's driver and KVM, says
# how far the stack got, and powers off. `shell` on the kernel's command line gives a shell instead,
# `reboot` reboots; `sev=0` loads KVM without SEV; `load=no` loads no module; `again` removes KVM
# and the driver, which shuts the secure processor down, and loads them again; `guests=no` launches
# none, although there is host-kvm; `exits=N` lets each guest leave N times, `mode=M` launches
# that one alone.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "host: Linux $(uname -r), up after $(cut -d' ' -f1 /proc/uptime) s"
echo "host: processors: $(nproc)"
parameters=
loads=yes
again=
guests=yes
exits=1000
only=
ends=poweroff
for word in $(cat /proc/cmdline); do
    case $word in
    sev=*) parameters=$word ;;
    load=no) loads= ;;
    again) again=yes ;;
    guests=no) guests= ;;
    exits=*) exits=${word#*=} ;;
    mode=*) only=${word#*=} ;;
    reboot) ends=reboot ;;
    esac
done
load() { # module, parameters
    grep -q "^$1 " /proc/modules || insmod "/modules/$1.ko" $2 || echo "host: $1 does not load"
}
load_all() {
    while read -r module; do
        module=${module%.ko}
        case $module in
        kvm_amd) load "$module" "$parameters" ;;
        *) load "$module" ;;
        esac
    done </modules/host-order
}
[ -n "$loads" ] && load_all
if [ -n "$again" ]; then
    for module in kvm_amd ccp; do
        busybox rmmod "$module" && echo "host: $module is removed"
    done
    load_all
fi
dmesg | grep -i -e 'SEV' -e 'AMD-Vi' -e 'ccp ' -e 'kvm_amd' -e 'RMP' | sed 's/^/host: /'
for file in /dev/kvm /dev/sev; do
    [ -c "$file" ] && echo "host: there is $file"
done
modes=none
dmesg | grep -q 'kvm_amd: SEV enabled' && modes="$modes sev"
dmesg | grep -q 'kvm_amd: SEV-ES enabled' && modes="$modes sev-es"
dmesg | grep -q 'kvm_amd: SEV-SNP enabled' && modes="$modes sev-snp"
[ -n "$guests" ] && [ -c /dev/kvm ] && [ -x /bin/host-kvm ] &&
    for mode in ${only:-$modes}; do host-kvm "$mode" "$exits" | sed 's/^/host: /'; done
for word in $(cat /proc/cmdline); do
    [ "$word" = shell ] && setsid cttyhack sh
done
"$ends" -f
