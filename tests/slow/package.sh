#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# package.sh BUILD OUT: builds the Debian packages, installs them into a new Debian root and uses
# them there: program, manual, library, key server. Then installs with another PREFIX, moves the
# installation, and removes it. TAP. Needs root, for the chroot.
set -u
build=$(realpath "$1") out=$(cd "$2" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/tap.bash"
chmod 755 "$work"

for tool in dpkg-buildpackage dh; do
    command -v $tool >/dev/null || { skip "Debian packages" "no $tool"; finish; }
done
"$top/tools/deb.sh" "$work" >"$work/log" 2>&1
verdict "the packages are built, and lintian finds nothing" $? || finish
"$top/tools/deb.sh" "$work/another/folder" >"$work/log" 2>&1 &&
    (cd "$work/deb" && sha256sum ./*.deb) >"$work/digests" &&
    (cd "$work/another/folder/deb" && sha256sum -c "$work/digests") >"$work/log" 2>&1
verdict "the same commit in another folder gives the same bytes" $?

root=$work/root
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
if [ "$(id -u)" -ne 0 ] || ! command -v mmdebstrap >/dev/null; then
    skip "packages in a new root" "needs root and mmdebstrap"
else
    mmdebstrap --mode=root --variant=apt --include=man-db "$suite" "$root" >"$work/log" 2>&1
    verdict "a new root of $suite" $? || finish
    cp "$work"/deb/*.deb "$root/tmp/"
    inside() { # COMMAND...
        chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp \
            DEBIAN_FRONTEND=noninteractive "$@" >"$work/log" 2>&1
    }
    rm -f "$root"/etc/dpkg/dpkg.cfg.d/*excludes "$root/tmp/"*dbgsym*
    mount -t proc proc "$root/proc" && trap 'umount "$root/proc"; rm -rf "$work"' EXIT
    inside sh -c 'apt-get update && apt-get install -y gcc libc6-dev pkg-config /tmp/*.deb'
    verdict "apt installs softsev, libsoftsev0 and libsoftsev-dev there" $? || finish
    inside softsev --version && grep -q '^softsev ' "$work/log"
    verdict "softsev --version" $?
    inside sh -c 'man softsev-run | grep -q "boots guests" && man softsev-guest >/dev/null'
    verdict "man softsev-run, man softsev-guest" $?
    cp "$out/vmlinuz" "$out/initrd.cpio.gz" "$root/root/"
    inside softsev run --kernel /root/vmlinuz --initrd /root/initrd.cpio.gz --mode sev \
        --append 'console=ttyS0 cryptomgr.notests' --memory 512M --seed package
    [ $? -eq 0 ] && grep -aq 'Memory Encryption Features active: AMD SEV' "$work/log"
    verdict "softsev run boots a SEV guest there" $?
    inside sh -c 'cd /usr/share/doc/softsev/examples && cc launch_and_report.c -o /tmp/example \
        $(pkg-config --cflags --libs softsev) && /tmp/example /tmp/report.bin' &&
        [ "$(wc -c <"$root/tmp/report.bin")" -eq 1184 ]
    verdict "an example builds with the installed library" $?
    inside softsev guest pack --help
    verdict "softsev guest finds its options" $?
    inside apt-get purge -y softsev libsoftsev-dev libsoftsev0 &&
        ! find "$root/usr" "$root/etc" -name '*softsev*' | grep -q .
    verdict "purge leaves nothing" $?
fi

# The same by make, for other distributions.
by_make() { # install or uninstall
    make -s -C "$top" "$1" BUILD="$build" PREFIX=/opt/softsev DESTDIR="$work/stage" \
        >"$work/log" 2>&1
}
by_make install &&
    "$work/stage/opt/softsev/bin/softsev" --version >>"$work/log" 2>&1
verdict "make install PREFIX=/opt/softsev DESTDIR=..." $?
mv "$work/stage/opt/softsev" "$work/moved" &&
    "$work/moved/bin/softsev" guest pack --initrd "$work/i" --modules "$work" >"$work/log" 2>&1
grep -q 'modules of 0 kernels\|is not static\|No such file' "$work/log"
verdict "a moved installation finds its helper programs" $?
mkdir -p "$work/stage/opt" && mv "$work/moved" "$work/stage/opt/softsev"
by_make uninstall && [ -z "$(find "$work/stage" -type f -o -type l)" ]
verdict "make uninstall removes all of it" $?
meson configure "$build" -Dprefix=/usr/local >"$work/log" 2>&1
finish
