#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-qemu.sh OUT: downloads Debian 13's QEMU, which knows SNP, and what it is linked with, as
# packages, and unpacks them into OUT/qemu. Nothing is installed. Done before: nothing happens.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -x "$out/qemu/usr/bin/qemu-system-x86_64" ] && exit 0
if ! debian_view trixie; then
    echo "fetch-qemu: the package list of Debian 13 cannot be downloaded" >&2
    exit 1
fi
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"; debian_view_end' EXIT
# shellcheck disable=SC2086
packages=$(apt-cache $view_options depends --recurse --no-recommends --no-suggests \
    --no-conflicts --no-breaks --no-replaces --no-enhances qemu-system-x86 2>/dev/null |
    grep '^[a-z]' | sort -u)
# shellcheck disable=SC2086
(cd "$work" && apt-get $view_options download -q $packages >/dev/null 2>&1) || {
    echo "fetch-qemu: QEMU of Debian 13 cannot be downloaded with apt-get" >&2
    exit 1
}
rm -rf "$out/qemu.new"
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$out/qemu.new"
done
mv "$out/qemu.new" "$out/qemu"
