#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: fetch-vectors.sh OUT: fetches the public test vectors into OUT/vectors. They are the data
# files of two Rust packages: sev 8.0.0 (Debian sid's librust-sev-dev, or the crate) and sevctl
# 0.6.2 (the crate alone; needs cargo). Each file is checked against the SHA-256 in the list below.
# The tests that need a file that cannot be had are skipped.
set -eu
. "$(dirname "$0")/debian.sh"
mkdir -p "$1/vectors"
vectors=$(cd "$1/vectors" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# SHA-256, file in OUT/vectors, package, file in the package
cat >"$work/list" <<'END'
22e62f8d2c21a156470145fc75f7b5a377cb053ced3e97f0bd3f8d8ca5941ce6 sev/certs_data/cert_chain_milan sev tests/certs_data/cert_chain_milan
cc9a52fbed3fbc6e4a0a50149a541a75938f975658909c2a6084767829b36e85 sev/certs_data/cert_chain_turin sev tests/certs_data/cert_chain_turin
3d956e9104969a038031a6b63dd6c4b60000619d37702065994f7da76f88ae7d sev/certs_data/report_milan.hex sev tests/certs_data/report_milan.hex
3bbfb6ee259f75a95d13168cfdf2e034181bb93c7c016825731cbe8ea16c95e1 sev/certs_data/vcek_milan.der sev tests/certs_data/vcek_milan.der
a4a6abff1c435f214cfbc35e4dadae55e467454d53dc417251b3ff1a169fd7fb sev/certs_data/vcek_turin.der sev tests/certs_data/vcek_turin.der
8f765dfabc127fc0a938a0744a3103ec15864d7d794eb4c398aa976b6d6ab16c sev/measurement/ovmf_AmdSev_suffix.bin sev tests/measurement/ovmf_AmdSev_suffix.bin
b4c021e085fb83ceffe6571a3d357b4a98773c83c474e47f76c876708fe316da sev/measurement/ovmf_OvmfX64_suffix.bin sev tests/measurement/ovmf_OvmfX64_suffix.bin
357559109700077566355a0fefd0fbdcfdf7f5b82de7e3ede55f8054d4bea447 sev/measurement/test_auth_block.bin sev tests/measurement/test_auth_block.bin
22c43ee0e44466ba95850f6055705b09ea76e6f8196eb698ef8e05c26f2871d2 sev/measurement/test_auth_key.pem sev tests/measurement/test_auth_key.pem
625de360cd5589fe01f382b81ae4c40fa3eaff1410030a6fd14602cccdf73c33 sev/measurement/test_auth_sig.bin sev tests/measurement/test_auth_sig.bin
558caa5393b901fa21d908620fae3cb018e3d22b6aa2dc09a0940fdff2f2f71b sev/measurement/test_id_key.pem sev tests/measurement/test_id_key.pem
75c667f82559ae24de597eb123061ed677c33ada9d78a540be0278a4cc2aa2a8 sev/measurement/test_id_sig.bin sev tests/measurement/test_id_sig.bin
cbecc40f5b7d7e988fe7e4af20195cc540404eb685a2b49df0160781d04cf8f4 sev/naples/cek.cert sev tests/naples/cek.cert
dfa8331592774030cc38716ee0d436aba269d7c17c78e2a261f19e967377c34c sev/naples/oca.cert sev tests/naples/oca.cert
34b11563c32bd17b4e2b4b8205301af64e7bd06a85e2a6ada789bc9d5dfd9932 sev/naples/pdh.cert sev tests/naples/pdh.cert
31243368c2046fbf48e51a73075c33e69600cee1876919869f0383a94e8df558 sev/naples/pek.cert sev tests/naples/pek.cert
bfac4879e3855bf74b5e7841c46fbe02ee07808400ceb3eeccc9454d07e6eed5 sev/rome/cek.cert sev tests/rome/cek.cert
fb72952d5c8640f0c144d3e250f5791c8b21d384071b75823430aaba69d9ad46 sev/rome/oca.cert sev tests/rome/oca.cert
62147c9375cb6cee32dbbf957d1b427e660c6dab2e6637c5f6c0e2c8f3345eed sev/rome/pdh.cert sev tests/rome/pdh.cert
fd5eb12d0175c91bcb83142811124ceba4f3f530307a2471fcbd633e5aead794 sev/rome/pek.cert sev tests/rome/pek.cert
8f4e3fd36589c23f1fe0c8338465bac7e2e066d97fc92f228bbee4fd356fb674 sev/sev/genoa/ark.cert sev src/certs/sev/builtin/genoa/ark.cert
c30307e4f594fb6c51fd753ab758eb78ad4bb70d9e4d96690e51c0621901031d sev/sev/genoa/ask.cert sev src/certs/sev/builtin/genoa/ask.cert
1246469862b78a7a8625579b0378d1f8e975eb8b82a1623b579d7968a5969888 sev/sev/milan/ark.cert sev src/certs/sev/builtin/milan/ark.cert
c7c73765561c58003a3d09adb2c76993027dd3a1ec4e9be876024c035e015cec sev/sev/milan/ask.cert sev src/certs/sev/builtin/milan/ask.cert
dedabca561e1dece8cc00b7bda864cf5f20b95017864408cfe18eaee0dce24b9 sev/sev/naples/ark.cert sev src/certs/sev/builtin/naples/ark.cert
c6f30cf923f526c3bcd5c8c221db51e0db65911782f046de17a6603131cdfd7f sev/sev/naples/ask.cert sev src/certs/sev/builtin/naples/ask.cert
865977b268c16d5b27772b00aaefb4e737ba9499e818ed8e9f65b0cecefbc529 sev/sev/rome/ark.cert sev src/certs/sev/builtin/rome/ark.cert
7754a69407d25540fe3a695be6b02c58a53bffd12594f5c30793d6cb62875706 sev/sev/rome/ask.cert sev src/certs/sev/builtin/rome/ask.cert
f6405e5096a6eee1eb7d5df75c49f9b9f7c8357a31c7fff150149d68588a7bf7 sev/sev/turin/ark.cert sev src/certs/sev/builtin/turin/ark.cert
2ee285477f0d5eb94a69029197f4cf58ca82d8e1b9a276da1ac45b0db3f4be56 sev/sev/turin/ask.cert sev src/certs/sev/builtin/turin/ask.cert
96bff94e97e2b7ddf4bf3b9b7f780f94a46b8c51f52abfdcc283be7df36ce405 sev/snp/genoa/ark.pem sev src/certs/snp/builtin/genoa/ark.pem
22fea250e0390b22008c9a415f4bd915ae8cef4a240f9d21702e84eb250b9186 sev/snp/genoa/ask.pem sev src/certs/snp/builtin/genoa/ask.pem
8c109952166431ffad8cb9a3d54f3d20ffbbb58164f0d54be3457bf0ece9e0d8 sev/snp/milan/ark.pem sev src/certs/snp/builtin/milan/ark.pem
8da3a65af1cb7cb90a21fac78431a2431a9ee7811f48c36569c53fb80ad31fee sev/snp/milan/ask.pem sev src/certs/snp/builtin/milan/ask.pem
b69c981fe0216c3d8e682eb6f480c6879497103071e52b5e603178638db8f68d sev/snp/turin/ark.pem sev src/certs/snp/builtin/turin/ark.pem
c72a54fb75a0a06b0c8dbf68b04893d0891751b94ce4da8231d11fd18a0da944 sev/snp/turin/ask.pem sev src/certs/snp/builtin/turin/ask.pem
2f6fc6065f4abc131eb4fb2b5090a542636eae84a94c0db0fdd5f405cb372ff5 sevctl/data/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9 sevctl tests/data/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9
76fa1a19324945ce9b1ee17f211ca5b55cbb74d0368eecce53932a1fddc8e8cb sevctl/data/measurement/initrd-fake sevctl tests/data/measurement/initrd-fake
4d5c214dd494f9f1fe6cfd1f499deebeb52fc9cff095962f32f0581c83fcecf8 sevctl/data/measurement/tik1.bin sevctl tests/data/measurement/tik1.bin
af609b31eca2942fc46ed7209c7704771cfc2c91750ff4cb899be39b371b4e48 sevctl/data/measurement/vmlinuz-fake sevctl tests/data/measurement/vmlinuz-fake
f8b52f775502472e5797d2674d9de21f6abc05dc05e9bc49cbb7b6a13688d5e7 sevctl/data/vmsa0.bin sevctl tests/data/vmsa0.bin
bcee5cb289f72882da17abd8dca5e8a7e9f8e2033e7ad96b4db0ab1a383a6487 sevctl/data/vmsa1.bin sevctl tests/data/vmsa1.bin
END

# Prints the lines of the list, of one package or all, whose files are not in OUT/vectors yet.
missing() {
    while read -r sum file package source; do
        [ "${1:-$package}" = "$package" ] || continue
        echo "$sum  $vectors/$file" | sha256sum --check --status 2>/dev/null ||
            echo "$sum $file $package $source"
    done <"$work/list"
}

# take PACKAGE FOLDER: takes the missing files from an unpacked package.
take() {
    missing "$1" | while read -r sum file package source; do
        echo "$sum  $2/$source" | sha256sum --check --status 2>/dev/null || continue
        mkdir -p "$(dirname "$vectors/$file")"
        cp "$2/$source" "$vectors/$file.new"
        mv "$vectors/$file.new" "$vectors/$file"
    done
}

# Has cargo download the crates, and prints the folder that holds the sources of both. (cargo lists
# no package without a library, such as sevctl, but keeps it beside the others.)
crates() {
    mkdir -p "$work/crates/src"
    : >"$work/crates/src/lib.rs"
    printf '[package]\nname = "vectors"\nversion = "0.0.0"\n[dependencies]\n%s\n%s\n' \
        'sev = { version = "=8.0.0", default-features = false }' 'sevctl = "=0.6.2"' \
            >"$work/crates/Cargo.toml"
    cargo metadata --format-version 1 --filter-platform x86_64-unknown-linux-gnu \
        --manifest-path "$work/crates/Cargo.toml" 2>/dev/null |
        grep -o '"manifest_path":"[^"]*/sev-8\.0\.0/Cargo\.toml"' | head -n 1 | cut -d'"' -f4 |
        xargs -r dirname | xargs -r dirname
}

if [ -n "$(missing sev)" ]; then
    debian_view sid && debian_unpack librust-sev-dev "$work/sid" &&
        take sev "$work/sid/usr/share/cargo/registry/sev-8.0.0" || true
    debian_view_end
fi
if [ -n "$(missing)" ] && command -v cargo >/dev/null; then
    folder=$(crates)
    take sev "$folder/sev-8.0.0"
    take sevctl "$folder/sevctl-0.6.2"
fi

missing | while read -r sum file package source; do
    echo "fetch-vectors: $file ($package) cannot be had: its tests are skipped" >&2
done
