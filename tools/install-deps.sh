#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install-deps.sh PURPOSE...: installs the Debian packages a purpose needs, if any is missing.
#   build    the program, and the stock guest's packing
#   test     a second compiler with sanitizers, and what the stories make images with
#   package  Debian packages, and a new root to install them in; wheel: the Python package
#   interop  public tools that are Debian packages; bench: the peer of whole boots
set -eu

packages=""
for purpose in "$@"; do
    case $purpose in
    build)
        packages="$packages gcc libc6-dev meson ninja-build pkg-config python3 binutils libssl-dev
            libjansson-dev libcurl4-openssl-dev libmicrohttpd-dev libzydis-dev libzycore-dev
            libslirp-dev libcmocka-dev xz-utils"
        ;;
    test) packages="$packages clang clang-format clang-tidy lld libclang-rt-14-dev openssl e2fsprogs
            mtools openssh-client acpica-tools cpio gdb" ;;
    interop)
        packages="$packages openssl libvirt-clients-qemu python3-lxml python3-libvirt
            python3-cryptography python3-venv qemu-system-x86 seabios libcurl4-openssl-dev"
        ;;
    package) packages="$packages debhelper lintian mmdebstrap gpgv" ;;
    wheel) packages="$packages python3-venv python3-dev libffi-dev" ;;
    bench) packages="$packages openssl qemu-system-x86 seabios" ;;
    *)
        echo "install-deps: no purpose '$purpose': build, test, interop, package, wheel or bench" >&2
        exit 2
        ;;
    esac
done

missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing Debian packages:$missing"
as_root=""
[ "$(id -u)" -eq 0 ] || as_root=sudo
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install-deps: apt-get cannot install them" >&2
    exit 1
fi
