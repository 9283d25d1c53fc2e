#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sev-snp-measure (PyPI) and `softsev owner measure` must give the same launch digest for every
# mode, number and model of processors, hypervisor, feature word and set of kernel hashes that both
# know. TAP; 77: the tool cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
version=0.0.13
venv=$out/sev-snp-measure-$version
tool=$venv/bin/sev-snp-measure
if [ ! -x "$tool" ]; then
    python3 -m venv "$venv" >/dev/null 2>&1 && "$venv/bin/pip" install \
        -q "sev-snp-measure==$version" >/dev/null 2>&1
fi
"$tool" --version >/dev/null 2>&1 || skip_all \
    "sev-snp-measure $version cannot be had (python3-venv, PyPI)"
echo "# sev-snp-measure $version"
seq 1 30000 >"$work/kernel"
seq 1 20000 >"$work/initrd"

# NAME MODE FIRMWARE HASHES(0/1) VCPUS TYPE VMM FEATURES [more for both]
same() {
    local name=$1 mode=$2 firmware=$3 hashes=$4 vcpus=$5 type=$6 vmm=$7 features=$8
    shift 8
    local theirs=(--mode "${mode/sev-es/seves}" --ovmf "$firmware" "$@")
    local ours=(owner measure --mode "$mode" --firmware "$firmware" "$@")
    if [ "$hashes" = 1 ]; then
        theirs+=(--kernel "$work/kernel" --initrd "$work/initrd" --append "console=ttyS0 quiet")
        ours+=(--kernel-hashes --kernel "$work/kernel" --initrd "$work/initrd" \
            --append "console=ttyS0 quiet")
    fi
    if [ "$mode" != sev ]; then
        theirs+=(--vcpus "$vcpus" --vcpu-type "$type" --vmm-type "${vmm/qemu/QEMU}")
        ours+=(--vcpus "$vcpus" --vcpu-type "$type" --vmm-type "$vmm")
    fi
    [ "$mode" != snp ] || { theirs+=(--guest-features "$features") &&
        ours+=(--guest-features "$features"); }
    local a b
    a=$("$tool" "${theirs[@]}" 2>&1)
    b=$("$softsev" "${ours[@]}" 2>&1)
    [[ $a =~ ^[0-9a-f]{64,96}$ && $a == "$b" ]]
    result "$name" $? "sev-snp-measure: $a
softsev: $b"
}

for image in "$out/oracles/OVMF.fd" "$out/oracles/OVMF.amdsev.fd"; do
    short=$(basename "$image")
    [ -f "$image" ] || { skip "digests of $short" "no such image in $out/oracles"; continue; }
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
    # The parts of softsev run --cpu, whose signatures the other calculator takes as numbers; and
    # features by their names.
    for row in naples:0x800f12 rome:0x830f10 milan:0xa00f11 genoa:0xa10f11 turin:0xb00f21; do
        theirs=$("$tool" --mode snp --ovmf "$image" --vcpus 2 --vcpu-sig "${row#*:}" \
            --guest-features 0x221 2>&1)
        ours=$("$softsev" owner measure --mode snp --firmware "$image" --vcpus 2 --cpu "${row%:*}" \
            --guest-features secure-tsc,debug-swap 2>&1)
        [[ $ours =~ ^[0-9a-f]{96}$ && $ours == "$theirs" ]]
        result "$short, snp, --cpu ${row%:*}, secure-tsc,debug-swap" $? \
            "sev-snp-measure: $theirs, softsev: $ours"
    done
    partial=$("$softsev" owner measure --mode snp --firmware "$image" --ovmf-only)
    theirs=$("$tool" --mode snp:ovmf-hash --ovmf "$image")
    [ "$partial" = "$theirs" ]
    result "$short, digest of the image's own pages" $? \
        "sev-snp-measure: $theirs, softsev: $partial"

    # Its VMSA pages: explain lists the digest of each page.
    (cd "$work" && "$tool" --mode seves --ovmf "$image" --vcpus 2 --vcpu-type EPYC-Milan \
        --dump-vmsa >/dev/null)
    listed=$("$softsev" owner explain --mode sev-es --firmware "$image" --vcpus 2 \
        --vcpu-type EPYC-Milan |
        sed -n 's/.* VMSA  contents \([0-9a-f]*\) .*/\1/p')
    dumped=$(sha256sum "$work/vmsa0.bin" "$work/vmsa1.bin" | cut -d' ' -f1)
    [ "$listed" = "$dumped" ]
    result "$short, VMSA pages" $? "listed $listed, dumped $dumped"
done

# An ID block and its two signatures: the same but for the signatures.
openssl ecparam -name secp384r1 -genkey -noout -out "$work/id-key.pem"
openssl ecparam -name secp384r1 -genkey -noout -out "$work/author-key.pem"
digest=$(printf '%096d' 7)
"$softsev" owner id-block --out-dir "$work/ours" --id-key-file "$work/id-key.pem" \
    --author-key-file "$work/author-key.pem" \
    --digest "$digest" >/dev/null 2>&1
theirs=$("$venv/bin/snp-create-id-block" --measurement \
    "$({ head -c 47 /dev/zero && printf '\7'; } | base64 -w0)" \
    --idkey "$work/id-key.pem" --authorkey "$work/author-key.pem" 2>&1)
equal "ID block" "$(cat "$work/ours/id-block.b64")" \
    "$(sed -n 's/^id-block=\(.*\),id-auth=.*/\1/p' <<<"$theirs")"
sed -n 's/.*,id-auth=//p' <<<"$theirs" >"$work/auth"
base64 -d <<<"$(sed -n 's/^id-block=\(.*\),id-auth=.*/\1/p' <<<"$theirs")" >"$work/block"
keys=$(sed -n 's/^id_key_hash: //p; s/^author_key: //p' <<<"$theirs" | while read -r one; do
    base64 -d <<<"$one" | od -An -vtx1 | tr -d ' \n'
    echo
done)
if /usr/bin/python3 -c 'import cryptography' 2>/dev/null; then
    equal "ID block: our signatures, its digests of the keys" \
        "$(/usr/bin/python3 "$here/id_auth.py" "$work/ours/id-block.bin" \
        "$work/ours/id-auth.bin" 2>&1)" "$keys"
    equal "ID block: its signatures" \
        "$(/usr/bin/python3 "$here/id_auth.py" "$work/block" "$work/auth" 2>&1)" "$keys"
else
    skip "signatures of ID blocks" "python3-cryptography is missing"
fi
finish
