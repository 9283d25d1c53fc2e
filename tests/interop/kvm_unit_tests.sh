#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The x86 programs of kvm-unit-tests as guests. No package registry carries them: KVM_UNIT_TESTS is
# a folder with their source, built for x86_64, and KVM_UNIT_TESTS_I386 one built for i386. What
# each should end with is in the table beside.
set -u
cd "$(dirname "$0")/../.."
. tests/interop/tap.bash
[ -n "${KVM_UNIT_TESTS:-}${KVM_UNIT_TESTS_I386:-}" ] || exit 77

program() { # FOLDER FILE CPUS STATUS ARGUMENTS...: QEMU puts the file's name before the arguments
    local folder=$1 file=$2 cpus=$3 status=$4 text
    shift 4
    text=$(timeout 300 "$softsev" run --kernel "$folder/x86/$file.flat" --cpus "$cpus" \
        --memory 512M --device pc-testdev \
        --append "$file $*" --clock virtual --no-reboot --quiet 2>&1 </dev/null)
    local ended=$?
    [ $ended -eq "$status" ] || {
        echo "exit code $ended, should be $status"
        tail -n 12 <<<"$text"
        return 1
    }
}

while read -r arch file cpus status arguments; do
    case $arch in
    x86_64) folder=${KVM_UNIT_TESTS:-} ;;
    i386) folder=${KVM_UNIT_TESTS_I386:-} ;;
    *) continue ;;
    esac
    [ -n "$folder" ] || continue
    # shellcheck disable=SC2086 # the arguments are words
    check "$arch $file $arguments" program "$folder" "$file" "$cpus" "$status" $arguments
done <tests/interop/kvm_unit_tests.txt
echo "1..$number"
exit $failed
