#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reports, good and bad, verified by the program: with files, and with what a throttling key server
has for them."""
import base64
import json
import os

from kds import serving
from story import quick, tell, want

SEED = "story"


def fixtures(s):
    """The set of one firmware, once."""
    out = s.path("fixtures")
    if not os.path.exists(out):
        code, _, error = s.command("fixtures", "--out", out, "--profile", "milan", "--seed", SEED)
        want(code == 0, (code, error))
    with open(os.path.join(out, "manifest.json"), "rb") as f:
        return out, json.load(f)["cases"]


def options(out, case):
    """softsev owner verify, as the manifest wants it."""
    policy = case["policy"]
    words = ["--json", "--time", str(policy["time"]), "--min-tcb", policy["minimum_tcb"], "--api",
             policy["minimum_api"], "--min-svn",
             str(policy["minimum_svn"]), "--vmpl", str(policy["maximum_vmpl"])]
    for option, key in (("digest", "measurement"), ("report-data", "report_data"),
                        ("host-data", "host_data"), ("chip-id", "chip_id"),
                        ("id-key", "id_key_digest"), ("author-key", "author_key_digest")):
        words += [f"--{option}", policy[key]] if key in policy else []
    words += ["--policy", str(policy["guest_policy"])] if "guest_policy" in policy else []
    words += ["--allow-debug"] if policy["allow_debug"] else []
    words += ["--allow-migration"] if policy["allow_migration"] else []
    words += ["--accept-masked-chip-id"] if policy["accept_masked_chip_id"] else []
    for option, key in (("report", "report"), ("certs", "certificates"), ("root", "root"),
                        ("crl", "crl"), ("id-block", "id_block"),
                        ("id-auth", "id_auth")):
        words += [f"--{option}", os.path.join(out, case[key])] if key in case else []
    return words


@quick
def the_manifest_is_right(s):
    out, cases = fixtures(s)
    count = 0
    for case in (c for c in cases if c["kind"] == "snp-report"):
        code, said, error = s.command("owner", "verify", *options(out, case))
        verdict = json.loads(said)
        want(verdict["verified"] == (case["expect"] == "accept") == (code == 0),
             (case["name"], code, error))
        want(verdict.get("check", "ok") == case["check"], (case["name"], verdict))
        count += 1
    want(count > 55, count)


@quick
def bytes_may_stand_in_lines_as_tools_print_them(s):
    """`xxd -p` breaks 64 bytes into two lines; a Turin's id has 8 bytes, which its report has with
    zeros after them."""
    out, cases = fixtures(s)
    case = next(c for c in cases if c["kind"] == "snp-report" and c["expect"] == "accept"
                and "report_data" in c["policy"])
    words = options(out, case)
    at = words.index("--report-data") + 1
    for text, good in ((words[at], 0), (words[at][:60] + "\n" + words[at][60:] + "\n", 0),
                       (words[at][:60] + "\n" + words[at][61:], 2)):
        words[at] = text
        code, _, error = s.command("owner", "verify", *words)
        want(code == good, (text, code, error))
    turin = s.path("turin")
    want(s.command("fixtures", "--out", turin, "--profile", "turin", "--seed", SEED)[0] == 0,
         "fixtures")
    with open(os.path.join(turin, "manifest.json"), "rb") as f:
        case = next(c for c in json.load(f)["cases"] if c["kind"] == "snp-report"
                    and c["expect"] == "accept" and "chip_id" in c["policy"])
    words, at = options(turin, case), options(turin, case).index("--chip-id") + 1
    full = words[at]
    want(len(full) == 128 and not int(full[16:], 16), full)
    for text, good in ((full, 0), (full[:16], 0), ("0" + full[1:16], 4), (full[:14], 2)):
        words[at] = text
        code, _, error = s.command("owner", "verify", *words)
        want(code == good, (text, code, error))


@quick
def the_manifest_is_right_of_legacy_reports(s):
    out, cases = fixtures(s)
    count = 0
    for case in (c for c in cases if c["kind"] == "sev-report"):
        policy = case["policy"]
        words = ["--json", "--policy", str(policy["guest_policy"]), "--digest",
                 policy["launch_digest"], "--nonce",
                 base64.b64encode(bytes.fromhex(policy["mnonce"])).decode()]
        words += ["--allow-debug"] * policy["allow_debug"]
        for key in ("report", "chain", "root"):
            words += [f"--{key}", os.path.join(out, case[key])]
        code, said, error = s.command("owner", "verify", *words)
        verdict = json.loads(said)
        want(verdict["verified"] == (case["expect"] == "accept") == (code == 0),
             (case["name"], code, error))
        want(verdict.get("check", "ok") == case["check"], (case["name"], verdict))
        count += 1
    want(count == 29, count)


@quick
def no_demand_is_silently_dropped(s):
    out, cases = fixtures(s)
    case = next(c for c in cases if c["name"] == "milan/valid")
    words = options(out, case)
    digest = words.index("--digest")
    loose = words[:digest] + words[digest + 2:]
    kernel = s.build("elf64", ".globl _start\n_start: hlt\n")
    code, said, error = s.command("owner", "verify", *loose, "--mode", "snp", "--kernel", kernel,
                                  "--memory", "16M")
    want(code == 4 and json.loads(said)["check"] == "measurement", (code, said, error))
    for more, word in ((["--mode", "snp"], "--mode"), (["--append", "quiet"], "--append"),
                       (["--kernel", kernel], "--mode sev-snp"),
                       (["--chain", kernel], "--chain")):
        code, _, error = s.command("owner", "verify", *loose, *more)
        want(code == 2 and word in error, (more, code, error))
    code, _, error = s.command("owner", "verify", *words, "--kernel", kernel)
    want(code == 2 and "--digest" in error, (code, error))
    code, _, error = s.command("owner", "verify", "--chain", kernel, "--root", kernel, "--min-tcb",
                               "3.0.8.115")
    want(code == 2 and "--min-tcb" in error, (code, error))


@quick
def a_key_server_has_what_is_missing(s):
    out, _ = fixtures(s)
    report = os.path.join(out, "milan", "valid.bin")
    code, _, error = s.command("platform", "init", "--state", s.state)
    want(code == 0, error)
    code, _, error = s.command("platform", "certs", "--state", s.state, "--out", s.path("certs"))
    want(code == 0, error)
    root = s.path("certs", "ark.pem")
    with serving(s, "--seed", f"fixtures milan {SEED}", "--inject", "429:3") as url:
        def verify(name, *more, trusted=root):
            return s.command("owner", "verify", "--json", "--kds", url, "--report",
                             os.path.join(out, "milan", name), "--root", trusted,
                             *more, env={"no_proxy": "127.0.0.1"})

        code, said, error = verify("valid.bin")
        want(code == 0 and json.loads(said)["verified"], (code, said, error))
        code, said, _ = verify("bad-signature.bin")
        want(code == 4 and json.loads(said)["check"] == "report-signature", (code, said))
        code, said, _ = verify("valid.bin", trusted=os.path.join(out, "milan", "trust", "ark.pem"))
        want(code == 4 and json.loads(said)["check"] == "ask-signature", (code, said))
        code, _, error = verify("masked-chip-id.bin")
        want(code == 4 and "hides its chip's id" in error, (code, error))
    with serving(s, "--seed", f"fixtures milan {SEED}", "--inject", "wrong") as url:
        code, said, _ = verify("valid.bin")
        want(code == 4 and json.loads(said)["check"] == "report-signature", (code, said))
    with serving(s, "--inject", "404") as url:
        code, _, error = verify("valid.bin")
        want(code == 3 and "the answer is 404" in error, (code, error))
    code, _, error = s.command("owner", "verify", "--kds", url, "--report", report, "--root", root,
                               env={"no_proxy": "127.0.0.1"})
    want(code == 3 and url in error, (code, error))


if __name__ == "__main__":
    tell(the_manifest_is_right, bytes_may_stand_in_lines_as_tools_print_them,
         the_manifest_is_right_of_legacy_reports, no_demand_is_silently_dropped,
         a_key_server_has_what_is_missing)
