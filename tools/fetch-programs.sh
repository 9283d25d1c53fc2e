#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-programs.sh OUT: downloads Debian's source packages of QEMU and of the 6.12 kernel, and
# builds the programs with which these two test a processor from user space, static, for 32 and 64
# bits, into OUT/programs/qemu and OUT/programs/kernel. The sources are removed again. Done before:
# nothing happens. What cannot be had or built is left out with a word; tests/slow/programs.py then
# skips it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"
mkdir -p "$1/programs"
out=$(cd "$1/programs" && pwd)
log=$out/build.log
[ -d "$out/qemu" ] && [ -d "$out/kernel" ] && exit 0
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
: >"$log"
without() { echo "fetch-programs: $1 cannot be had today: $2" >&2; }

# A compiler that has the 32-bit C library beside it, which is not installed here.
c32=$work/libc/usr
version=$(gcc -dumpversion | cut -d. -f1)
gcc32=$work/gcc/usr/lib/gcc/x86_64-linux-gnu/$version/32
debian_unpack libc6-dev-i386 "$work/libc" && debian_unpack "lib32gcc-$version-dev" "$work/gcc" ||
    without "the 32-bit C library" "its package cannot be downloaded"
cat >"$work/cc" <<END
#!/bin/sh
more=
for word in "\$@"; do
    [ "\$word" != -m32 ] || more="-isystem $c32/include/x86_64-linux-gnu -isystem $c32/include
        -isystem /usr/include/x86_64-linux-gnu -B$c32/lib32 -L$c32/lib32 -B$gcc32 -L$gcc32"
done
exec gcc "\$@" \$more -static -w
END
chmod 755 "$work/cc"

built() { # NAME WORD...: one program by the compiler
    name=$1
    shift
    "$work/cc" -O2 "$@" -o "$to/$name" -lm -lpthread -lrt >>"$log" 2>&1 ||
        echo "fetch-programs: $name cannot be built; see $log" >&2
}

qemu() {
    debian_source qemu "$work/source" || {
        without "QEMU's programs" "the source package cannot be downloaded"
        return 0
    }
    tar -C "$work/source" -xf "$work"/source/qemu_*.orig.tar.xz --wildcards '*/tests/tcg/*'
    tcg=$(ls -d "$work"/source/qemu-*/tests/tcg)
    i386=$tcg/i386 many=$tcg/multiarch
    to=$work/qemu
    mkdir "$to"
    python3 "$i386/test-avx.py" "$i386/x86.csv" "$to/test-avx.h"
    python3 "$i386/test-mmx.py" "$i386/x86.csv" "$to/test-mmx.h" MMX SSE SSE2 SSE3 SSSE3
    built test-avx -mavx -masm=intel -O -I"$to" "$i386/test-avx.c"
    built test-mmx -masm=intel -O -I"$to" "$i386/test-mmx.c"
    rm "$to"/*.h
    for source in "$i386"/test-i386-*.c; do
        name=$(basename "$source" .c)
        case $name in
        *-ssse3) continue ;; # 64 bits only
        *-sse-exceptions) more="-msse4.1 -mfpmath=sse" ;;
        *-pcmpistri) more=-msse4.2 ;;
        *) more= ;;
        esac
        # shellcheck disable=SC2086
        built "$name-32" -m32 -fno-pie -no-pie $more -I"$many" "$source"
    done
    built test-i386-bmi2-64 "$i386/test-i386-bmi2.c"
    built test-i386-ssse3-64 -mssse3 "$i386/test-i386-ssse3.c"
    built test-i386-64 -I"$i386" "$i386/test-i386.c"
    built test-i386-32 -m32 -fno-pie -no-pie -I"$i386" "$i386/test-i386.c" \
        "$i386/test-i386-code16.S" "$i386/test-i386-vm86.S"
    for bits in 32 64; do
        for name in sha1 sha512; do built $name-$bits -m$bits "$many/$name.c"; done
        for name in float_convd float_convs float_madds; do
            built $name-$bits -m$bits -I"$many/libs" "$many/$name.c" "$many/libs/float_helpers.c"
        done
    done
    built sha512-sse -msse4.1 -O3 "$many/sha512.c"
    for source in "$tcg"/x86_64/*.c "$many"/linux/*.c "$many"/testthread.c "$many"/threadcount.c \
        "$many"/munmap-pthread.c "$many"/sigbus.c "$many"/signals.c "$many"/test-mmap.c; do
        built "$(basename "$source" .c)" -I"$many" "$source"
    done
    finish qemu
}

kernel() {
    debian_unpack linux-source-6.12 "$work/package" || {
        without "the kernel's programs" "the package cannot be downloaded"
        return 0
    }
    tar -C "$work" -xf "$work"/package/usr/src/linux-source-*.tar.xz --wildcards \
        '*/Makefile' '*/Kbuild*' '*/arch/x86/*' '*/include/*' '*/scripts/*' '*/usr/*' \
        '*/tools/testing/selftests/*'
    rm -rf "$work/package"
    source=$(ls -d "$work"/linux-source-*)
    to=$work/kernel
    mkdir "$to"
    make -C "$source" -j2 ARCH=x86 headers >>"$log" 2>&1 &&
        make -k -C "$source/tools/testing/selftests/x86" -j2 CC="$work/cc" OUTPUT="$to" \
            CAN_BUILD_I386=1 CAN_BUILD_X86_64=1 CAN_BUILD_WITH_NOPIE=1 all >>"$log" 2>&1 ||
        echo "fetch-programs: some of the kernel's programs cannot be built; see $log" >&2
    find "$to" ! -type d ! -perm -u+x -delete
    finish kernel
}

finish() { # NAME: appears as a whole
    [ -n "$(ls "$to")" ] || return 0
    strip "$to"/*
    mv "$to" "$out/$1"
}

[ -d "$out/qemu" ] || qemu
[ -d "$out/kernel" ] || kernel
