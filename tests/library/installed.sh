#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# installed.sh BUILD EXAMPLES CC: installs into an empty folder, builds the examples against what is there alone, and
# runs them: one makes a report, another verifies those that the installed program makes. TAP.
set -u
build=$1 examples=$2 cc=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
echo 1..7
DESTDIR="$root" meson install -C "$build" --no-rebuild --quiet >/dev/null 2>"$root/log" && echo "ok 1 - installs" ||
    { echo "not ok 1 - installs"; sed 's/^/# /' "$root/log"; }
export PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_PATH=$(dirname "$(find "$root" -name softsev.pc)")
export PKG_CONFIG_PATH
number=1

verdict() { # name, whether it is so
    number=$((number + 1))
    [ "$2" -eq 0 ] && echo "ok $number - $1" || { echo "not ok $number - $1"; sed 's/^/# /' "$root/out" "$root/log"; }
}

run() { # expected status, name, arguments...
    expected=$1 name=$2
    shift 2
    "$root/$name" "$@" >"$root/out" 2>&1
    [ $? -eq "$expected" ]
}

for name in host_sees_ciphertext expected_measurement launch_and_report verify_report; do
    # shellcheck disable=SC2046
    $cc -std=c11 -Wall -Wextra -Werror "$examples/$name.c" ${EXAMPLE_CFLAGS:-} \
        $(pkg-config --cflags --libs --static softsev) -o "$root/$name" 2>"$root/log" || : >"$root/out"
done
run 0 host_sees_ciphertext
verdict host_sees_ciphertext $?
run 2 expected_measurement
verdict "expected_measurement: its usage line" $?
run 0 launch_and_report "$root/report.bin" && [ "$(wc -c <"$root/report.bin")" -eq 1184 ]
verdict launch_and_report $?
"$(find "$root" -type f -name softsev -path '*bin*')" fixtures --out "$root/fixtures" --profile milan >"$root/out" 2>&1
f=$root/fixtures/milan
run 0 verify_report "$f/valid.bin" "$f/trust/ark.pem" "$f/certs/ask.pem" "$f/certs/vcek.pem"
verdict "verify_report: a good one" $?
run 4 verify_report "$f/bad-signature.bin" "$f/trust/ark.pem" "$f/certs/ask.pem" "$f/certs/vcek.pem" &&
    grep -q '^refused by the check report-signature: ' "$root/out"
verdict "verify_report: a bad one" $?
run 4 verify_report "$root/report.bin" "$f/trust/ark.pem" "$f/certs/ask.pem" "$f/certs/vcek.pem"
verdict "verify_report: another chip's" $?
