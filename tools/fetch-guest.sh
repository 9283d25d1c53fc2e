#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-guest.sh OUT: downloads Debian's stock cloud kernel and busybox-static as packages into OUT and makes
# OUT/vmlinuz and OUT/initrd.cpio.gz of them. Nothing is installed. Done before: nothing happens.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -f "$out/vmlinuz" ] && [ "$out/initrd.cpio.gz" -nt "$here/guest-init.sh" ] && exit 0

fetch() { # package: unpacked under OUT/guest/package
    [ -d "$out/guest/$1" ] && return 0
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && apt-get download -q "$1" >/dev/null 2>&1) || {
        echo "fetch-guest: $1 cannot be downloaded with apt-get" >&2
        exit 1
    }
    mkdir -p "$out/guest"
    dpkg-deb -x "$work"/*.deb "$out/guest/$1.new"
    mv "$out/guest/$1.new" "$out/guest/$1"
    rm -rf "$work"
}

kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-6[^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "fetch-guest: apt knows no linux-image-cloud-amd64; is this Debian?" >&2; exit 1; }
fetch "$kernel"
fetch busybox-static
cp "$out/guest/$kernel"/boot/vmlinuz-* "$out/vmlinuz"
python3 "$here/pack-initrd.py" "$out/guest/busybox-static/bin/busybox" "$here/guest-init.sh" \
    "$out/guest/$kernel" "$out/initrd.cpio.gz"
