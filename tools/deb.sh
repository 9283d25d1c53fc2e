#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deb.sh OUT: builds the Debian packages from a copy of the committed tree into OUT/deb, and lets
# lintian look at them, where it is installed. dpkg wants debian/ at the top: the copy has it there.
# The package's own tests run if DEB_BUILD_OPTIONS says something else than nocheck.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
out=$(cd "$1" && pwd)/deb
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
case $(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog) in
"$version") ;;
*)
    echo "deb: meson.build has version $version, packaging/debian/changelog another" >&2
    exit 1
    ;;
esac
rm -rf "$out"
mkdir -p "$out/softsev-$version"
git archive HEAD | tar -x -C "$out/softsev-$version"
cd "$out/softsev-$version"
mv packaging/debian debian
cp packaging/systemd/softsev-kds.service debian/softsev.softsev-kds.service
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-nocheck} parallel=2"
dpkg-buildpackage -b -us -uc >"$out/log" 2>&1 || {
    tail -n 60 "$out/log" >&2
    exit 1
}
rm -rf "$out/softsev-$version"
cd "$out"
ls ./*.deb
command -v lintian >/dev/null || { echo "lintian is not installed" >&2; exit 0; }
lintian --fail-on error,warning --tag-display-limit 0 ./*.changes
