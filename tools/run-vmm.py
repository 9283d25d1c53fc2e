#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""QEMU on a stock host kernel on the bare machine launches a stock guest; the guest's owner is
outside, has the measurement computed from the same files, and verifies what comes out: under SEV
and SEV-ES the measurement of the launch, before a secret goes in, and the firmware's report; under
SNP the guest's own report. A plain guest has nobody who looks. Prints each step and who takes it.
Fails where anything is not as it should be.

usage: run-vmm.py SOFTSEV OUT MODE [--state DIR] [--work DIR] [--cpus N] [--vcpus N] [--seed TEXT]
                  [--flash FILE] [--snpguest FILE]
    MODE             none, sev, sev-es or sev-snp
    --work DIR       what passes between host and owner stays there (default OUT/vmm)
    --flash FILE     another firmware than ovmf-amdsev, or than OVMF for a plain guest
    --snpguest FILE  this tool, too, asks for a report inside the SNP guest, and verifies it outside
OUT needs tools/fetch-guest.sh OUT host, tools/fetch-qemu.sh OUT, tools/fetch-oracles.sh OUT images.
"""
import argparse
import base64
import glob
import gzip
import hashlib
import hmac
import importlib.util
import json
import os
import pty
import re
import struct
import subprocess
import sys
import threading
import time
import uuid

TOOLS = os.path.dirname(os.path.abspath(__file__))
MODEL = "EPYC-v4"  # of tools/vmm-init.sh
POLICY = {"none": None, "sev": 0x1, "sev-es": 0x5, "sev-snp": 0x30000}
HAS_OWNER = ("sev", "sev-es")  # who must be asked before the guest starts
# Commands that are shown as they come; of all others there is a count at the end.
SHOWN = re.compile("^(SNP_)?(INIT|LAUNCH|GCTX|ACTIVATE|ATTESTATION|GUEST_REQUEST|DEACTIVATE|"
                   "DECOMMISSION|SHUTDOWN)|_INIT_EX")
SECRETS_TABLE = "4c2eb361-7d9b-4cc3-8081-127c90d3d294"  # of OVMF: where a secret goes
SECRET_ENTRY = "736869e5-84f0-4973-92ec-06879ce3da0b"
SECRET = b"a secret of the guest's owner\n"
TIMEOUT_S = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "900"))


class Wrong(Exception):
    pass


def say(who, text):
    print(f"{who:<10}  {text}", flush=True)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def text_of(path):
    return content(path).decode().strip()


def save(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def need(path):
    if not os.path.exists(path):
        raise Wrong(f"there is no {path}: see --help")
    return path


class Launch:
    """The files of a launch, and the owner who computes from them what must be measured."""

    def __init__(self, given):
        self.softsev, self.out, self.mode = given.softsev, given.out, given.mode
        self.state, self.work, self.vcpus = given.state, given.work, given.vcpus
        os.makedirs(self.work, exist_ok=True)
        suffix = "-6.12" if os.path.exists(f"{self.out}/vmlinuz-6.12") else ""
        flash = "OVMF.fd" if self.mode == "none" else "OVMF.amdsev.fd"
        self.flash = need(given.flash or f"{self.out}/oracles/{flash}")
        self.snpguest = given.snpguest if self.mode == "sev-snp" else None
        self.kernel = need(f"{self.out}/vmlinuz{suffix}")
        self.initrd = self.file("initrd.gz")
        self.append = "console=ttyS0 panic=-1 cryptomgr.notests quiet"
        stock = content(need(f"{self.out}/initrd{suffix}.cpio.gz"))
        if self.mode in HAS_OWNER:
            self.append += f" rdinit=/vmm-init secrets={place_of_secrets(self.flash):#x}"
        if self.snpguest:
            self.append += " rdinit=/vmm-snpguest"
            self.snpguest = without_symbols(self.snpguest, self.file("snpguest"))
        save(self.initrd, stock + gzip.compress(extra_archive(self.snpguest), mtime=0))
        save(self.file("append"), self.append.encode())

    def file(self, name):
        return os.path.join(self.work, name)

    def ours(self, *arguments):
        done = subprocess.run([self.softsev, *arguments], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise Wrong(f"softsev {' '.join(arguments)}: {done.stdout}{done.stderr}".strip())
        return done.stdout.strip()

    def described(self):
        return ["--mode", self.mode, "--firmware", self.flash, "--kernel-hashes", "--kernel",
                self.kernel, "--initrd", self.initrd, "--append", self.append,
                *([] if self.mode == "sev" else ["--vcpus", str(self.vcpus), "--vcpu-type",
                MODEL])]

    def prepare(self):
        """Before the host runs: the platform's certificates, and keys for one launch."""
        self.ours("platform", "init", "--state", self.state)
        self.ours("platform", "export", "--state", self.state, "--out", self.file("chain"))
        self.ours("platform", "certs", "--state", self.state, "--out", self.file("certs"))
        if self.mode not in HAS_OWNER:
            return
        self.ours("owner", "session", *self.chain(), "--policy", str(POLICY[self.mode]),
                  "--out-dir", self.file("owner"), "--replace")
        say("owner", f"verified the platform's certificates; keys for one launch with policy "
                     f"{POLICY[self.mode]:#x}")

    def chain(self):
        return ["--chain", self.file("chain/chain"), "--root", self.file("chain/root")]

    def calculated(self):
        """The launch digest by sev-snp-measure; None: it is not there."""
        tool = f"{self.out}/sev-snp-measure-0.0.13/bin/sev-snp-measure"
        if not os.path.exists(tool):
            return None
        mode = {"sev": "sev", "sev-es": "seves", "sev-snp": "snp"}[self.mode]
        more = [] if mode == "sev" else ["--vcpus", str(self.vcpus), "--vcpu-type", MODEL]
        more += ["--guest-features", "0x1"] if mode == "snp" else []
        return subprocess.run([tool, "--mode", mode, "--ovmf", self.flash, "--kernel", self.kernel,
                               "--initrd", self.initrd, "--append", self.append, *more],
                              capture_output=True, text=True, check=True).stdout.strip()

    # --- SEV and SEV-ES -------------------------------------------------------------------------

    def answers(self, measurement, api, build):
        """The line that the host passes to QEMU: a sealed secret, and an MNONCE for a report."""
        save(self.file("measurement.b64"), measurement.encode())
        said = self.ours("owner", "measure", "--state", self.file("owner/owner.state"),
                         "--measurement", measurement, "--api", api, "--build", build,
                         *self.described())
        say("owner", f"computes the launch from the files: {said}")
        self.compare_measurement(base64.b64decode(measurement), api, build)
        self.ours("owner", "secret", "--state", self.file("owner/owner.state"), "--measurement",
                  measurement, "--secret", save(self.file("secret"), SECRET), "--guid",
                  SECRET_ENTRY, "--out-dir", self.file("owner"))
        say("owner", f"seals a secret of {len(SECRET)} bytes; its SHA-256: "
                     f"{hashlib.sha256(SECRET).hexdigest()}")
        nonce = base64.b64encode(os.urandom(16)).decode()
        save(self.file("nonce.b64"), nonce.encode())
        return " ".join([text_of(self.file("owner/secret-header.b64")),
                         text_of(self.file("owner/secret-payload.b64")), nonce])

    def compare_measurement(self, measurement, api, build):
        """MEASURE by sev-snp-measure's digest and the TIK [sev 7.5]."""
        digest = self.calculated()
        if not digest:
            return
        major, minor = (int(n) for n in api.split("."))
        tik = content(self.file("owner/tk.bin"))[16:]
        signed = struct.pack("<BBBBI", 4, major, minor, int(build), POLICY[self.mode]) + \
            bytes.fromhex(digest) + measurement[32:]
        if hmac.digest(tik, signed, "sha256") != measurement[:32]:
            raise Wrong(f"sev-snp-measure's digest {digest} gives another measurement")
        say("owner", f"sev-snp-measure has the same digest: {digest}")

    def verify_legacy(self, report):
        path = save(self.file("report.bin"), base64.b64decode(report))
        said = self.ours("owner", "verify", *self.chain(), "--report", path, "--nonce",
                         text_of(self.file("nonce.b64")), "--policy", str(POLICY[self.mode]),
                         *self.described())
        say_all("owner", said)

    # --- SNP ------------------------------------------------------------------------------------

    def verify_report(self, report):
        path = save(self.file("report.bin"), base64.b64decode(report))
        digest = self.calculated()
        if digest:
            say("owner", f"sev-snp-measure computes for QEMU's command line: {digest}")
        said = self.ours("owner", "verify", "--report", path, "--certs", self.file("certs"),
                         "--root", self.file("certs/ark.pem"), "--report-data",
                         f"{'softsev':<64}".encode().hex(), "--policy",
                         str(POLICY["sev-snp"]), *(["--digest", digest]
                         if digest else self.described()))
        say_all("owner", said)
        if digest and self.ours("owner", "measure", *self.described()).split()[0] != digest:
            raise Wrong("softsev owner measure computes another digest than sev-snp-measure")


    def verify_by_snpguest(self, report):
        path = save(self.file("snpguest.bin"), base64.b64decode(report))
        certificates = self.file("snpguest-certs")
        os.makedirs(certificates, exist_ok=True)
        for name in ("ark", "ask", "vcek"):
            save(f"{certificates}/{name}.pem", content(self.file(f"certs/{name}.pem")))
        for command in (["certs", certificates], ["attestation", certificates, path]):
            done = subprocess.run([self.snpguest, "verify", *command], capture_output=True,
                                  text=True, check=False)
            if done.returncode:
                raise Wrong(f"snpguest verify {command[0]}: {done.stdout}{done.stderr}".strip())
            say_all("snpguest", done.stdout.strip())


def say_all(who, text):
    for line in text.splitlines():
        say(who, line)


def place_of_secrets(flash):
    """The address in the table at the end of OVMF's image."""
    data = content(flash)
    at = data.rindex(uuid.UUID(SECRETS_TABLE).bytes_le)
    return struct.unpack("<I", data[at - 10:at - 6])[0]


def libraries(program):
    """What a program is linked with: (path in the guest, file)."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [(path.lstrip("/"), os.path.realpath(path))
            for path in re.findall(r"(/\S+) \(0x", said)]


def without_symbols(program, path):
    """They would not fit into the guest's memory."""
    subprocess.run(["strip", "-o", path, program], check=True)
    return path


def extra_archive(snpguest):
    spec = importlib.util.spec_from_file_location("pack_initrd", f"{TOOLS}/pack-initrd.py")
    packer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packer)
    archive = packer.Archive()
    archive.program("vmm-init", content(f"{TOOLS}/vmm-guest-init.sh"))
    if snpguest:
        archive.program("vmm-snpguest", content(f"{TOOLS}/vmm-guest-snpguest.sh"))
        for path, file in [("bin/snpguest", snpguest), *libraries(snpguest)]:
            packer.add_file(archive, path, file)
    archive.add("TRAILER!!!", 0)
    return archive.data


def pack(launch, init=f"{TOOLS}/vmm-init.sh", extra=()):
    """The host's initramfs: QEMU, KVM, and the guest's files."""
    ordinary = [path for path in glob.glob(f"{launch.out}/guest/linux-image-6.12*-amd64")
                if "cloud" not in path]
    if not ordinary:
        raise Wrong(f"there is no ordinary kernel 6.12 in {launch.out}/guest: see --help")
    path = launch.file("initrd-vmm.cpio")
    owner = [] if launch.mode not in HAS_OWNER else [
        f"{launch.file('owner/godh.b64')}=guest/godh.b64",
        f"{launch.file('owner/session.b64')}=guest/session.b64"]
    subprocess.run([f"{TOOLS}/pack-vmm.py", f"{launch.out}/guest/busybox-static/bin/busybox", init,
                    ordinary[0], need(f"{launch.out}/qemu"), path, f"{launch.kernel}=guest/vmlinuz",
                    f"{launch.initrd}=guest/initrd.gz", f"{launch.flash}=guest/OVMF.fd",
                    f"{launch.file('append')}=guest/append", *owner, *extra], check=True)
    return path


class Screen:
    """What is shown of a run, line by line."""

    def __init__(self):
        self.command, self.count, self.counts, self.last = None, 0, {}, {}
        self.console = ""

    def flush(self):
        if self.command:
            times = f", {self.count} times" if self.count > 1 else ""
            say("firmware", f"{self.command}{times}")
        self.command, self.count = None, 0

    def firmware(self, event):
        name = event["event"]
        self.counts[name] = self.counts.get(name, 0) + 1
        self.last[name] = event
        if event["status"] != "SUCCESS" or SHOWN.match(name):
            shown = name if event["status"] == "SUCCESS" else f"{name}: {event['status']}"
            if shown != self.command:
                self.flush()
            self.command, self.count = shown, self.count + 1

    def line(self, text):
        self.flush()
        who, _, rest = text.partition(": ")
        if who in ("host", "guest") and rest != "no secret from an owner":  # in its initramfs
            say(who, rest if len(rest) < 400 else f"{rest[:60]}... ({len(rest)} characters)")

    def end(self):
        self.flush()
        rest = sum(count for name, count in self.counts.items() if not SHOWN.match(name))
        say("firmware", f"{sum(self.counts.values())} commands in all; {rest} are not shown: pages "
                        "given back, status, flushes")


class Host:
    """`softsev host` at work: its events one after another, and a keyboard."""

    def __init__(self, launch, initrd, words, *more):
        self.keys, theirs = pty.openpty()
        # A terminal, so that the machine's time waits for what is typed.
        self.run = subprocess.Popen(
            [launch.softsev, "host", "--json", "--trace", "command", "--kernel",
             need(f"{launch.out}/vmlinuz-host"), "--initrd", initrd, "--memory", "2G", "--state",
             launch.state, "--clock", "virtual", "--no-reboot", *more, "--append",
             f"console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests {words}"],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        os.close(theirs)
        self.limit = threading.Timer(TIMEOUT_S, self.run.kill)
        self.limit.start()

    def events(self):
        """(kind, value): a console's line without its end, a command, a step, the summary, or a
        line of an error."""
        line = ""
        for text in self.run.stdout:
            try:
                event = json.loads(text)
            except ValueError:
                yield "error", text.strip()
                continue
            if event["event"] == "console":
                line += event["text"].replace("\r", "")
                *whole, line = line.split("\n")
                yield from (("line", one) for one in whole)
            elif event["event"] in ("step", "summary"):
                yield event["event"], event
            elif "status" in event:
                yield "command", event
        yield "line", line

    def type(self, text):
        os.write(self.keys, text.encode() + b"\n")

    def end(self):
        self.limit.cancel()
        if self.run.poll() is None:
            self.run.kill()
        code = self.run.wait()
        os.close(self.keys)
        return code


def play(launch, host, screen):
    """Shows the run, and answers where the owner is asked. Returns the lines of the console."""
    lines = []
    for kind, value in host.events():
        if kind == "command":
            screen.firmware(value)
        elif kind == "step":
            say(value["who"], value["text"])
        elif kind == "error":
            say("softsev", value)
        elif kind == "line":
            lines.append(value)
            screen.line(value)
            measured = re.fullmatch("host: measurement: ([0-9a-zA-Z+/=]+)", value)
            if measured:
                status = screen.last["PLATFORM_STATUS"]
                host.type(launch.answers(measured[1], status["api"], str(status["build"])))
    screen.end()
    return lines


def found(pattern, lines):
    for line in lines:
        match = re.fullmatch(pattern, line)
        if match:
            return match[1]
    raise Wrong(f"no line of the console is \"{pattern}\"")


def check(launch, lines):
    if launch.mode == "sev-snp":
        launch.verify_report(found("guest: report over 'softsev': ([0-9a-zA-Z+/=]+)", lines))
        if launch.snpguest:
            found("(guest: snpguest derives keys)", lines)
            launch.verify_by_snpguest(found("guest: report by snpguest: ([0-9a-zA-Z+/=]+)", lines))
    elif launch.mode in HAS_OWNER:
        launch.verify_legacy(found("host: attestation report: ([0-9a-zA-Z+/=]+)", lines))
        digest = found("guest: sha256 of the launch's secret: ([0-9a-f]+)", lines)
        if digest != hashlib.sha256(SECRET).hexdigest():
            raise Wrong("the guest has another secret than its owner's")
        say("owner", "the guest has the secret")
    found("(host: QEMU has ended with status 0)", lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("softsev")
    parser.add_argument("out")
    parser.add_argument("mode", choices=POLICY)
    for name in ("--state", "--work", "--seed", "--flash", "--snpguest"):
        parser.add_argument(name)
    for name in ("--cpus", "--vcpus"):
        parser.add_argument(name, default=1, type=int)
    given = parser.parse_args()
    given.state = given.state or f"{given.out}/state"
    given.work = given.work or f"{given.out}/vmm"
    began = time.monotonic()
    host = None
    try:
        launch = Launch(given)
        launch.prepare()
        seed = ["--seed", given.seed] if given.seed else []
        words = f"mode={given.mode} vcpus={given.vcpus}"
        host = Host(launch, pack(launch), words, "--cpus", str(given.cpus), *seed)
        lines = play(launch, host, Screen())
        code = host.run.wait()
        if code:
            raise Wrong(f"softsev host has ended with status {code}")
        check(launch, lines)
    except (Wrong, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"run-vmm: {problem}")
    finally:
        if host:
            host.end()
    verdict = "nobody looked at the guest" if given.mode == "none" else "accepts the guest"
    say("owner", f"{verdict}, {time.monotonic() - began:.0f} s after the beginning")


if __name__ == "__main__":
    main()
