#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-guest.sh OUT [all | secure-tsc | host | ssh]: downloads Debian's stock cloud kernels and
# busybox-static as packages into OUT and makes OUT/vmlinuz (Linux 6.1) and OUT/vmlinuz-6.12 of
# them, each with its initramfs, initrd.cpio.gz and initrd-6.12.cpio.gz. Nothing is installed. Done
# before: nothing happens. Without a package of 6.12 there is only the first. The second has
# softsev-agent, too, if AGENT names one. `all` are the ordinary kernels, too: the same names with
# -6.1-ordinary and -6.12-ordinary. `secure-tsc` is the newest cloud kernel from 6.14 on that apt
# knows (Debian 13 backports has some): vmlinuz-secure-tsc and its initramfs. `host` is the ordinary
# 6.12 kernel as the host of the bare machine, with KVM's modules and, if HOST_KVM names it, the
# program host-kvm in its initramfs: vmlinuz-host, initrd-host.cpio.gz. `ssh` is an SSH server and
# its libraries, unpacked, of which a test makes a guest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

fetch() { # package: unpacked under OUT/guest/package
    [ -d "$out/guest/$1" ] && return 0
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && apt-get download -q "$1" >/dev/null 2>&1) || {
        echo "fetch-guest: $1 cannot be downloaded with apt-get" >&2
        rm -rf "$work"
        return 1
    }
    mkdir -p "$out/guest"
    dpkg-deb -x "$work"/*.deb "$out/guest/$1.new"
    mv "$out/guest/$1.new" "$out/guest/$1"
    rm -rf "$work"
}

newest() { # meta package: the kernel it stands for
    apt-cache depends "$1" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-6[^ ]*\)$/\1/p' |
        head -n 1
}

guest() { # kernel package, suffix, agent: vmlinuz and initramfs of it
    cp "$out/guest/$1"/boot/vmlinuz-* "$out/vmlinuz$2"
    python3 "$here/pack-initrd.py" "$out/guest/busybox-static/bin/busybox" "$here/guest-init.sh" \
        "$out/guest/$1" "$out/initrd$2.cpio.gz" ${3:+"$3"}
}

made() { # suffix: is it there, and newer than what it is made of?
    [ -f "$out/vmlinuz$1" ] && [ "$out/initrd$1.cpio.gz" -nt "$here/guest-init.sh" ] &&
        [ "$out/initrd$1.cpio.gz" -nt "$here/pack-initrd.py" ]
}

made "" || {
    kernel=$(newest linux-image-cloud-amd64)
    [ -n "$kernel" ] || { echo \
        "fetch-guest: apt knows no linux-image-cloud-amd64; is this Debian?" >&2; exit 1; }
    fetch "$kernel" && fetch busybox-static || exit 1
    guest "$kernel" ""
}
agent=${AGENT:-}
[ -x "$agent" ] || agent=
packed=$out/initrd-6.12.agent # is there if the agent is in it
[ -z "$agent" ] || [ -f "$packed" ] && [ ! "$agent" -nt "$packed" ] ||
    rm -f "$out/initrd-6.12.cpio.gz"
made -6.12 || {
    rm -f "$packed"
    kernel=$(newest linux-image-6.12-cloud-amd64)
    if [ -n "$kernel" ] && fetch "$kernel"; then
        guest "$kernel" -6.12 "$agent"
        [ -z "$agent" ] || touch "$packed"
    else
        echo "fetch-guest: no Linux 6.12; what needs it is left out" >&2
    fi
}

ordinary() { # version, meta package
    made "-$1-ordinary" && return 0
    kernel=$(newest "$2")
    if [ -n "$kernel" ] && fetch "$kernel"; then
        guest "$kernel" "-$1-ordinary"
    else
        echo "fetch-guest: no ordinary Linux $1; what needs it is left out" >&2
    fi
}
secure_tsc() {
    made -secure-tsc && return 0
    kernel=$(apt-cache search --names-only \
        '^linux-image-(6\.1[4-9]|6\.[2-9][0-9]|[7-9]\.[0-9]+).*[0-9]-cloud-amd64$' |
        cut -d' ' -f1 | sort -V | tail -n 1)
    if [ -n "$kernel" ] && fetch "$kernel"; then
        guest "$kernel" -secure-tsc
    else
        echo "fetch-guest: apt knows no Linux 6.14 or later; what needs it is left out" >&2
    fi
}
# Cloud kernels have SEV of KVM and the secure processor's driver switched off.
host() {
    init=$here/host-init.sh
    program=${HOST_KVM:-}
    [ -x "$program" ] || program=
    [ -f "$out/vmlinuz-host" ] && [ "$out/initrd-host.cpio.gz" -nt "$init" ] &&
        [ "$out/initrd-host.cpio.gz" -nt "$here/pack-initrd.py" ] &&
        { [ -z "$program" ] || [ "$out/initrd-host.cpio.gz" -nt "$program" ]; } &&
        return 0
    kernel=$(newest linux-image-6.12-amd64)
    if [ -z "$kernel" ] || ! fetch "$kernel"; then
        echo "fetch-guest: no ordinary Linux 6.12; what needs a host is left out" >&2
        return 0
    fi
    for wanted in CONFIG_KVM_AMD_SEV=y CONFIG_CRYPTO_DEV_CCP=y CONFIG_AMD_IOMMU=y; do
        grep -q "^$wanted" "$out/guest/$kernel"/boot/config-* || {
            echo "fetch-guest: $kernel lacks $wanted; what needs a host is left out" >&2
            return 0
        }
    done
    cp "$out/guest/$kernel"/boot/vmlinuz-* "$out/vmlinuz-host"
    python3 "$here/pack-initrd.py" "$out/guest/busybox-static/bin/busybox" "$init" \
        "$out/guest/$kernel" "$out/initrd-host.cpio.gz" --host ${program:+"$program"}
}
case ${2:-} in
"") ;;
host) host ;;
ssh)
    for package in dropbear-bin libc6 libcrypt1 libgmp10 libtomcrypt1 libtommath1 zlib1g; do
        fetch "$package" || {
            echo "fetch-guest: no SSH server; what needs it is left out" >&2
            break
        }
    done
    ;;
secure-tsc) secure_tsc ;;
all)
    ordinary 6.1 linux-image-amd64
    ordinary 6.12 linux-image-6.12-amd64
    ;;
*)
    echo "fetch-guest: '$2': all, secure-tsc, host, ssh, or nothing" >&2
    exit 2
    ;;
esac
