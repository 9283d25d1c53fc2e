#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# snphost (Rust) on softsev's platform: through /dev/sev, and its certificate files. It asks the processor below us
# for its generation before it shows anything of SNP; where that is none that it knows, those lines are skipped.
# TAP; 77: the tool cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
snphost=$(tool snphost) || skip_all "snphost cannot be had (cargo)"
echo "# $("$snphost" --version)"
export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null 2>&1 || { echo "not ok 1 - a platform"; exit 1; }
with() { "$softsev" with -- "$snphost" "$@"; }

if "$softsev" platform certs --out "$work/certs" >"$work/log" 2>&1; then
    says "verify certs: ARK, ASK, VCEK" "⬑.*vcek" "$snphost" verify certs "$work/certs"
    mkdir "$work/broken" && cp "$work"/certs/a* "$work/certs/"vcek* "$work/broken/"
    SOFTSEV_STATE=$work/other "$softsev" platform init --seed another >/dev/null 2>&1
    SOFTSEV_STATE=$work/other "$softsev" platform certs --out "$work/foreign" >/dev/null 2>&1
    cp "$work/foreign"/vcek* "$work/broken/"
    says "verify certs: a VCEK of other roots" "⬑̸.*vcek" "$snphost" verify certs "$work/broken"
    "$softsev" platform certs --vlek interop --out "$work/vlek" >/dev/null 2>&1
    says "verify certs: ARK, ASVK, VLEK" "⬑.*vlek" "$snphost" verify certs "$work/vlek"
    check "import: certificates into the kernel's form" "$snphost" import "$work/certs" "$work/table"
    check "export: and back" "$snphost" export pem "$work/table" "$work/again"
    for name in ark ask vcek; do
        equal "export: the same $name" "$(openssl x509 -in "$work/certs/$name.pem" -outform der | sha256sum)" \
            "$(openssl x509 -in "$work/again/$name.pem" -outform der | sha256sum)"
    done
else
    skip "certificates" "$(tail -n 1 "$work/log")"
fi

if ! "$softsev" with --help >/dev/null 2>&1; then
    skip "/dev/sev" "softsev has no doors"
elif with show version 2>&1 | grep -qiE "not of (know|a known)"; then
    skip "/dev/sev" "snphost knows no SNP processor like the one below us"
else
    equal "show version" "1.55" "$(with show version)"
    equal "show guests" "0" "$(with show guests)"
    equal "show identifier" "$("$softsev" platform id | tr a-f A-F | grep -oE '[0-9A-F]{128}')" "$(with show identifier)"
    says "show tcb" "Reported TCB" with show tcb
    says "show vcek-url: our chip and TCB" "vcek/v1/[A-Z][a-z]*/$(with show identifier)\?blSPL=[0-9]+&" with show vcek-url
    before=$(with show tcb)
    configure() { "$snphost" config set 1 0 2 3 1 && "$snphost" show tcb && "$snphost" config reset && "$snphost" show tcb; }
    export -f configure
    export snphost
    log=$("$softsev" with -- bash -c configure 2>&1)
    grep -A4 Reported <<<"$log" | head -n 5 | tr -d '\n' | grep -qE 'Microcode: +3 +SNP: +2 +TEE: +0 +Boot Loader: +1$'
    result "config set: a lower TCB is reported" $? "$log"
    equal "config reset: as before" "$before" "$(tail -n 12 <<<"$log")"
    refuses "config set: no higher TCB than the platform's" "." with config set 255 255 255 255 0
    check "commit" with commit
    equal "commit: the same TCB" "$before" "$(with show tcb)"
    # Not `ok`: it asks the processor and KVM below us.

    # A provider's key: its hashstick comes from the key server, wrapped for this chip, and signs reports once it is loaded.
    if "$softsev" kds --help >/dev/null 2>&1; then
        id=$(with show identifier) tcb=$(with show vcek-url | sed 's/.*?//')
        key_server --csp interop
        /usr/bin/python3 - "$url/vlek/v1/Milan/hash_sticks?$tcb" "$id" >"$work/stick" <<'END'
import json, sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], json.dumps({"hwids": [sys.argv[2]]}).encode(), timeout=20)
sys.stdout.buffer.write(bytes.fromhex(json.load(answer)["results"][0][sys.argv[2]]))
END
        kill "$server"
        check "verify vlek-hashstick" with verify vlek-hashstick "$work/stick"
        check "vlek-load" with vlek-load "$work/stick"
        if "$softsev" with --help | grep -q -- --guest && snpguest=$(tool snpguest); then
            signed() {
                "$snphost" vlek-load "$work/stick" && "$snpguest" report "$work/report" "$work/request" --random &&
                    "$snpguest" verify attestation --processor-model milan "$work/vlek" "$work/report"
            }
            export -f signed
            export snpguest work
            echo '{}' >"$work/guest.json"
            says "vlek-load: reports are signed by it from then on" "VEK signed the Attestation Report" \
                "$softsev" with --guest "$work/guest.json" -- bash -c signed
        fi
        printf '\x01' | dd of="$work/stick" bs=1 seek=100 conv=notrunc status=none
        refuses "vlek-load: a changed one" "." with vlek-load "$work/stick"
    fi
fi
finish
