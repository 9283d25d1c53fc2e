#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# snphost (Rust) on softsev's platform: through /dev/sev, and its certificate files. It reads CPUID
# to learn how a TCB is laid out. Where CPUID can be made to fault, each known part is tried on a
# platform of its profile; elsewhere the platform has the profile of the processor below, or these
# lines are skipped. TAP; 77: the tool cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
. "$(dirname "$0")/processor.bash"
snphost=$(tool snphost) || skip_all "snphost cannot be had (cargo)"
echo "# $("$snphost" --version)"
export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null 2>&1 || { echo "not ok 1 - a platform"; exit 1; }

if "$softsev" platform certs --out "$work/certs" >"$work/log" 2>&1; then
    says "verify certs: ARK, ASK, VCEK" "⬑.*vcek" "$snphost" verify certs "$work/certs"
    mkdir "$work/broken" && cp "$work"/certs/a* "$work/certs/"vcek* "$work/broken/"
    SOFTSEV_STATE=$work/other "$softsev" platform init --seed another >/dev/null 2>&1
    SOFTSEV_STATE=$work/other "$softsev" platform certs --out "$work/foreign" >/dev/null 2>&1
    cp "$work/foreign"/vcek* "$work/broken/"
    says "verify certs: a VCEK of other roots" "⬑̸.*vcek" "$snphost" verify certs "$work/broken"
    "$softsev" platform certs --vlek interop --out "$work/vlek" >/dev/null 2>&1
    says "verify certs: ARK, ASVK, VLEK" "⬑.*vlek" "$snphost" verify certs "$work/vlek"
    check "import: certificates into the kernel's form" "$snphost" import "$work/certs" \
        "$work/table"
    check "export: and back" "$snphost" export pem "$work/table" "$work/again"
    for name in ark ask vcek; do
        equal "export: the same $name" \
            "$(openssl x509 -in "$work/certs/$name.pem" -outform der | sha256sum)" \
            "$(openssl x509 -in "$work/again/$name.pem" -outform der | sha256sum)"
    done
else
    skip "certificates" "$(tail -n 1 "$work/log")"
fi

configure() { # the lower TCB's numbers, as `config set` takes them
    "$snphost" config set "$@" && "$snphost" show tcb && "$snphost" config reset &&
        "$snphost" show tcb
}
signed() { # a VLEK hashstick, the product
    "$snphost" vlek-load "$1" && "$snpguest" report "$work/report" "$work/request" --random &&
        "$snpguest" verify attestation --processor-model "$2" "$work/vlek" "$work/report"
}
export -f configure signed
export snphost work

# PROFILE PREFIX...: what snphost says and does on a platform; the prefix runs a command on its
# processor.
platform() {
    local profile=$1 product=${1^} before log id url_of_key tcb lower=(1 0 2 3 1) higher=(255 255 \
        255 255 0) stick=$work/stick
    shift
    local on=("$@")
    [ "$profile" != turin ] || { lower=(1 0 1 3 1 0) && higher+=(255); }
    export SOFTSEV_STATE=$work/state-$profile
    "$softsev" platform init --seed interop --profile "$profile" >/dev/null 2>&1
    with() { "${on[@]}" "$softsev" with -- "$snphost" "$@"; }

    equal "$part: show version" "1.55" "$(with show version)"
    equal "$part: show guests" "0" "$(with show guests)"
    id=$("$softsev" platform id | tr a-f A-F | grep -oE '[0-9A-F]{16,128}')
    equal "$part: show identifier" "$id" "$(with show identifier)"
    says "$part: show tcb" "Reported TCB" with show tcb
    says "$part: show vcek-url: our chip and TCB" \
        "vcek/v1/$product/$id\?(fmcSPL=[0-9]+&)?blSPL=[0-9]+&" with show vcek-url
    before=$(with show tcb)
    log=$("${on[@]}" "$softsev" with -- bash -c 'configure "$@"' bash "${lower[@]}" 2>&1)
    grep -A6 Reported <<<"$log" | head -n 7 | tr -d '\n' |
        grep -qE "Microcode: +${lower[3]} +SNP: +${lower[2]} +TEE: +${lower[1]} +Boot Loader: +${lower[0]}"
    result "$part: config set: a lower TCB is reported" $? "$log"
    equal "$part: config reset: as before" "$before" "$(tail -n "$(wc -l <<<"$before")" <<<"$log")"
    refuses "$part: config set: no higher TCB than the platform's" "." with config set \
        "${higher[@]}"
    check "$part: commit" with commit
    equal "$part: commit: the same TCB" "$before" "$(with show tcb)"
    # Not `ok`: it asks the processor and KVM below us.

    # A provider's key: its hashstick comes from the key server, wrapped for this chip, and signs
    # reports once it is loaded.
    url_of_key=$(with show vcek-url) tcb=${url_of_key#*\?}
    key_server --csp interop
    /usr/bin/python3 - "$url/vlek/v1/$product/hash_sticks?$tcb" "$id" >"$stick" <<'END'
import json, sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], json.dumps({"hwids": [sys.argv[2]]}).encode(), timeout=20)
sys.stdout.buffer.write(bytes.fromhex(json.load(answer)["results"][0][sys.argv[2]]))
END
    kill "$server"
    check "$part: verify vlek-hashstick" with verify vlek-hashstick "$stick"
    check "$part: vlek-load" with vlek-load "$stick"
    if snpguest=$(tool snpguest); then
        export snpguest
        rm -rf "$work/vlek"
        "$softsev" platform certs --vlek interop --out "$work/vlek" >/dev/null 2>&1
        echo '{}' >"$work/guest.json"
        says "$part: vlek-load: reports are signed by it from then on" \
            "VEK signed the Attestation Report" \
            "${on[@]}" "$softsev" with --guest "$work/guest.json" -- bash \
                -c 'signed "$@"' bash "$stick" "$profile"
    fi
    /usr/bin/python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(100); b = f.read(1)[0]; f.seek(100); f.write(bytes([b ^ 1]))' \
        "$stick"
    refuses "$part: vlek-load: a changed one" "." with vlek-load "$stick"
}

warned() { # PROFILE WORDS PREFIX...: whether `softsev with` says that CPUID tells of another part
    local said
    said=$(SOFTSEV_STATE=$work/warned-$1 "${@:3}" "$softsev" with --seed interop --profile "$1" \
        -- true 2>&1 >/dev/null)
    if [ -n "$2" ]; then
        grep -qF "$2" <<<"$said"
    else
        ! grep -qF CPUID <<<"$said"
    fi
    result "$part: softsev with --profile $1 $([ -n "$2" ] && echo "warns: $2" || echo "does not warn")" $? "$said"
}

if as_processor 0x19 0x01 true; then
    while read -r family model; do
        part="family $family, model $model"
        profile=$(profile_of "$family" "$model")
        platform "$profile" as_processor "$family" "$model"
        warned "$profile" "" as_processor "$family" "$model"
        warned rome "a tool that reads it expects --profile $profile" as_processor "$family" \
            "$model"
    done <<'END'
0x19 0x01
0x19 0x11
0x19 0xa0
0x1a 0x02
END
    part="family 0x17, model 0x31"
    warned milan "" as_processor 0x17 0x31 \
        # Rome: no SNP part, so no tool takes the platform for one
elif below=$(processor_below) && profile=$(profile_of $below); then
    part="the processor below (${below/ /, })"
    platform "$profile" env
else
    skip "/dev/sev" "the processor below is no SNP part that snphost knows, and its CPUID cannot be made to fault"
fi
finish
