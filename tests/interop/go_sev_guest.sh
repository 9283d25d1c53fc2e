#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# go-sev-guest (Go module proxy), by a small program around it: reports and derived keys of /dev/sev-guest, certificates,
# policies, the key server. The program judges a genuine report first: it must be able to say yes. TAP; 77: no such module.
set -u
. "$(dirname "$0")/tap.bash"
go=$(tool go_verifier) || skip_all "go-sev-guest cannot be had (Go module proxy)"
echo "# go-sev-guest $(sed -n 's/.*go-sev-guest v//p' "$here/go/go.mod")"

verdicts() { # its TAP lines among ours
    local line
    while IFS= read -r line; do
        case $line in
        "ok - "*) number=$((number + 1)) && echo "ok $number - ${line#ok - }" ;;
        "not ok - "*) number=$((number + 1)) failed=1 && echo "not ok $number - ${line#not ok - }" ;;
        *) echo "#$line" ;;
        esac
    done < <(timeout 120 "$@" 2>&1 || echo " exit code $?")
}

vectors=${SOFTSEV_VECTORS:-}/sev
if [ -f "$vectors/certs_data/vcek_milan.der" ]; then
    mkdir "$work/genuine"
    cp "$vectors/sev/snp/milan/ark.pem" "$vectors/sev/snp/milan/ask.pem" "$work/genuine/" 2>/dev/null ||
        cp "$vectors/snp/milan/ark.pem" "$vectors/snp/milan/ask.pem" "$work/genuine/"
    cp "$vectors/certs_data/vcek_milan.der" "$work/genuine/vcek.der"
    tr -d ' \n' <"$vectors/certs_data/report_milan.hex" | sed 's/../\\x&/g' | xargs -0 printf '%b' >"$work/genuine/report"
    verdicts "$go" genuine "$work/genuine" Milan "$work/genuine/report"
else
    skip "a genuine report" "no vectors"
fi
finish
