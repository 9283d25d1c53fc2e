#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The sev crate (Rust), by a small program around it: digests in every mode, the platform's chain,
# an owner's session. TAP; 77: it cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
crate=$(tool sev_crate) || skip_all "the sev crate cannot be had (cargo)"
echo "# sev crate $(sed -n 's/^sev = .*"=\([0-9.]*\)".*/\1/p' "$out/oracles/sev_crate/Cargo.toml")"
seq 1 30000 | head -c 160000 >"$work/kernel" # launched, too: a multiple of 16
seq 1 20000 | head -c 80000 >"$work/initrd"

same() { # NAME MODE IMAGE VCPUS TYPE VMM FEATURES HASHES(0/1)
    local theirs=(digest "$2" "$3" "$4" "$5" "$6" "$7")
    local ours=(owner measure --mode "$2" --firmware "$3") vmm=$6
    [ "$vmm" = qemu ] || vmm+=-old # its registers for the others (docs/fidelity.md)
    [ "$2" = sev ] || ours+=(--vcpus "$4" --vcpu-type "$5" --vmm-type "$vmm")
    [ "$2" != snp ] || ours+=(--guest-features "$7")
    if [ "$8" = 1 ]; then
        theirs+=("$work/kernel" "$work/initrd" "console=ttyS0 quiet")
        ours+=(--kernel-hashes --kernel "$work/kernel" --initrd "$work/initrd" \
            --append "console=ttyS0 quiet")
    fi
    equal "$1" "$("$softsev" "${ours[@]}" 2>&1)" "$("$crate" "${theirs[@]}" 2>&1)"
}

types="EPYC EPYC-v1 EPYC-v2 EPYC-IBPB EPYC-v3 EPYC-v4 EPYC-Rome EPYC-Rome-v1 EPYC-Rome-v2
    EPYC-Rome-v3 EPYC-Milan EPYC-Milan-v1 EPYC-Milan-v2 EPYC-Genoa EPYC-Genoa-v1 EPYC-Turin
    EPYC-Turin-v1 EPYC-Turin-v2"
for image in "$out/oracles/OVMF.fd" "$out/oracles/OVMF.amdsev.fd"; do
    short=$(basename "$image")
    [ -f "$image" ] || { skip "digests of $short" "no such image in $out/oracles"; continue; }
    for hashes in 0 1; do
        [ "$hashes" = 0 ] || [[ $short == *amdsev* ]] || continue
        with=$([ "$hashes" = 0 ] || echo ", kernel hashes")
        same "$short, sev$with" sev "$image" 1 EPYC qemu 1 $hashes
        for vmm in qemu ec2 krun; do
            same "$short, sev-es, $vmm$with" sev-es "$image" 1 EPYC-Milan $vmm 0 $hashes
            same "$short, sev-es, $vmm, 4 processors$with" sev-es "$image" 4 EPYC-Genoa $vmm 0 \
                $hashes
            same "$short, snp, $vmm$with" snp "$image" 1 EPYC-Milan $vmm 1 $hashes
            same "$short, snp, $vmm, 4 processors$with" snp "$image" 4 EPYC-Turin $vmm 0x21 $hashes
        done
    done
    for type in $types; do
        same "$short, snp, $type" snp "$image" 2 "$type" qemu 1 0
    done
    equal "$short, digest of the image's own pages" \
        "$("$softsev" owner measure --mode snp --firmware "$image" --ovmf-only)" \
            "$("$crate" ovmf-hash "$image")"
done

# The platform's legacy chain and an owner's session.
export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null
"$softsev" platform export --out "$work/self" >/dev/null
check "chain: PDH to ARK" "$crate" legacy-chain "$work/self/chain" "$work/self/root"
cp "$work/self/root" "$work/root"
printf '\xff' | dd of="$work/root" bs=1 seek=200 conv=notrunc status=none
refuses "chain: a broken ASK" "." "$crate" legacy-chain "$work/self/chain" "$work/root"
mkdir "$work/session"
digest=$(sha256sum <"$work/kernel" | cut -d' ' -f1)
launch=("$softsev" platform measure --session "$work/session" --policy 1 --launch)
check "session: firmware takes it, and measures what the crate expects" "$crate" session \
    "$work/self/chain" "$work/self/root" \
    1 "$work/session" 1.55 25 "$digest" "${launch[@]}" "$work/kernel"
refuses "session: it refuses the measurement of something else" "nvalid" "$crate" session \
    "$work/self/chain" "$work/self/root" \
    1 "$work/session" 1.55 25 "$digest" "${launch[@]}" "$work/initrd"
# Not LegacyAttestationReport: this version reads the report's signature as DER; sevctl's, an
# earlier one, does as hardware.

# Inside a guest: an extended report whose chain comes with it, derived keys of both message
# versions.
if "$softsev" with --help 2>/dev/null | grep -q -- --guest; then
    flash=$out/oracles/OVMF.amdsev.fd
    [ -f "$flash" ] && echo "{\"firmware\": \"$flash\"}" >"$work/guest.json" ||
        echo '{}' >"$work/guest.json"
    measured=$("$softsev" with --guest "$work/guest.json" \
        -- "$crate" guest 1 "what it asked for" "$work/snp-report" 2>&1)
    [[ $measured =~ ^[0-9a-f]{96}$ ]]
    result "guest: report, certificates, keys" $? "$measured"
    [ ! -f "$flash" ] || equal "guest: measurement" "$measured" \
        "$("$crate" digest snp "$flash" 1 EPYC-Milan qemu 1)"
    "$softsev" platform certs --out "$work/certs" >/dev/null 2>&1
    says "report: with the platform's certificates" "Version: +[235]" "$crate" report \
        "$work/certs" "$work/snp-report"
    printf '\x01' | dd of="$work/snp-report" bs=1 seek=16 conv=notrunc status=none
    refuses "report: a changed one" "does not sign" "$crate" report "$work/certs" "$work/snp-report"
else
    skip "guest" "softsev has no door to a guest"
fi
finish
