#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# snpguest (crates.io): launch digests and ID blocks against `softsev owner`; reports, certificates and derived keys of
# /dev/sev-guest; its verdicts on files. TAP; 77: the tool cannot be had.
set -u
. "$(dirname "$0")/tap.bash"
snpguest=$(tool snpguest) || skip_all "snpguest cannot be had (crates.io)"
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
    equal "generate ovmf-hash: $short" "$("$softsev" owner measure --mode snp --firmware "$image" --ovmf-only)" \
        "$("$snpguest" generate ovmf-hash --ovmf "$image")"
    for vmm in qemu ec2 krun; do
        ours=$vmm
        [ "$vmm" = qemu ] || ours+=-old
        equal "generate measurement: $short, $vmm" "0x$("$softsev" owner measure --mode snp --firmware "$image" --vcpus 2 \
            --vcpu-type EPYC-Genoa --vmm-type "$ours" --guest-features 0x21)" "$("$snpguest" generate measurement \
            --ovmf "$image" --vcpus 2 --vcpu-type EPYC-Genoa --vmm-type "$vmm" --guest-features 0x21)"
    done
    [[ $short == *amdsev* ]] || continue
    files=(--kernel "$work/kernel" --initrd "$work/initrd" --append "console=ttyS0")
    equal "generate measurement: $short, kernel hashes" "0x$("$softsev" owner measure --mode snp --firmware "$image" \
        --vcpu-type EPYC-Milan --kernel-hashes "${files[@]}")" "$("$snpguest" generate measurement --ovmf "$image" \
        --vcpu-type EPYC-Milan "${files[@]}")"
done
digest=$(printf '%096d' 7)
family=000102030405060708090a0b0c0d0e0f
image=101112131415161718191a1b1c1d1e1f
"$softsev" owner id-block --out-dir "$work/ours" --id-key-file "$work/id-key.pem" --author-key-file "$work/author-key.pem" \
    --digest "$digest" --policy 0x30000 --svn 3 --family-id $family --image-id $image >"$work/log" 2>&1
"$snpguest" generate id-block "$work/id-key.pem" "$work/author-key.pem" "0x$digest" --policy 0x30000 --svn 3 --family-id $family \
    --image-id $image --id-file "$work/block" --auth-file "$work/auth" >>"$work/log" 2>&1
equal "generate id-block: the block" "$(base64 -w0 "$work/ours/id-block.bin")" "$(cat "$work/block")"
unsigned() { # an authentication block, its two signatures left out
    base64 -d | { head -c 64 && head -c 512 >/dev/null && head -c 1088 && head -c 512 >/dev/null && cat; } | sha256sum
}
equal "generate id-block: keys of the authentication block" "$(unsigned <"$work/ours/id-auth.b64")" "$(unsigned <"$work/auth")"
if $python -c 'import cryptography' 2>/dev/null; then
    keys=$(for name in id author; do "$snpguest" generate key-digest "$work/$name-key.pem" | sed 's/^0x//'; done)
    equal "generate key-digest, and our signatures" "$($python "$here/id_auth.py" "$work/ours/id-block.bin" \
        "$work/ours/id-auth.bin" 2>&1)" "$keys"
    equal "its signatures" "$($python "$here/id_auth.py" "$work/block" "$work/auth" 2>&1)" "$keys"
else
    skip "signatures of ID blocks" "python3-cryptography is missing"
fi
finish
