#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An owner on another computer: `softsev owner` and `softsev run --owner-dir`, with only files
passing between; and every reason for which that owner refuses.
"""
import hashlib
import json
import os
import shutil
import subprocess
import time

from story import APPEND, SECRET, SECRET_WORD, TIMEOUT, console, occurs, one_line, slow, tell, want

PUBLIC = {"chain", "platform.json", "godh.b64", "session.b64", "measurement.b64",
          "secret-header.b64", "secret-payload.b64"}


class Host:
    """`softsev run` at work, and the folder that its owner's messenger looks into."""

    def __init__(self, s, name, kernel=None, initrd=None, append=APPEND, wait="60", files=(),
                 mode="sev", more=()):
        self.s, self.wire = s, s.path(name)
        os.makedirs(self.wire, exist_ok=True)
        for path in files:
            shutil.copy(path, self.wire)
        self.run = subprocess.Popen(
            [s.softsev, "run", "--state", s.state, "--json", "--kernel", kernel or s.kernel,
             "--initrd", initrd or s.initrd, "--append",
             append, "--memory", "256", "--mode", mode, "--owner-dir", self.wire, "--owner-wait",
             wait, *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def get(self, name):
        path, end = os.path.join(self.wire, name), time.monotonic() + TIMEOUT
        while not os.path.exists(path):
            want(self.run.poll() is None, f"the host has ended before {name}: "
                                          f"{self.run.stderr.read() if self.run.poll() else ''}")
            want(time.monotonic() < end, f"the host gives no {name}")
            time.sleep(0.02)
        return path

    def send(self, *paths):
        for path in paths:
            shutil.copy(path, os.path.join(self.wire, os.path.basename(path) + ".part"))
            os.rename(os.path.join(self.wire, os.path.basename(path) + ".part"),
                      os.path.join(self.wire, os.path.basename(path)))

    def end(self):
        out, error = self.run.communicate(timeout=TIMEOUT)
        return self.run.returncode, [json.loads(line) for line in out.splitlines()], error.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.run.poll() is None:
            self.run.kill()
            self.run.communicate()


class Owner:
    """Everything the owner does, in a folder of its own."""

    def __init__(self, s, name, root="root"):
        self.s, self.home, self.root = s, s.path(name), os.path.join(platform(s), root)
        os.makedirs(self.home, exist_ok=True)
        self.state = self.file("owner.state")

    def file(self, name):
        return os.path.join(self.home, name)

    def session(self, chain, *more):
        return self.s.command("owner", "session", "--chain", chain, "--root", self.root,
                              "--out-dir", self.home, *more)

    def measure(self, host, *instead, kernel=None, initrd=None, append=APPEND):
        with open(host.get("measurement.b64"), encoding="ascii") as f:
            measurement = f.read()
        guest = ["--kernel", kernel or self.s.kernel, "--initrd", initrd or self.s.initrd,
                 "--append", append, "--memory", "256",
                 "--owner-secret"]
        return self.s.command("owner", "measure", "--state", self.state, "--platform",
                              host.get("platform.json"), "--measurement",
                              measurement, *(instead or guest))

    def seal(self, *more):
        return self.s.command("owner", "secret", "--state", self.state, "--secret", self.s.secret,
                              "--out-dir", self.home, *more)


def platform(s):
    folder = s.path("exported")
    if not os.path.exists(folder):
        code, _, error = s.command("platform", "init", "--state", s.state)
        want(code == 0, error)
        code, _, error = s.command("platform", "export", "--state", s.state, "--out", folder)
        want(code == 0, error)
    return folder


def good(result):
    want(result[0] == 0, result)


def the_guest_gets_the_secret_of_an_owner_elsewhere(s):
    owner = Owner(s, "home")
    with Host(s, "wire") as host:
        good(owner.session(host.get("chain")))
        host.send(owner.file("godh.b64"), owner.file("session.b64"))
        good(owner.measure(host))
        good(owner.seal())
        host.send(owner.file("secret-header.b64"), owner.file("secret-payload.b64"))
        code, events, error = host.end()
    want(code == 0, error)
    want(hashlib.sha256(SECRET).hexdigest() in console(events), "the guest has no secret")
    want(set(os.listdir(host.wire)) == PUBLIC, f"what passed between: {os.listdir(host.wire)}")
    for folder in (host.wire, s.state):
        for name in os.listdir(folder):
            want(not os.path.getsize(os.path.join(folder, name))
                 or not occurs(os.path.join(folder, name), SECRET_WORD), name)
    with open(owner.file("tk.bin"), "rb") as f:
        keys = f.read()
    for name in os.listdir(host.wire):
        want(not occurs(os.path.join(host.wire, name), keys[:16], keys[16:]),
             f"the owner's keys are in {name}")


def a_session_made_beforehand_serves_and_launched_bytes_are_what_explain_says(s):
    owner = Owner(s, "home2")
    good(owner.session(os.path.join(platform(s), "chain")))
    dump = s.path("launched")
    code, said, error = s.command("owner", "explain", "--kernel", s.kernel, "--initrd", s.initrd,
                                  "--append", APPEND, "--memory", "256",
                                  "--owner-secret", "--dump", dump, "--json")
    want(code == 0, error)
    with open(dump, "rb") as f:
        want(hashlib.sha256(f.read()).hexdigest() == json.loads(said)["digest"],
             "the dump has another digest")
    with Host(s, "wire2", files=[owner.file("godh.b64"), owner.file("session.b64")]) as host:
        good(owner.measure(host, "--launch", dump))
        good(owner.seal())
        host.send(owner.file("secret-header.b64"), owner.file("secret-payload.b64"))
        code, events, error = host.end()
    want(code == 0 and hashlib.sha256(SECRET).hexdigest() in console(events), error)
    os.unlink(dump)


def what_was_not_launched_as_the_owner_knows_it_gets_no_secret(s):
    """The host has another kernel, initramfs or command line than the owner; each differs in one
    place."""
    def changed(path, name, at):
        with open(path, "rb") as f:
            data = bytearray(f.read())
        data[at] ^= 1
        return s.write(name, bytes(data))

    size = os.path.getsize(s.kernel)
    cases = [("kernel", {"kernel": changed(s.kernel, "evil-kernel", size // 2)}),
             ("initrd", {"initrd": changed(s.initrd, "evil-initrd",
                                           os.path.getsize(s.initrd) - 9)}),
             ("longer-initrd", {"initrd": s.initrd_with("evil-initrd2",
                                                        "#!/bin/sh\ncat /secret/secret\n")}),
             ("append", {"append": APPEND + " init=/bin/sh"})]
    for name, evil in cases:
        owner = Owner(s, "home3-" + name)
        good(owner.session(os.path.join(platform(s), "chain")))
        with Host(s, "wire3-" + name, wait="1", files=[owner.file("godh.b64"),
                                                       owner.file("session.b64")], **evil) as host:
            code, _, error = owner.measure(host)
            want(code == 4 and "measurement" in one_line(error), (name, code, error))
            code, _, error = owner.seal()
            want(code == 4 and not os.path.exists(owner.file("secret-payload.b64")),
                 (name, code, error))
            code, events, error = host.end()  # nothing comes; the host gives up
        want(code == 4 and "secret-header.b64" in one_line(error), (name, code, error))
        want(console(events) == "", f"{name}: the guest ran without its owner's leave")


def a_platform_that_is_not_genuine_gets_no_session(s):
    other = s.path("other-state")
    good(s.command("platform", "init", "--state", other))
    good(s.command("platform", "export", "--state", other, "--out", s.path("other")))
    owner = Owner(s, "home4")
    with open(os.path.join(platform(s), "chain"), "rb") as f:
        chain = f.read()
    # PDH, its signature, PEK, OCA, CEK
    for at in (0x20, 2084 - 1500, 2084 + 0x40, 2 * 2084 + 0x40, 3 * 2084 + 0x40):
        bad = bytearray(chain)
        bad[at] ^= 0x10
        code, _, error = owner.session(s.write("bad-chain", bytes(bad)))
        want(code == 4 and "certificate" in one_line(error), (at, code, error))
    owner.root = s.path("other", "root")
    code, _, error = owner.session(os.path.join(platform(s), "chain"))
    want(code == 4, (code, error))
    one_line(error)
    want(not os.path.exists(owner.file("session.b64")), "a session was made")
    # The same in one program.
    code, events, error = s.linux("sev", "--owner-secret", s.secret, "--owner-root", owner.root)
    want(code == 4 and console(events) == "", (code, error))
    one_line(error)


def a_secret_for_one_launch_is_refused_in_another(s):
    owner = Owner(s, "home5")
    good(owner.session(os.path.join(platform(s), "chain")))
    session = [owner.file("godh.b64"), owner.file("session.b64")]
    with Host(s, "wire5", files=session) as host:
        good(owner.measure(host))
        good(owner.seal())
    with Host(s, "wire6", files=session) as host:
        host.get("measurement.b64")
        host.send(owner.file("secret-header.b64"), owner.file("secret-payload.b64"))
        code, events, error = host.end()
    want(code == 5 and "LAUNCH_SECRET" in one_line(error) and console(events) == "", (code, error))
    for name in ("secret-header.b64", "secret-payload.b64"):
        want(os.path.exists(os.path.join(host.wire, name)), "the exchange is gone")


def what_is_no_session_is_said_to_be_none(s):
    owner = Owner(s, "home7")
    good(owner.session(os.path.join(platform(s), "chain"), "--policy", "5"))
    with Host(s, "wire7", wait="0", files=[s.write("godh.b64", b"AAAA\n"),
                                           owner.file("session.b64")]) as host:
        code, _, error = host.end()
    want(code == 3 and "godh.b64" in one_line(error), (code, error))
    with Host(s, "wire8", wait="0", files=[owner.file("godh.b64"),
                                           owner.file("session.b64")]) as host:
        code, _, error = host.end()
    want(code == 5 and "LAUNCH_START" in one_line(error), (code, error))  # made for another policy


if __name__ == "__main__":
    tell(
        the_guest_gets_the_secret_of_an_owner_elsewhere,
        a_session_made_beforehand_serves_and_launched_bytes_are_what_explain_says,
        slow(what_was_not_launched_as_the_owner_knows_it_gets_no_secret),
        a_platform_that_is_not_genuine_gets_no_session,
        slow(a_secret_for_one_launch_is_refused_in_another),
        what_is_no_session_is_said_to_be_none,
    )
