#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building, testing and the stock guest need, if any is missing.
set -eu

packages="gcc libc6-dev clang clang-format lld libclang-rt-14-dev meson ninja-build pkg-config python3 binutils
libssl-dev libjansson-dev libzydis-dev libcmocka-dev openssl cpio gzip xz-utils kmod"

missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "softsev needs these Debian packages:$missing"
as_root=""
[ "$(id -u)" -eq 0 ] || as_root=sudo
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086
$as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
