// SPDX-License-Identifier: Apache-2.0
//! The `sev` crate as a program: prints what it computes, exits 1 with its words where it refuses. sev_crate.sh compares.
use base64::{engine::general_purpose::STANDARD, Engine};
use sev::certs::{sev as legacy, snp};
use sev::firmware::guest::{AttestationReport, DerivedKey, Firmware, GuestFieldSelect, GuestPolicy};
use sev::firmware::host::{Build, Version};
use sev::launch::sev::{Measurement, Policy};
use sev::measurement::idblock::snp_calculate_id;
use sev::measurement::idblock_types::{FamilyId, ImageId};
use sev::measurement::sev::{sev_calc_launch_digest, seves_calc_launch_digest, SevEsMeasurementArgs, SevMeasurementArgs};
use sev::measurement::snp::{calc_snp_ovmf_hash, snp_calc_launch_digest, SnpLaunchDigest, SnpMeasurementArgs};
use sev::measurement::vcpu_types::CpuType;
use sev::measurement::vmsa::{GuestFeatures, VMMType};
use sev::parser::{ByteParser, Decoder, Encoder};
use sev::session::Session;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

type Outcome = Result<(), Box<dyn Error>>;

const USAGE: &str = "sev_crate digest MODE OVMF VCPUS TYPE VMM FEATURES [KERNEL INITRD APPEND]
          ovmf-hash OVMF | chain FOLDER | report FOLDER REPORT | id-block DIGEST FAMILY IMAGE SVN POLICY KEY AUTHOR OUT
          guest VMPL DATA OUT | legacy-chain CHAIN ROOT
          session CHAIN ROOT POLICY OUT API BUILD DIGEST COMMAND...";

fn number(text: &str) -> Result<u64, Box<dyn Error>> {
    Ok(match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16)?,
        None => text.parse()?,
    })
}

fn digest(a: &[String]) -> Outcome {
    let ovmf_file = PathBuf::from(&a[1]);
    let vcpus = number(&a[2])? as u32;
    let vcpu_type = CpuType::try_from(a[3].as_str());
    let vmm_type = Some(a[4].parse::<VMMType>()?);
    let (kernel_file, initrd_file) = (a.get(6).map(PathBuf::from), a.get(7).map(PathBuf::from));
    let append = a.get(8).map(|s| s.as_str());
    let text = match a[0].as_str() {
        "sev" => hex::encode(sev_calc_launch_digest(SevMeasurementArgs { ovmf_file, kernel_file, initrd_file, append })?),
        "sev-es" => hex::encode(seves_calc_launch_digest(SevEsMeasurementArgs {
            vcpus,
            vcpu_type: vcpu_type?,
            ovmf_file,
            kernel_file,
            initrd_file,
            append,
            vmm_type,
        })?),
        "snp" => snp_calc_launch_digest(SnpMeasurementArgs {
            vcpus,
            vcpu_type: vcpu_type?,
            ovmf_file,
            guest_features: GuestFeatures(number(&a[5])?),
            kernel_file,
            initrd_file,
            append,
            ovmf_hash_str: None,
            vmm_type,
        })?
        .get_hex_ld(),
        other => return Err(format!("no mode {other}").into()),
    };
    println!("{text}");
    Ok(())
}

fn certificate(folder: &str, names: &[&str]) -> Result<snp::Certificate, Box<dyn Error>> {
    for name in names {
        for kind in ["pem", "der"] {
            let path = Path::new(folder).join(format!("{name}.{kind}"));
            if path.exists() {
                return Ok(snp::Certificate::from_bytes(&fs::read(path)?)?);
            }
        }
    }
    Err(format!("{folder} has no {}", names[0]).into())
}

fn snp_chain(folder: &str) -> Result<snp::Chain, Box<dyn Error>> {
    let ark = certificate(folder, &["ark"])?;
    let vlek = ["pem", "der"].iter().any(|kind| Path::new(folder).join(format!("vlek.{kind}")).exists());
    let ask = certificate(folder, if vlek { &["asvk"] } else { &["ask"] })?;
    let vek = certificate(folder, &["vlek", "vcek"])?;
    Ok(snp::Chain { ca: snp::ca::Chain { ark, ask }, vek })
}

fn chain(a: &[String]) -> Outcome {
    use snp::Verifiable;
    snp_chain(&a[0])?.verify()?;
    Ok(())
}

fn report(a: &[String]) -> Outcome {
    use snp::Verifiable;
    let report = AttestationReport::from_bytes(&fs::read(&a[1])?)?;
    (&snp_chain(&a[0])?, &report).verify()?;
    println!("{report}");
    Ok(())
}

/// Inside a guest: an extended report whose chain comes with it, and two derived keys.
fn guest(a: &[String]) -> Outcome {
    use snp::Verifiable;
    let mut data = [0u8; 64];
    data[..a[1].len().min(64)].copy_from_slice(&a[1].as_bytes()[..a[1].len().min(64)]);
    let mut device = Firmware::open()?;
    let vmpl = number(&a[0])? as u32;
    let (bytes, table) = device.get_ext_report(None, Some(data), Some(vmpl))?;
    let report = AttestationReport::from_bytes(&bytes)?;
    let chain = snp::Chain::from_cert_table_der(table.ok_or("the host has no certificates")?)?;
    (&chain, &report).verify()?;
    if report.report_data.as_slice() != data || report.vmpl != vmpl {
        return Err("the report is not for what was asked".into());
    }
    let mut key = |version, vector| {
        device.get_derived_key(Some(version), DerivedKey::new(true, GuestFieldSelect(9), vmpl, 0, 0, vector))
    };
    if key(1, None)? != key(1, None)? {
        return Err("a derived key is another the second time".into());
    }
    key(2, Some(0))?;
    fs::write(&a[2], bytes)?;
    println!("{}", hex::encode(report.measurement.as_slice()));
    Ok(())
}

fn id_block(a: &[String]) -> Outcome {
    let sixteen = |text: &str| -> Result<[u8; 16], Box<dyn Error>> { Ok(hex::decode(text)?.as_slice().try_into()?) };
    let made = snp_calculate_id(
        Some(SnpLaunchDigest::try_from(hex::decode(&a[0])?.as_slice())?),
        Some(FamilyId::new(sixteen(&a[1])?)),
        Some(ImageId::new(sixteen(&a[2])?)),
        Some(number(&a[3])? as u32),
        Some(GuestPolicy(number(&a[4])?)),
        PathBuf::from(&a[5]),
        PathBuf::from(&a[6]),
    )?;
    fs::write(Path::new(&a[7]).join("id-block"), made.id_block.to_bytes()?)?;
    fs::write(Path::new(&a[7]).join("id-auth"), made.id_auth.to_bytes()?)?;
    println!("{}\n{}", made.id_key_digest.get_hex_ld(), made.auth_key_digest.get_hex_ld());
    Ok(())
}

fn whole_chain(chain: &str, root: &str) -> Result<legacy::Chain, Box<dyn Error>> {
    Ok(legacy::Chain {
        sev: legacy::sev::Chain::decode(&mut fs::read(chain)?.as_slice(), ())?,
        ca: legacy::ca::Chain::decode(&mut fs::read(root)?.as_slice(), ())?,
    })
}

fn legacy_chain(a: &[String]) -> Outcome {
    use legacy::Verifiable;
    whole_chain(&a[0], &a[1])?.verify()?;
    Ok(())
}

/// An owner's part of a launch: writes the session, runs COMMAND, which launches and prints MEASURE and MNONCE in
/// base64, and verifies that.
fn session(a: &[String]) -> Outcome {
    let session = Session::try_from(Policy::from(number(&a[2])? as u32)).map_err(|e| format!("no session: {e:?}"))?;
    let start = session.start(whole_chain(&a[0], &a[1])?).map_err(|e| format!("no session: {e:?}"))?;
    let out = Path::new(&a[3]);
    let s = &start.session;
    let bytes = [&s.nonce[..], &s.wrap_tk, &s.wrap_iv, &s.wrap_mac, &s.policy_mac].concat();
    fs::write(out.join("session.b64"), STANDARD.encode(bytes))?;
    let mut dh = Vec::new();
    start.cert.encode(&mut dh, ())?;
    fs::write(out.join("godh.b64"), STANDARD.encode(dh))?;
    let (major, minor) = a[4].split_once('.').ok_or("API is MAJOR.MINOR")?;
    let version = Version { major: major.parse()?, minor: minor.parse()? };
    let build = Build { version, build: a[5].parse()? };
    let printed = Command::new(&a[7]).args(&a[8..]).output()?.stdout;
    let measured: [u8; 48] = STANDARD.decode(String::from_utf8(printed)?.trim())?.as_slice().try_into()?;
    let measurement = Measurement { measure: measured[..32].try_into()?, mnonce: measured[32..].try_into()? };
    session.verify(&hex::decode(&a[6])?, build, measurement)?;
    Ok(())
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let name = arguments.first().map(String::as_str).unwrap_or("");
    let rest = arguments.get(1..).unwrap_or(&[]);
    let (least, run): (usize, fn(&[String]) -> Outcome) = match name {
        "digest" => (6, digest),
        "ovmf-hash" => (1, |a| Ok(println!("{}", calc_snp_ovmf_hash(PathBuf::from(&a[0]))?.get_hex_ld()))),
        "chain" => (1, chain),
        "report" => (2, report),
        "guest" => (3, guest),
        "id-block" => (8, id_block),
        "legacy-chain" => (2, legacy_chain),
        "session" => (8, session),
        _ => (usize::MAX, |_| Ok(())),
    };
    if rest.len() < least {
        eprintln!("usage: {USAGE}");
        std::process::exit(2);
    }
    if let Err(refusal) = run(rest) {
        eprintln!("{refusal}");
        std::process::exit(1);
    }
}
