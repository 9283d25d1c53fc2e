#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The profile that a tool which reads CPUID expects of each known processor. TAP.
set -u
. "$(dirname "$0")/processor.bash"
rows=(
    "Milan 0x19 0x00 milan" "Milan 0x19 0x01 milan" "Milan 0x19 0x0f milan" \
        "Milan, decimal 25 1 milan"
    "Genoa 0x19 0x10 genoa" "Genoa 0x19 0x11 genoa" "Genoa 0x19 0x1f genoa"
    "Bergamo, Siena 0x19 0xa0 genoa" "Bergamo, Siena 0x19 0xaf genoa"
    "Turin 0x1a 0x00 turin" "Turin 0x1a 0x02 turin" "Turin, decimal 26 2 turin" \
        "Turin, dense 0x1a 0x11 turin"
    "Turin, dense 0x1a 0x1f turin"
    "Vermeer 0x19 0x21 -" "Raphael 0x19 0x61 -" "Granite Ridge 0x1a 0x44 -" "Venice 0x1a 0x50 -" \
        "Rome 0x17 0x31 -"
    "Naples 0x17 0x01 -" "Rocket Lake 6 167 -"
)
echo "1..${#rows[@]}"
number=0 failed=0
for row in "${rows[@]}"; do
    number=$((number + 1))
    [[ $row =~ ^(.*)\ ([^ ]+)\ ([^ ]+)\ ([^ ]+)$ ]]
    said=$(profile_of "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}") || said=-
    if [ "$said" = "${BASH_REMATCH[4]}" ]; then
        echo "ok $number - $row"
    else
        echo "not ok $number - $row: $said"
        failed=1
    fi
done
exit "$failed"
