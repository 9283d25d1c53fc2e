#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sevctl (Rust) against softsev's platform: through /dev/sev, and with files. TAP; 77: the tool
# cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
sevctl=$(tool sevctl) || skip_all "sevctl cannot be had (cargo)"
echo "# $("$sevctl" --version)"
export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null || { echo "not ok 1 - a platform"; exit 1; }
"$softsev" platform export --out "$work/self" >/dev/null ||
    { echo "not ok 1 - its certificates"; exit 1; }

# Certificates.
check "verify: the chain up to our root" "$sevctl" verify --sev "$work/self/chain" \
    --ca "$work/self/root"
refuses "verify: our chain is none of AMD's" "builtin certificate" "$sevctl" verify \
    --sev "$work/self/chain"
cp "$work/self/chain" "$work/broken"
printf '\xff' | dd of="$work/broken" bs=1 seek=1070 conv=notrunc status=none
refuses "verify: a broken signature of the PDH" "verification failed" "$sevctl" verify \
    --sev "$work/broken" --ca "$work/self/root"

# An owner's session: firmware accepts it, sevctl expects what firmware measures.
session() {
    mkdir -p "$work/session" && (cd "$work/session" &&
        "$sevctl" session --name it "$work/self/chain" "$1") &&
        cp "$work/session/it_godh.b64" "$work/session/godh.b64" &&
            cp "$work/session/it_session.b64" "$work/session/session.b64"
}
firmware=$out/oracles/OVMF.amdsev.fd
[ -f "$firmware" ] || { seq 1 100000 | head -c 262144 >"$work/firmware" &&
    firmware=$work/firmware; }
seq 1 30000 >"$work/kernel"
seq 1 20000 >"$work/initrd"
check "session: for our PDH" session 1
measured=$("$softsev" platform measure --session "$work/session" --policy 1 --launch "$firmware")
nonce=$(base64 -d <<<"$measured" | tail -c 16 | base64)
keys=(--tik "$work/session/it_tik.bin")
platform=(--api-major 1 --api-minor 55 --build-id 25)
equal "measurement build: a firmware image launched under that session" "$measured" \
    "$("$sevctl" measurement build \
    "${platform[@]}" "${keys[@]}" --policy 1 --nonce "$nonce" --firmware "$firmware")"
measured=$("$softsev" platform measure --policy 1 --launch "$firmware" --out "$work/report")
check "validate: the attestation report of that launch" "$sevctl" validate "$work/self/chain" \
    "$work/report"
cp "$work/report" "$work/changed"
printf '\xff' | dd of="$work/changed" bs=1 seek=20 conv=notrunc status=none
refuses "validate: a changed one" "." "$sevctl" validate "$work/self/chain" "$work/changed"
if [[ $firmware == *amdsev* ]]; then
    hashed=(--kernel "$work/kernel" --initrd "$work/initrd")
    "$softsev" owner explain --firmware "$firmware" --kernel-hashes "${hashed[@]}" \
        --append "console=ttyS0" \
        --dump "$work/launched" >/dev/null
    measured=$("$softsev" platform measure --session "$work/session" --policy 1 \
        --launch "$work/launched")
    nonce=$(base64 -d <<<"$measured" | tail -c 16 | base64)
    equal "measurement build: with kernel hashes" "$measured" \
        "$("$sevctl" measurement build "${platform[@]}" "${keys[@]}" \
        --policy 1 --nonce "$nonce" --firmware "$firmware" "${hashed[@]}" \
            --cmdline "console=ttyS0")"
    for cpu in 0 1; do
        "$sevctl" vmsa build "$work/vmsa$cpu" --userspace qemu --family 25 --model 1 --stepping 1 \
            --firmware "$firmware" \
            --cpu $cpu >/dev/null
    done
    pages() {
        "$softsev" owner explain --mode sev-es --firmware "$firmware" --vcpus 2 \
            --vcpu-type EPYC-Milan --vmm-type "$1" |
            sed -n 's/.* VMSA  contents \([0-9a-f]*\) .*/\1/p'
    }
    equal "vmsa build: QEMU's two processors" "$(pages qemu-old)" \
        "$(sha256sum "$work"/vmsa[01] | cut -d' ' -f1)"
    for cpu in 0 1; do "$sevctl" vmsa build "$work/krun$cpu" --userspace krun \
        --cpu $cpu >/dev/null; done
    equal "vmsa build: libkrun's two processors" "$(pages krun)" \
        "$(sha256sum "$work"/krun[01] | cut -d' ' -f1)"
    check "vmsa show: ours, as JSON" "$sevctl" vmsa show "$work/vmsa0"
    digest=$("$softsev" owner measure --mode sev-es --firmware "$firmware" --vcpus 3 \
        --vcpu-type EPYC-Milan --vmm-type qemu-old)
    cat "$work/session/it_tek.bin" "$work/session/it_tik.bin" >"$work/tk"
    measured=$("$softsev" owner measure --tk "$work/tk" --policy 5 --api 1.55 --build 25 \
        --nonce "$nonce" --digest "$digest")
    equal "measurement build: SEV-ES, three processors" "$measured" "$("$sevctl" measurement build \
        "${platform[@]}" "${keys[@]}" --policy 5 --nonce "$nonce" --firmware "$firmware" \
            --num-cpus 3 \
        --vmsa-cpu0 "$work/vmsa0" --vmsa-cpu1 "$work/vmsa1")"
fi

# A whole launch whose owner has nothing but sevctl: session, expected measurement, secret packet,
# over files.
wait_for() { for _ in $(seq 600); do [ -f "$1" ] && return 0 || sleep 0.1; done; return 1; }
send() { base64 -w0 "$1" >"$work/wire/sending" && mv "$work/wire/sending" "$work/wire/$2"; }
owner() {
    local wire=$work/wire keys=(--tik it_tik.bin) guid=736869e5-84f0-4973-92ec-06879ce3da0b
    cd "$work/owner" || return 1
    wait_for "$wire/chain" && "$sevctl" verify --sev "$wire/chain" --ca "$work/self/root" &&
        "$sevctl" session --name it "$wire/chain" 1 && base64 -d it_godh.b64 >godh &&
            base64 -d it_session.b64 >session &&
        send godh godh.b64 && send session session.b64 && wait_for "$wire/measurement.b64" ||
            return 1
    measured=$(cat "$wire/measurement.b64")
    expected=$("$sevctl" measurement build "${platform[@]}" "${keys[@]}" --policy 1 \
        --launch-measure-blob "$measured" \
        --firmware "$work/launched")
    [ "$measured" = "$expected" ] || { echo "measured $measured, expected $expected" && return 1; }
    printf 'open sesame' >secret
    "$sevctl" secret build "${keys[@]}" --tek it_tek.bin --launch-measure-blob "$measured" \
        --secret $guid:secret header payload &&
        send payload secret-payload.b64 && send header secret-header.b64
}
if [ -f "$out/vmlinuz" ]; then
    guest=(--kernel "$out/vmlinuz" --initrd "$out/initrd.cpio.gz" --append "console=ttyS0" \
        --memory 256M)
    mkdir "$work/wire" "$work/owner"
    "$softsev" owner explain "${guest[@]}" --owner-secret --dump "$work/launched" >/dev/null
    timeout 120 "$softsev" run "${guest[@]}" --mode sev --owner-dir "$work/wire" --owner-wait 60 \
        --limit 1 --trace command \
        >"$work/host" 2>&1 &
    check "a launch: chain, session, measurement, secret" owner
    wait $!
    says "a launch: firmware takes sevctl's secret" "LAUNCH_SECRET.*SUCCESS" cat "$work/host"
else
    skip "a launch" "no guest kernel in $out"
fi

# /dev/sev.
if "$softsev" with --help >/dev/null 2>&1; then
    with() { "$softsev" with -- "$sevctl" "$@"; }
    equal "show version" "1.55.25" "$(with show version)"
    equal "show guests" "0" "$(with show guests)"
    equal "show identifier" "$("$softsev" platform id | tr a-f A-F | grep -oE '[0-9A-F]{128}')" \
        "$(with show identifier)"
    check "rotate" with rotate
    "$softsev" platform export --out "$work/rotated" >/dev/null
    result "rotate: another PDH" \
        "$(cmp -s "$work/self/pdh.cert" "$work/rotated/pdh.cert"; echo $((1 - $?)))" ""
    check "rotate: its chain" "$sevctl" verify --sev "$work/rotated/chain" --ca "$work/rotated/root"
    check "generate: an owner" "$sevctl" generate "$work/oca.cert" "$work/oca.key"
    check "provision" with provision "$work/oca.cert" "$work/oca.key"
    equal "provision: the platform is owned" "owned es" "$(with show flags | xargs)"
    "$softsev" platform export --out "$work/owned" >/dev/null
    check "provision: its chain" "$sevctl" verify --sev "$work/owned/chain" --oca "$work/oca.cert" \
        --ca "$work/owned/root"
    check "reset" with reset
    equal "reset: the platform owns itself" "es" "$(with show flags)"
    # Not `ok`: it asks the processor and KVM below us.
    # Not `sevctl export`: it asks AMD's key server for the CEK, whatever it is told.
else
    skip "/dev/sev" "softsev has no doors"
fi
finish
