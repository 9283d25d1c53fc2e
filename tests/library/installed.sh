#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# installed.sh BUILD EXAMPLES CC: installs into an empty folder, and builds what an outsider would
# against what is there alone: the examples, and a program with its own meaning for the rooms'
# names, with the archive and with the shared library; a program in C++; and runs what is installed.
# Then uninstalls. TAP.
set -u
build=$1 examples=$2 cc=$3
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../tap.bash"
root=$work

verdict() { # NAME STATUS
    result "$1" "$2" "$(head -n 40 "$root/out" "$root/log" 2>/dev/null)"
}

install=$here/../../tools/install.py
DESTDIR="$root" "$install" install "$build" >/dev/null 2>"$root/log"
verdict installs $?
(cd "$root" && find . -mindepth 2 -type f -o -mindepth 2 -type l) | sort >"$root/installed"
export PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_PATH=$(dirname "$(find "$root" -name softsev.pc)")
export PKG_CONFIG_PATH
library=$(dirname "$PKG_CONFIG_PATH")
export LD_LIBRARY_PATH=$library
include=$(find "$root" -type d -path '*include/softsev')
softsev=$(find "$root" -type f -name softsev -path '*bin*')

# What the libraries and the headers show to a neighbour.
nothing() { # NAME: standard input is empty
    cat >"$root/out"
    [ ! -s "$root/out" ]
    verdict "$1" $?
}
nothing "the archive defines no symbol without the prefix" \
    < <(nm -g --defined-only "$library/libsoftsev.a" |
        awk 'NF == 3 && $3 !~ /^softsev_/ { print $3 }')
nothing "the shared library exports softsev_*, version SOFTSEV_0, and nothing else" \
    < <(nm -D --defined-only "$library/libsoftsev.so" |
        awk '$3 !~ /^softsev_.*@@SOFTSEV_0$/ && $2 != "A" { print $3 }')
missing() { # declared, not defined
    nm -g --defined-only "$library/libsoftsev.a" 2>/dev/null | awk '{ print $3 }' |
        sort -u >"$root/defined"
    grep -hE '^[a-z].*\b(softsev_\w+)\(' -r "$include" | grep -vE '^(static|typedef)' |
        grep -oE '\bsoftsev_\w+\(' | tr -d '(' |
        sort -u | comm -23 - "$root/defined"
}
nothing "every function of the headers is in the archive" < <(missing)
objdump -p "$library/libsoftsev.so" | grep -q 'SONAME *libsoftsev\.so\.0$'
verdict "the soname is libsoftsev.so.0" $?
(cd "$include/.." && find softsev -name '*.h' | sed 's/.*/#include <&>/') | sort >"$root/all.h"
$cc -std=c11 -I"$include/.." -E -dM -include "$root/all.h" - </dev/null | awk '{ print $2 }' |
    sort >"$root/macros"
grep -hE '^# *include <' -r "$include" | sort -u >"$root/system.h"
nothing "no header defines a macro without the prefix" \
    < <($cc -std=c11 -E -dM -include "$root/system.h" - </dev/null | awk '{ print $2 }' | sort |
        comm -13 - "$root/macros" |
        grep -v '^SOFTSEV_')

for cxx in g++ clang++; do
    for standard in c++11 c++20; do
        name="the headers compile in C++: $cxx -std=$standard"
        if ! command -v $cxx >/dev/null; then
            skip "$name" "no $cxx"
            continue
        fi
        # shellcheck disable=SC2046
        $cxx -std=$standard -Wall -Wextra -Wpedantic -Werror -include "$root/all.h" \
            "$here/caller.cc" $(pkg-config --cflags --libs softsev) -o "$root/caller" >"$root/log" 2>&1 &&
            "$root/caller" >"$root/out" 2>&1
        verdict "$name, and a program calls the library" $?
    done
done

for kind in archive shared; do
    flags=$(pkg-config --cflags --libs --static softsev)
    [ "$kind" = shared ] && flags=$(pkg-config --cflags --libs softsev) ||
        flags=${flags/-lsoftsev/-l:libsoftsev.a}
    build() { # SOURCE OUT OPTIONS...
        # shellcheck disable=SC2086
        $cc -std=c11 -Wall -Wextra -Wpedantic -Werror "${@:3}" "$1" ${EXAMPLE_CFLAGS:-} $flags \
            -o "$2" 2>"$root/log" || : >"$root/out"
    }
    run() { # EXPECTED-STATUS PROGRAM ARGUMENTS...
        "$root/$kind-$2" "${@:3}" >"$root/out" 2>&1
        [ $? -eq "$1" ]
    }
    for name in host_sees_ciphertext expected_measurement launch_and_report verify_report; do
        build "$examples/$name.c" "$root/$kind-$name"
    done
    build "$here/neighbour.c" "$root/$kind-neighbour" -include "$root/all.h"
    run 0 neighbour
    verdict "$kind: a program with its own meaning for the rooms' names" $?
    run 0 host_sees_ciphertext
    verdict "$kind: host_sees_ciphertext" $?
    run 2 expected_measurement
    verdict "$kind: expected_measurement: its usage line" $?
    run 0 launch_and_report "$root/report.bin" && [ "$(wc -c <"$root/report.bin")" -eq 1184 ]
    verdict "$kind: launch_and_report" $?
    [ -d "$root/fixtures" ] || "$softsev" fixtures --out "$root/fixtures" \
        --profile milan >"$root/out" 2>&1
    f=$root/fixtures/milan
    run 0 verify_report "$f/valid.bin" "$f/trust/ark.pem" "$f/certs/ask.pem" "$f/certs/vcek.pem"
    verdict "$kind: verify_report: a good one" $?
    run 4 verify_report "$f/bad-signature.bin" "$f/trust/ark.pem" "$f/certs/ask.pem" \
        "$f/certs/vcek.pem" &&
        grep -q '^refused by the check report-signature: ' "$root/out"
    verdict "$kind: verify_report: a bad one" $?
    run 4 verify_report "$root/report.bin" "$f/trust/ark.pem" "$f/certs/ask.pem" "$f/certs/vcek.pem"
    verdict "$kind: verify_report: another chip's" $?
done
# What is installed is enough for the main job.
present() { # PATTERN...: each is installed
    for pattern in "$@"; do
        grep -q "$pattern" "$root/installed" && continue
        echo "not installed: $pattern" >"$root/out"
        return 1
    done
}
present share/man/man1/softsev-run.1 bash-completion/completions/softsev doc/softsev/README.md \
    doc/softsev/docs/for-guest-owners.md doc/softsev/examples/verify_report.c libexec/softsev/
verdict "man pages, completion, documents, examples and helper programs are there" $?
mkdir -p "$root/modules/kernel"
cat >"$root/static.c" <<'END'
int main(void)
{
    return 0;
}
END
gcc -static -o "$root/static" "$root/static.c" 2>"$root/log"
"$softsev" guest pack --initrd "$root/initrd" --busybox "$root/static" --modules "$root/modules" \
    --add etc/note="$root/static.c" >"$root/out" 2>&1 &&
    gzip -dc "$root/initrd" >"$root/cpio" && grep -aq 'etc/note' "$root/cpio" &&
    grep -aq 'guest: Linux' "$root/cpio"
verdict "an installed softsev guest pack finds its helper programs" $?
version=$(pkg-config --modversion softsev)
for part in MAJOR MINOR PATCH; do
    printf '%s' "$(sed -n "s/.*VERSION_$part //p" "$include/version.h")."
done >"$root/out"
"$softsev" --version | grep -q "^softsev $version$" && [ "$(cat "$root/out")" = "$version." ]
verdict "program, pkg-config and header tell the same version" $?
grep -q "^## $version\b" "$here/../../CHANGELOG.md" &&
    head -n 1 "$here/../../packaging/debian/changelog" | grep -qF "($version)"
verdict "the lists of changes begin with it" $?

touch "$root/$(grep 'share/man/man1/softsev.1$' "$root/installed" | sed 's/softsev.1$/other.1/')"
DESTDIR="$root" "$install" uninstall "$build" >"$root/out" 2>&1
left=$(cd "$root" && xargs -a installed ls -d 2>/dev/null)
[ -z "$left" ] && [ -n "$(find "$root" -name other.1)" ] && [ -z "$(find "$root" -name libexec)" ]
verdict "uninstall removes what was installed, and nothing else" $?
finish
