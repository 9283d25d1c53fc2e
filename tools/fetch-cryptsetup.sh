#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-cryptsetup.sh OUT: downloads cryptsetup and what it is linked with, as Debian's packages,
# and unpacks them into OUT/cryptsetup. Nothing is installed. Done before: nothing happens.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -x "$out/cryptsetup/sbin/cryptsetup" ] && exit 0
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances cryptsetup-bin 2>/dev/null | grep '^[a-z]' | sort -u)
# shellcheck disable=SC2086
(cd "$work" && apt-get download -q $packages >/dev/null 2>&1) || {
    echo "fetch-cryptsetup: cryptsetup cannot be downloaded with apt-get" >&2
    exit 1
}
rm -rf "$out/cryptsetup.new"
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$out/cryptsetup.new"
done
mv "$out/cryptsetup.new" "$out/cryptsetup"
