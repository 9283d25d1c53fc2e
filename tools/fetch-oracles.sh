#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-oracles.sh OUT: downloads what the interoperability tests compare with into OUT/oracles: Debian's OVMF image of
# this release, and ovmf-amdsev from Debian testing (a private view of that suite; the system's own sources stay
# untouched). What cannot be had is left out with a word; its tests are then skipped.
set -eu
out=$1/oracles
mkdir -p "$out"
out=$(cd "$out" && pwd)

fetch() { # package, file in it, apt options...
    package=$1 file=$2
    shift 2
    [ -f "$out/$(basename "$file")" ] && return 0
    work=$(mktemp -d)
    if (cd "$work" && apt-get "$@" download -q "$package" >/dev/null 2>&1) &&
        dpkg-deb -x "$work"/*.deb "$work/root" && [ -f "$work/root/$file" ]; then
        cp "$work/root/$file" "$out/"
    else
        echo "fetch-oracles: $package with $file is not to be had today" >&2
    fi
    rm -rf "$work"
}

fetch ovmf usr/share/ovmf/OVMF.fd

if [ ! -f "$out/OVMF.amdsev.fd" ]; then
    view=$(mktemp -d)
    mkdir -p "$view/lists/partial" "$view/cache/archives/partial"
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | head -n 1)
    echo "deb $uri testing main" >"$view/sources.list"
    set -- -o Dir::State::Lists="$view/lists" -o Dir::Cache="$view/cache" -o Dir::Etc::SourceList="$view/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null
    apt-get "$@" update -q >/dev/null 2>&1 || echo "fetch-oracles: no view of Debian testing today" >&2
    fetch ovmf-amdsev usr/share/ovmf/OVMF.amdsev.fd "$@"
    rm -rf "$view"
fi
ls "$out"
