#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sevctl (crates.io) against softsev's platform: through /dev/sev, and with files. TAP; 77: the tool cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
sevctl=$(tool sevctl) || skip_all "sevctl cannot be had (crates.io)"
echo "# $("$sevctl" --version)"
export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null || { echo "not ok 1 - a platform"; exit 1; }
"$softsev" platform export --out "$work/self" >/dev/null || { echo "not ok 1 - its certificates"; exit 1; }

# Certificates.
check "verify: the chain up to our root" "$sevctl" verify --sev "$work/self/chain" --ca "$work/self/root"
refuses "verify: our chain is none of AMD's" "builtin certificate" "$sevctl" verify --sev "$work/self/chain"
cp "$work/self/chain" "$work/broken"
printf '\xff' | dd of="$work/broken" bs=1 seek=1070 conv=notrunc status=none
refuses "verify: a broken signature of the PDH" "verification failed" "$sevctl" verify --sev "$work/broken" --ca "$work/self/root"

# An owner's session: firmware accepts it, sevctl expects what firmware measures.
session() {
    mkdir -p "$work/session" && (cd "$work/session" && "$sevctl" session --name it "$work/self/chain" "$1") &&
        cp "$work/session/it_godh.b64" "$work/session/godh.b64" && cp "$work/session/it_session.b64" "$work/session/session.b64"
}
firmware=$out/oracles/OVMF.amdsev.fd
[ -f "$firmware" ] || { seq 1 100000 | head -c 262144 >"$work/firmware" && firmware=$work/firmware; }
seq 1 30000 >"$work/kernel"
seq 1 20000 >"$work/initrd"
check "session: for our PDH" session 1
measured=$("$softsev" platform measure --session "$work/session" --policy 1 --launch "$firmware")
nonce=$(base64 -d <<<"$measured" | tail -c 16 | base64)
keys=(--tik "$work/session/it_tik.bin")
platform=(--api-major 1 --api-minor 55 --build-id 25)
equal "measurement build: a firmware image launched under that session" "$measured" "$("$sevctl" measurement build \
    "${platform[@]}" "${keys[@]}" --policy 1 --nonce "$nonce" --firmware "$firmware")"
if [[ $firmware == *amdsev* ]]; then
    hashed=(--kernel "$work/kernel" --initrd "$work/initrd")
    "$softsev" owner explain --firmware "$firmware" --kernel-hashes "${hashed[@]}" --append "console=ttyS0" \
        --dump "$work/launched" >/dev/null
    measured=$("$softsev" platform measure --session "$work/session" --policy 1 --launch "$work/launched")
    nonce=$(base64 -d <<<"$measured" | tail -c 16 | base64)
    equal "measurement build: with kernel hashes" "$measured" "$("$sevctl" measurement build "${platform[@]}" "${keys[@]}" \
        --policy 1 --nonce "$nonce" --firmware "$firmware" "${hashed[@]}" --cmdline "console=ttyS0")"
    for cpu in 0 1; do
        "$sevctl" vmsa build "$work/vmsa$cpu" --userspace qemu --family 25 --model 1 --stepping 1 --firmware "$firmware" \
            --cpu $cpu >/dev/null
    done
    pages() {
        "$softsev" owner explain --mode sev-es --firmware "$firmware" --vcpus 2 --vcpu-type EPYC-Milan --vmm-type "$1" |
            sed -n 's/.* VMSA  contents \([0-9a-f]*\) .*/\1/p'
    }
    equal "vmsa build: QEMU's two processors" "$(pages qemu-old)" "$(sha256sum "$work"/vmsa[01] | cut -d' ' -f1)"
    for cpu in 0 1; do "$sevctl" vmsa build "$work/krun$cpu" --userspace krun --cpu $cpu >/dev/null; done
    equal "vmsa build: libkrun's two processors" "$(pages krun)" "$(sha256sum "$work"/krun[01] | cut -d' ' -f1)"
    check "vmsa show: ours, as JSON" "$sevctl" vmsa show "$work/vmsa0"
    digest=$("$softsev" owner measure --mode sev-es --firmware "$firmware" --vcpus 3 --vcpu-type EPYC-Milan --vmm-type qemu-old)
    cat "$work/session/it_tek.bin" "$work/session/it_tik.bin" >"$work/tk"
    measured=$("$softsev" owner measure --tk "$work/tk" --policy 5 --api 1.55 --build 25 --nonce "$nonce" --digest "$digest")
    equal "measurement build: SEV-ES, three processors" "$measured" "$("$sevctl" measurement build \
        "${platform[@]}" "${keys[@]}" --policy 5 --nonce "$nonce" --firmware "$firmware" --num-cpus 3 \
        --vmsa-cpu0 "$work/vmsa0" --vmsa-cpu1 "$work/vmsa1")"
fi
finish
