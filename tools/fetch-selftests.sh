#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-selftests.sh OUT: downloads Debian's package of the 6.12 kernel's sources, and builds the
# KVM selftests that tests/slow/kvm_selftests.txt names, static, into OUT/kvm-selftests. The sources
# are removed again. Done before: nothing happens. Where the package cannot be had, or a test cannot
# be built, that is said and it is left out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
list=$here/../tests/slow/kvm_selftests.txt
names=$(sed 's/#.*//' "$list" | awk 'NF { print $1 }' | sort -u)
wanted=
for name in $names; do
    [ -x "$out/kvm-selftests/$name" ] || wanted="$wanted $name"
done
[ -n "$wanted" ] || exit 0
package=linux-source-6.12
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
debian_unpack "$package" "$work/package" || {
    echo "fetch-selftests: $package cannot be downloaded; KVM's selftests are left out" >&2
    exit 0
}
tar -C "$work" -xf "$work"/package/usr/src/linux-source-*.tar.xz --wildcards \
    '*/Makefile' '*/Kbuild*' '*/arch/x86/*' '*/include/*' '*/scripts/*' '*/tools/*' '*/usr/*'
rm -rf "$work/package"
source=$(ls -d "$work"/linux-source-*)
log=$out/kvm-selftests.log
make -C "$source" -j2 ARCH=x86 headers >"$log" 2>&1 || {
    echo "fetch-selftests: the kernel's headers cannot be made; see $log" >&2
    exit 0
}
mkdir -p "$out/kvm-selftests"
for name in $wanted; do
    # The program's folder is the architecture's, or none.
    for target in "x86_64/$name" "$name"; do
        [ -f "$source/tools/testing/selftests/kvm/$target.c" ] || continue
        make -C "$source/tools/testing/selftests/kvm" -j2 CC="gcc -static -w" \
            OUTPUT="$work/built" "$work/built/$target" >>"$log" 2>&1 &&
            strip -o "$out/kvm-selftests/$name" "$work/built/$target"
    done
    [ -x "$out/kvm-selftests/$name" ] ||
        echo "fetch-selftests: $name cannot be built; see $log" >&2
done
