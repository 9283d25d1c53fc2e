#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOFTSEV PROGRAM NATIVE: boots an instruction test as a plain guest and gives its TAP,
# which the guest writes to its serial port.
output=$(timeout 120 "$1" run --kernel "$2" --mode none --memory 64 </dev/null 2>&1)
status=$?
lines=$(printf '%s\n' "$output" | tr -d '\r' | grep -aE '^(ok|not ok|1\.\.)')
if [ -z "$lines" ]; then
    printf 'Bail out! %s\n' "$(printf '%s' "$output" | tail -n 3 | tr '\n' ' ')"
    exit 1
fi
printf '%s\n' "$lines"
[ "$lines" = "$("$3")" ] || {
    echo "Bail out! the program says something else as a process of the host"
    exit 1
}
[ "$status" -eq 1 ] # debug exit with 0: (0 << 1) | 1
