#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# go-sev-guest (Go module proxy), by a small program around it: reports and derived keys of
# /dev/sev-guest, certificates, policies, the key server. The program judges a genuine report
# first: it must be able to say yes. TAP; 77: no such module.
set -u
. "$(dirname "$0")/tap.bash"
go=$(tool go_verifier) || skip_all "go-sev-guest cannot be had (Go module proxy)"
echo "# go-sev-guest $(sed -n 's/.*go-sev-guest v//p' "$here/go/go.mod")"

vectors=${SOFTSEV_VECTORS:-}/sev
if [ -f "$vectors/certs_data/vcek_milan.der" ]; then
    mkdir "$work/genuine"
    cp "$vectors/sev/snp/milan/ark.pem" "$vectors/sev/snp/milan/ask.pem" "$work/genuine/" \
        2>/dev/null ||
        cp "$vectors/snp/milan/ark.pem" "$vectors/snp/milan/ask.pem" "$work/genuine/"
    cp "$vectors/certs_data/vcek_milan.der" "$work/genuine/vcek.der"
    tr -d ' \n' <"$vectors/certs_data/report_milan.hex" | sed 's/../\\x&/g' |
        xargs -0 printf '%b' >"$work/genuine/report"
    verdicts "$go" genuine "$work/genuine" Milan "$work/genuine/report"
else
    skip "a genuine report" "no vectors"
fi

export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null 2>&1
if ! "$softsev" platform certs --out "$work/certs" >"$work/log" 2>&1; then
    skip "softsev's own" "$(tail -n 1 "$work/log")"
    finish
fi
if "$softsev" with --help 2>/dev/null | grep -q -- --guest; then
    echo '{"policy": "0x30000"}' >"$work/guest.json"
    # Once with the library's own pace of commands switched off: ours take no two seconds.
    verdicts "$softsev" with --guest "$work/guest.json" -- "$go" \
        -self_throttle_duration=0s guest "$work/certs" Milan "$work/report"
else
    skip "/dev/sev-guest" "softsev has no door to a guest"
fi
if [ -f "$work/report" ]; then
    verdicts "$go" files "$work/certs" Milan "$work/report"
    if "$softsev" kds --help >/dev/null 2>&1; then
        key_server
        verdicts "$go" kds "$url" Milan "$work/report"
        kill "$server"
    else
        skip "key server" "softsev has none"
    fi
fi
finish
