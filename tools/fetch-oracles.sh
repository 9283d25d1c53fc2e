#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-oracles.sh OUT [images]: downloads what the interoperability tests compare with into
# OUT/oracles: Debian's OVMF image of this release, and ovmf-amdsev from Debian testing (a private
# view of that suite; the system's own sources stay untouched); builds the Rust tools and the Go
# verifier there, where cargo and go are installed, unless `images` are all that is wanted. What
# cannot be had is left out with a word; its tests are then skipped.
set -eu
. "$(dirname "$0")/debian.sh"
wanted=${2:-all}
out=$1/oracles
mkdir -p "$out/bin"
out=$(cd "$out" && pwd)
interop=$(cd "$(dirname "$0")/../tests/interop" && pwd)
deadline=$(($(date +%s) + ${BUILD_SECONDS:-1200})) # of all builds together

fetch() { # package, file in it
    package=$1 file=$2
    [ -f "$out/$(basename "$file")" ] && return 0
    work=$(mktemp -d)
    if debian_unpack "$package" "$work" && [ -f "$work/$file" ]; then
        cp "$work/$file" "$out/"
    else
        echo "fetch-oracles: $package with $file is not to be had today" >&2
    fi
    rm -rf "$work"
}

fetch ovmf usr/share/ovmf/OVMF.fd
fetch ovmf usr/share/OVMF/OVMF_CODE.fd
fetch ovmf usr/share/OVMF/OVMF_VARS.fd

if [ ! -f "$out/OVMF.amdsev.fd" ]; then
    debian_view testing || echo "fetch-oracles: no view of Debian testing today" >&2
    fetch ovmf-amdsev usr/share/ovmf/OVMF.amdsev.fd
    debian_view_end
fi
[ "$wanted" != images ] || exit 0

# Unmodified Rust tools, built without debug information. They link the system's OpenSSL.
export CARGO_TARGET_DIR="$out/target" OPENSSL_NO_VENDOR=1 CARGO_PROFILE_DEV_DEBUG=0 \
    CARGO_TERM_QUIET=true
left() { # seconds for the next build, at least one
    left=$((deadline - $(date +%s)))
    [ "$left" -gt 0 ] && echo "$left" || echo 1
}
without() { echo "fetch-oracles: $1 is not to be had today: $2" >&2; }
unbuilt() { without "$1" "its build failed or took too long. $(tail -n 1 "$2")"; } # name, log

crate() { # name, version
    case $("$out/bin/$1" --version 2>/dev/null) in *"$2"*) return 0 ;; esac
    command -v cargo >/dev/null || { without "$1 $2" "no cargo" && return 0; }
    echo "building $1 $2"
    timeout "$(left)" cargo install --locked --debug --force \
        --root "$out" "$1@$2" >"$out/$1.log" 2>&1 ||
        unbuilt "$1 $2" "$out/$1.log"
}
crate snpguest 0.11.0
crate snphost 0.9.0
crate sevctl 0.6.2

# A program of ours around the unmodified sev crate, and one around the unmodified go-sev-guest.
if command -v cargo >/dev/null; then
    mkdir -p "$out/sev_crate/src"
    cmp -s "$interop/sev_crate.rs" "$out/sev_crate/src/main.rs" ||
        cp "$interop/sev_crate.rs" "$out/sev_crate/src/main.rs"
    cat >"$out/sev_crate/Cargo.toml" <<'END'
[package]
name = "sev_crate"
version = "0.1.0"
edition = "2021"

[dependencies]
sev = { version = "=8.0.0", default-features = false, features = ["sev", "snp", "openssl"] }
base64 = "0.22"
hex = "0.4"
END
    timeout "$(left)" cargo build --manifest-path "$out/sev_crate/Cargo.toml" \
        >"$out/sev_crate.log" 2>&1 &&
        cp "$out/target/debug/sev_crate" "$out/bin/" ||
            unbuilt "the sev crate 8.0.0" "$out/sev_crate.log"
else
    without "the sev crate 8.0.0" "no cargo"
fi
if command -v go >/dev/null; then
    (cd "$interop/go" && timeout "$(left)" go build \
        -o "$out/bin/go_verifier" .) >"$out/go.log" 2>&1 ||
        unbuilt go-sev-guest "$out/go.log"
else
    without go-sev-guest "no go"
fi
ls "$out" "$out/bin"
