#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# installed.sh BUILD EXAMPLES CC: installs into an empty folder and builds the examples against what is there alone. TAP.
set -u
build=$1 examples=$2 cc=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
echo 1..3
DESTDIR="$root" meson install -C "$build" --no-rebuild --quiet >/dev/null 2>"$root/log" && echo "ok 1 - installs" ||
    { echo "not ok 1 - installs"; sed 's/^/# /' "$root/log"; }
export PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_PATH=$(dirname "$(find "$root" -name softsev.pc)")
export PKG_CONFIG_PATH
number=2
for name in host_sees_ciphertext expected_measurement; do
    # shellcheck disable=SC2046
    if $cc -std=c11 -Wall -Wextra -Werror "$examples/$name.c" ${EXAMPLE_CFLAGS:-} \
        $(pkg-config --cflags --libs --static softsev) -o "$root/$name" 2>"$root/log"; then
        "$root/$name" >"$root/out" 2>&1
        status=$?
        [ "$name" = expected_measurement ] && [ "$status" -eq 2 ] && status=0 # its usage line
        [ "$status" -eq 0 ] && echo "ok $number - $name" || { echo "not ok $number - $name"; sed 's/^/# /' "$root/out"; }
    else
        echo "not ok $number - $name builds"
        sed 's/^/# /' "$root/log"
    fi
    number=$((number + 1))
done
