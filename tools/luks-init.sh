#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of a guest whose root is an encrypted disk (docs/encrypted-root.md): opens
# /dev/vda by the secret that the guest's owner has sealed for it, and goes on there. `agent` on the
# kernel's command line: an SNP guest, whose agent asks for the secret first. `install=N`: a plain
# guest on the owner's own computer makes that disk, of the root file system on /dev/vdb and of a
# key of N bytes on /dev/vdc.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /run/cryptsetup /root
export DM_DISABLE_UDEV=1
load() {
    while read -r module; do
        grep -q "^${module%.ko} " /proc/modules || insmod "/modules/$module"
    done <"$1"
}
load /modules/order
load /modules/luks-order

# The key is random and as long as a digest: stretching it would cost time and add nothing.
install() {
    head -c "$1" /dev/vdc >/key
    cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
        --use-urandom --key-file /key /dev/vda &&
        cryptsetup open --key-file /key /dev/vda root &&
        dd if=/dev/vdb of=/dev/mapper/root bs=1M conv=fsync 2>/dev/null &&
        cryptsetup close root && echo "guest: the encrypted disk is made"
    poweroff -f
}

for word in $(cat /proc/cmdline); do
    case $word in
    install=*) install "${word#install=}" ;;
    agent) load /modules/snp-order; softsev-agent ;;
    esac
done
if [ ! -f /secret/secret ]; then
    echo "guest: no secret from an owner; the root stays closed"
elif cryptsetup open --key-file /secret/secret /dev/vda root && mount -t ext4 /dev/mapper/root /root
then
    rm -f /secret/secret
    echo "guest: the owner's secret has opened the root"
    exec switch_root /root /sbin/init
else
    echo "guest: the secret does not open the root"
fi
poweroff -f
