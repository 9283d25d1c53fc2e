#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of the demonstration guest: says what it sees of its encryption, prints the
# digest of the owner's secret (never the secret), under SNP its attestation report, and powers
# off. `shell` on the kernel's command line gives a shell instead, `root=` boots a disk, `agent`
# has softsev-agent ask for the owner's secret over the virtio console. A network card gets its
# address by DHCP.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
load() { while read -r module; do insmod "/modules/$module"; done <"$1"; }

# A report by the kernel's own driver and configfs: 64 bytes of ours go into it. `softsev owner
# verify` takes it.
report() {
    [ -n "$agent" ] || load /modules/snp-order
    mount -t configfs configfs /sys/kernel/config
    folder=/sys/kernel/config/tsm/report/guest
    mkdir "$folder" || return
    printf '%-64s' "$1" >"$folder/inblob"
    echo "guest: report over '$1': $(base64 -w 0 <"$folder/outblob")"
    echo "guest: certificates: $(base64 -w 0 <"$folder/auxblob")"
}

# A virtio network card has this PCI device id.
network() {
    load /modules/net-order
    ip link set lo up
    ip link set eth0 up && udhcpc -i eth0 -n -q -s /bin/dhcp-script >/dev/null 2>&1
    echo "guest: network: $(ip -4 addr show eth0 | sed -n 's/ *inet \([^ ]*\).*/\1/p')"
}

load /modules/order
agent=
for word in $(cat /proc/cmdline); do [ "$word" = agent ] && [ -x /bin/softsev-agent ] &&
    agent=yes; done
[ -n "$agent" ] && load /modules/snp-order && softsev-agent
echo "guest: Linux $(uname -r), up after $(cut -d' ' -f1 /proc/uptime) s"
echo "guest: processors: $(nproc)"
dmesg | grep -i -e 'Memory Encryption Features' -e 'software IO TLB: mapped' | sed 's/^/guest: /'
if [ -f /secret/secret ]; then
    echo "guest: sha256 of the owner's secret: $(sha256sum </secret/secret | cut -d' ' -f1)"
else
    echo "guest: no secret from an owner"
fi
grep -q 0x1041 /sys/bus/pci/devices/*/device && network
grep -q 0x1044 /sys/bus/pci/devices/*/device && load /modules/rng-order
[ -b /dev/vda ] && echo "guest: disk of $(cat /sys/block/vda/size) sectors"
[ -z "$agent" ] && [ -c /dev/hvc0 ] && echo "guest: hello on the virtio console" >/dev/hvc0
[ -e /sys/devices/platform/sev-guest ] && [ -s /modules/snp-order ] && report softsev
for word in $(cat /proc/cmdline); do
    case $word in
    shell) setsid cttyhack sh ;;
    root=/dev/*) load /modules/disk-order; mkdir -p /disk &&
        mount -t ext4 "${word#root=}" /disk && exec switch_root /disk /sbin/init ;;
    spin=*) sleep "${word#spin=}" ;;
    esac
done
poweroff -f
