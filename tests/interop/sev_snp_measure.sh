#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sev-snp-measure (PyPI) and `softsev owner measure` must give the same launch digest for every mode, number and model of
# processors, hypervisor, feature word and set of kernel hashes that both know. TAP; 77: the tool cannot be had.
set -u
softsev=${SOFTSEV:?the softsev program}
out=${OUT:?a folder for what is fetched}
version=0.0.13
venv=$out/sev-snp-measure-$version
tool=$venv/bin/sev-snp-measure
if [ ! -x "$tool" ]; then
    python3 -m venv "$venv" >/dev/null 2>&1 && "$venv/bin/pip" install -q "sev-snp-measure==$version" >/dev/null 2>&1
fi
"$tool" --version >/dev/null 2>&1 || { echo "1..0 # skip sev-snp-measure $version cannot be had (python3-venv, PyPI)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seq 1 30000 >"$work/kernel"
seq 1 20000 >"$work/initrd"

number=0 failed=0
result() { # NAME STATUS LOG
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then echo "ok $number - $1"; else
        echo "not ok $number - $1"
        sed 's/^/#   /' <<<"$3"
        failed=1
    fi
}

# NAME MODE FIRMWARE HASHES(0/1) VCPUS TYPE VMM FEATURES [more for both]
same() {
    local name=$1 mode=$2 firmware=$3 hashes=$4 vcpus=$5 type=$6 vmm=$7 features=$8
    shift 8
    local theirs=(--mode "${mode/sev-es/seves}" --ovmf "$firmware" "$@")
    local ours=(owner measure --mode "$mode" --firmware "$firmware" "$@")
    if [ "$hashes" = 1 ]; then
        theirs+=(--kernel "$work/kernel" --initrd "$work/initrd" --append "console=ttyS0 quiet")
        ours+=(--kernel-hashes --kernel "$work/kernel" --initrd "$work/initrd" --append "console=ttyS0 quiet")
    fi
    if [ "$mode" != sev ]; then
        theirs+=(--vcpus "$vcpus" --vcpu-type "$type" --vmm-type "${vmm/qemu/QEMU}")
        ours+=(--vcpus "$vcpus" --vcpu-type "$type" --vmm-type "$vmm")
    fi
    [ "$mode" != snp ] || { theirs+=(--guest-features "$features") && ours+=(--guest-features "$features"); }
    local a b
    a=$("$tool" "${theirs[@]}" 2>&1)
    b=$("$softsev" "${ours[@]}" 2>&1)
    [[ $a =~ ^[0-9a-f]{64,96}$ && $a == "$b" ]]
    result "$name" $? "sev-snp-measure: $a
softsev: $b"
}

for image in "$out/oracles/OVMF.fd" "$out/oracles/OVMF.amdsev.fd"; do
    short=$(basename "$image")
    if [ ! -f "$image" ]; then
        number=$((number + 1))
        echo "ok $number - digests of $short # skip no such image in $out/oracles"
        continue
    fi
    for hashes in 0 1; do
        [ "$hashes" = 0 ] || [[ $short == *amdsev* ]] || continue
        with=$([ "$hashes" = 0 ] || echo ", kernel hashes")
        same "$short, sev$with" sev "$image" $hashes 0 - - -
        for vmm in qemu ec2 gce; do
            same "$short, sev-es, $vmm$with" sev-es "$image" $hashes 1 EPYC-Rome $vmm -
            same "$short, snp, $vmm$with" snp "$image" $hashes 2 EPYC-Milan $vmm 0x1
        done
    done
    for type in EPYC EPYC-Genoa-v1 EPYC-Turin; do
        same "$short, snp, $type, 5 processors" snp "$image" 0 5 $type qemu 0x21
    done
    partial=$("$softsev" owner measure --mode snp --firmware "$image" --ovmf-only)
    theirs=$("$tool" --mode snp:ovmf-hash --ovmf "$image")
    [ "$partial" = "$theirs" ]
    result "$short, digest of the image's own pages" $? "sev-snp-measure: $theirs, softsev: $partial"

    # Its VMSA pages: explain lists the digest of each page.
    (cd "$work" && "$tool" --mode seves --ovmf "$image" --vcpus 2 --vcpu-type EPYC-Milan --dump-vmsa >/dev/null)
    listed=$("$softsev" owner explain --mode sev-es --firmware "$image" --vcpus 2 --vcpu-type EPYC-Milan |
        sed -n 's/.* VMSA  contents \([0-9a-f]*\) .*/\1/p')
    dumped=$(sha256sum "$work/vmsa0.bin" "$work/vmsa1.bin" | cut -d' ' -f1)
    [ "$listed" = "$dumped" ]
    result "$short, VMSA pages" $? "listed $listed, dumped $dumped"
done
echo "1..$number"
exit "$failed"
