#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Public tools judge the cases of `softsev fixtures`; prints TAP lines. snpguest must accept each
report that a correct verifier accepts, and refuse what it has a check for: it has no root of its
own to trust, no time, no list, and no opinion of policies, so those cases are counted. The sev
crate must say of each legacy chain what the manifest says.

    fixtures.py FOLDER SNPGUEST|- SEV_CRATE|-
"""
import json
import os
import subprocess
import sys

# The manifest's names of the checks that snpguest makes.
CHECKS = {"report-size", "endorsement-signature", "report-signature", "reported-tcb", "measurement",
          "report-data", "host-data",
          "id-key", "author-key"}
OVERLOOKED = {"trailing-byte"}  # it reads the first 1184 bytes
# it refuses those of version 2, in which a chip's id says the product
TOO_STRICT = {"valid-masked-chip-id"}
OPTIONS = {"measurement": "--measurement", "report_data": "--report-data",
           "host_data": "--host-data",
           "id_key_digest": "--id-key-digest", "author_key_digest": "--author-key-digest"}


def accepts(snpguest, folder, case):
    certificates = os.path.join(folder, case["certificates"])
    model = case["profile"].split("-")[0]
    wanted = [word for key, option in OPTIONS.items() if key in case["policy"]
              for word in (option, "0x" + case["policy"][key])]
    verify = [snpguest, "verify", "attestation", "--processor-model", model, certificates,
              os.path.join(folder, case["report"])] + wanted
    for command in ([snpguest, "verify", "certs", certificates], verify):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False)
        if done.returncode:
            return False, done.stdout
    return True, done.stdout


def judge_reports(snpguest, folder, cases):
    for profile in sorted({c["profile"] for c in cases}):
        accepted = refused = beyond = 0
        for case in (c for c in cases if c["profile"] == profile):
            good, said = accepts(snpguest, folder, case)
            wanted = case["expect"] == "accept"
            name = case["name"].split("/")[1]
            if (not wanted and (case["check"] not in CHECKS or name in OVERLOOKED)) or (not good
                    and name in TOO_STRICT):
                beyond += 1
                continue
            accepted += good and wanted
            refused += not good and not wanted
            if good != wanted:
                said = "\n#   ".join(said.splitlines()[:10])
                print(f"not ok - snpguest: {case['name']} should {case['expect']} "
                      f"({case['check']})\n#   {said}")
        print(f"ok - snpguest: {profile}: {accepted} accepted, {refused} refused, {beyond} beyond "
              f"it")


def judge_chains(crate, folder, cases):
    counts = {"accept": 0, "reject": 0}
    for case in cases:
        files = [os.path.join(folder, case[key]) for key in ("chain", "root")]
        done = subprocess.run([crate, "legacy-chain"] + files, capture_output=True, text=True,
                              timeout=60, check=False)
        if (done.returncode == 0) == (case["expect"] == "accept"):
            counts[case["expect"]] += 1
        else:
            print(f"not ok - sev crate: {case['name']} should {case['expect']} "
                  f"({case['check']})\n#   {done.stderr}")
    print(f"ok - sev crate: {counts['accept']} legacy chains accepted, {counts['reject']} refused")


def main():
    folder, snpguest, crate = sys.argv[1:]
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    for tool, judge, kind in ((snpguest, judge_reports, "snp-report"),
                              (crate, judge_chains, "sev-chain")):
        if tool != "-":
            judge(tool, folder, [c for c in cases if c["kind"] == kind])


main()
