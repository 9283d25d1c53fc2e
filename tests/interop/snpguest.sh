#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# snpguest (Rust): launch digests and ID blocks against `softsev owner`; reports, certificates and
# derived keys of /dev/sev-guest; its verdicts on files. TAP; 77: the tool cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
snpguest=$(tool snpguest) || skip_all "snpguest cannot be had (cargo)"
echo "# $("$snpguest" --version)"
python=/usr/bin/python3
seq 1 30000 >"$work/kernel"
seq 1 20000 >"$work/initrd"
openssl ecparam -name secp384r1 -genkey -noout -out "$work/id-key.pem"
openssl ecparam -name secp384r1 -genkey -noout -out "$work/author-key.pem"

# Before a launch: what it will measure, and the owner's signature over that.
for image in "$out/oracles/OVMF.fd" "$out/oracles/OVMF.amdsev.fd"; do
    short=$(basename "$image")
    [ -f "$image" ] || { skip "digests of $short" "no such image in $out/oracles"; continue; }
    equal "generate ovmf-hash: $short" \
        "$("$softsev" owner measure --mode snp --firmware "$image" --ovmf-only)" \
        "$("$snpguest" generate ovmf-hash --ovmf "$image")"
    for vmm in qemu ec2 krun; do
        ours=$vmm
        [ "$vmm" = qemu ] || ours+=-old
        equal "generate measurement: $short, $vmm" \
            "0x$("$softsev" owner measure --mode snp --firmware "$image" --vcpus 2 \
            --vcpu-type EPYC-Genoa --vmm-type "$ours" \
                --guest-features 0x21)" "$("$snpguest" generate measurement \
            --ovmf "$image" --vcpus 2 --vcpu-type EPYC-Genoa --vmm-type "$vmm" \
                --guest-features 0x21)"
    done
    [[ $short == *amdsev* ]] || continue
    files=(--kernel "$work/kernel" --initrd "$work/initrd" --append "console=ttyS0")
    equal "generate measurement: $short, kernel hashes" \
        "0x$("$softsev" owner measure --mode snp --firmware "$image" \
        --vcpu-type EPYC-Milan --kernel-hashes "${files[@]}")" "$("$snpguest" generate measurement \
            --ovmf "$image" \
        --vcpu-type EPYC-Milan "${files[@]}")"
done
digest=$(printf '%096d' 7)
family=000102030405060708090a0b0c0d0e0f
image=101112131415161718191a1b1c1d1e1f
"$softsev" owner id-block --out-dir "$work/ours" --id-key-file "$work/id-key.pem" \
    --author-key-file "$work/author-key.pem" \
    --digest "$digest" --policy 0x30000 --svn 3 --family-id $family \
        --image-id $image >"$work/log" 2>&1
"$snpguest" generate id-block "$work/id-key.pem" "$work/author-key.pem" "0x$digest" \
    --policy 0x30000 --svn 3 --family-id $family \
    --image-id $image --id-file "$work/block" --auth-file "$work/auth" >>"$work/log" 2>&1
equal "generate id-block: the block" "$(base64 -w0 "$work/ours/id-block.bin")" \
    "$(cat "$work/block")"
unsigned() { # an authentication block, its two signatures left out
    base64 -d | { head -c 64 && head -c 512 >/dev/null && head -c 1088 &&
        head -c 512 >/dev/null && cat; } | sha256sum
}
equal "generate id-block: keys of the authentication block" \
    "$(unsigned <"$work/ours/id-auth.b64")" "$(unsigned <"$work/auth")"
if $python -c 'import cryptography' 2>/dev/null; then
    keys=$(for name in id author; do "$snpguest" generate key-digest "$work/$name-key.pem" |
        sed 's/^0x//'; done)
    equal "generate key-digest, and our signatures" \
        "$($python "$here/id_auth.py" "$work/ours/id-block.bin" \
        "$work/ours/id-auth.bin" 2>&1)" "$keys"
    equal "its signatures" "$($python "$here/id_auth.py" "$work/block" "$work/auth" 2>&1)" "$keys"
else
    skip "signatures of ID blocks" "python3-cryptography is missing"
fi

# Inside a guest: launched with a measurement and an ID block that snpguest has made, it must come
# up at all.
"$softsev" with --help 2>/dev/null | grep -q -- --guest ||
    { skip "/dev/sev-guest" "softsev has no door to a guest" && finish; }
export SOFTSEV_STATE=$work/state
"$softsev" platform init --seed interop >/dev/null 2>&1
flash=$out/oracles/OVMF.amdsev.fd
[ -f "$flash" ] || flash=$out/oracles/OVMF.fd
[ -f "$flash" ] || { skip "a guest" "no flash image in $out/oracles" && finish; }
measured=$("$snpguest" generate measurement --ovmf "$flash" --vcpus 2 --vcpu-type EPYC-Milan)
"$snpguest" generate id-block "$work/id-key.pem" "$work/author-key.pem" "$measured" \
    --policy 0x30000 --svn 3 --family-id $family \
    --image-id $image --id-file "$work/block" --auth-file "$work/auth" >/dev/null 2>&1
host_data=$(printf '%064d' 42)
cat >"$work/guest.json" <<END
{"firmware": "$flash", "vcpus": 2, "vcpu-type": "EPYC-Milan", "policy": "0x30000", "host-data": "$host_data",
 "id-block": "$work/block", "id-auth": "$work/auth", "author-key": true}
END
with() { "$softsev" with --guest "$work/guest.json" -- "$@"; }
printf '%064d' 1 >"$work/request"
check "report: VMPL 1" with "$snpguest" report "$work/report" "$work/request"
check "report: VMPL 3, random data" with "$snpguest" report "$work/report3" "$work/random" \
    --random --vmpl 3
refuses "report: no VMPL 4" "." with "$snpguest" report "$work/none" "$work/request" --vmpl 4
check "certificates: of the extended report" with "$snpguest" certificates pem "$work/certs"
check "verify certs" "$snpguest" verify certs "$work/certs"
verify() { "$snpguest" verify attestation --processor-model milan "$work/certs" "$@"; }
hex() { od -An -vtx1 "$1" | tr -d ' \n'; }
check "verify attestation: TCB, chip id, signature" verify "$work/report"
check "verify attestation: of VMPL 3" verify "$work/report3" --report-data "0x$(hex "$work/random")"
check "verify attestation: measurement, host data, report data, keys" verify "$work/report" \
    --measurement "$measured" \
    --host-data "0x$host_data" --report-data "0x$(hex "$work/request")" \
    --id-key-digest "0x$("$snpguest" generate key-digest "$work/id-key.pem" | sed 's/^0x//')" \
    --author-key-digest "0x$("$snpguest" generate key-digest "$work/author-key.pem" | sed 's/^0x//')"
refuses "verify attestation: another measurement" "Measurement did not match" verify \
    "$work/report" --measurement "0x$digest"
refuses "verify attestation: other host data" "Host Data did not match" verify "$work/report" \
    --host-data "0x$(printf '%064d' 43)"
cp "$work/report" "$work/changed"
printf '\x01' | dd of="$work/changed" bs=1 seek=16 conv=notrunc status=none # family id
refuses "verify attestation: a changed report" "did NOT sign" verify "$work/changed"
says "display report" "$(cut -c3-20 <<<"$measured")|[Mm]easurement" "$snpguest" display report \
    "$work/report"
equal "display report: measurement, as JSON" "${measured#0x}" \
    "$("$snpguest" display report "$work/report" --output json |
    $python -c 'import json, sys; m = json.load(sys.stdin)["measurement"]; print(m if isinstance(m, str) else bytes(m).hex())' |
    sed 's/^0x//')"
cat "$work/certs/ask.pem" "$work/certs/ark.pem" >"$work/root.pem"
check "softsev owner verify: what snpguest has written" "$softsev" owner verify \
    --report "$work/report" --certs "$work/certs/vcek.pem" \
    --root "$work/root.pem" --digest "${measured#0x}" --host-data "$host_data" --vmpl 1 --min-svn 3

# Derived keys: the same for the same question, another for each other one.
keys() {
    "$snpguest" key "$work/key1" vmrk --vmpl 1 && "$snpguest" key "$work/key2" vmrk --vmpl 1 &&
        "$snpguest" key "$work/key3" vcek --vmpl 1 &&
            "$snpguest" key "$work/key4" vcek --vmpl 1 --guest_field_select 0x3f \
        --guest_svn 3 && "$snpguest" key "$work/key5" vcek --vmpl 2
}
export -f keys
export snpguest work
check "key: VMRK and VCEK, VMPL, fields" with bash -c keys
check "key: the same twice" cmp "$work/key1" "$work/key2"
equal "key: others otherwise" 4 "$(sha256sum "$work"/key[1345] | cut -d' ' -f1 | sort -u | wc -l)"
refuses "key: no SVN above the guest's" "." with "$snpguest" key "$work/key6" vcek \
    --guest_field_select 0x10 --guest_svn 4

# Reports of each version and TCB layout, with their own certificates.
reported() {
    rm -rf "$work/certs"
    "$softsev" with --guest "$work/plain.json" -- bash \
        -c '"$snpguest" report "$work/report" "$work/request" &&
        "$snpguest" certificates pem "$work/certs"' && "$snpguest" verify certs "$work/certs" &&
        "$snpguest" verify attestation --processor-model "$2" "$work/certs" "$work/report" &&
        "$snpguest" display report "$work/report" | grep -E "^Version: +$1\$"
}
echo '{}' >"$work/plain.json"
while read -r profile version model; do
    export SOFTSEV_STATE=$work/$profile
    "$softsev" platform init --seed "$profile" --profile "$profile" >/dev/null 2>&1
    check "$profile: report of version $version verifies" reported "$version" "$model"
done <<END
milan-1.51 2 milan
milan-1.58 5 milan
genoa 3 genoa
genoa-1.55 5 genoa
turin 5 turin
END
finish
