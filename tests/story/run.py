#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job from outside: boots, the secret and where it must not be, equal runs, several VMs on
one machine."""
import hashlib
import json
import os
import re

from story import SECRET, SECRET_WORD, console, occurs, slow, steps, summary, tell, want

DIGEST = hashlib.sha256(SECRET).hexdigest()
MARKER = "marker=the-command-line-is-private-too"
# Text that the kernel, busybox and /init keep in memory, the marker as the kernel and a process
# have it, and the secret.
PRIVATE = [b"Memory Encryption Features active", b"software IO TLB: Memory encryption is active",
           b"BusyBox v1.",
           b"guest: no secret from an owner", MARKER.encode()]
SHARED = b"guest: hello on the virtio console"


def a_plain_kernel_boots_and_powers_off(s):
    code, events, error = s.linux("none")
    want(code == 0, error)
    want("guest: Linux 6." in console(events), "userland was not reached")
    want("Memory Encryption Features" not in console(events),
         "a plain guest believes in encryption")
    vm = summary(events)["vms"][0]
    want(vm["state"] == "powered off" and vm["measurement"] == "" and vm["private_pages"] == 0, vm)


def an_encrypted_kernel_finds_its_owners_secret_and_nobody_else_does(s):
    dram, trace = s.path("dram"), s.path("trace")
    code, events, error = s.linux("sev", "--owner-secret", s.secret, "--virtio-console", "--dump",
                                  dram, "--trace", "all",
                                  "--trace-file", trace, append=MARKER)
    want(code == 0, error)
    text = console(events)
    want("Memory Encryption Features active: AMD SEV" in text, "the guest does not see SEV")
    want(f"sha256 of the owner's secret: {DIGEST}" in text,
         "the guest does not print the secret's digest")
    private, shared = (e["text"] for e in events if e["event"] == "step" and e["who"] == "host")
    want("(private)" in private and '"console' in private.split(", where")[1], private)
    want("636f6e73" not in private, "the host reads the command line")
    want("guest: hello on" in shared, "the host does not read a shared page")
    vm = summary(events)["vms"][0]
    want(vm["state"] == "powered off" and re.fullmatch("[0-9a-f]{64}", vm["measurement"]), vm)
    want(vm["private_pages"] > 10000 and vm["exits"]["io"] > 0
         and summary(events)["instructions"] > 10**8, summary(events))
    want(set(summary(events)["phases_ns"]) == {"files", "platform", "launch", "guest"},
         summary(events))
    want(os.path.getsize(dram) >= 512 << 20, "not all of DRAM is in the dump")
    want(occurs(dram, SECRET_WORD, *PRIVATE) == [],
         f"readable in DRAM: {occurs(dram, SECRET_WORD, *PRIVATE)}")
    want(occurs(dram, SHARED), "a shared page is not readable, or the search finds nothing")
    os.unlink(dram)
    want(occurs(trace, b"UNLOAD") != [], "the trace ends before the machine does")
    want(occurs(trace, SECRET_WORD) == [] and os.path.getsize(trace) > 10000,
         "the secret is in the trace, or there is none")
    want(SECRET_WORD.decode() not in json.dumps(events) + error,
         "the secret is in what was printed")
    for folder, _, names in os.walk(s.state):
        for name in names:
            want(occurs(os.path.join(folder, name), SECRET_WORD) == [],
                 f"the secret is in the state directory: {name}")


def under_sev_es_the_registers_are_the_guests_own_too(s):
    dram = s.path("dram")
    code, events, error = s.linux("sev-es", "--owner-secret", s.secret, "--virtio-console",
                                  "--dump", dram, append=MARKER)
    want(code == 0, error)
    text = console(events)
    want("Memory Encryption Features active: AMD SEV SEV-ES" in text,
         "the guest does not see SEV-ES")
    want(f"sha256 of the owner's secret: {DIGEST}" in text,
         "the guest does not print the secret's digest")
    want("LAUNCH_UPDATE_VMSA" in steps(events, "hypervisor"), "the registers were not launched")
    want("equal" in steps(events, "owner"), "the owner did not compare measurements")
    vm = summary(events)["vms"][0]
    want(vm["state"] == "powered off", vm)
    # What were exits are requests now: the host hears only what the guest tells it.
    want(all(vm["exits"][kind] == 0 for kind in ("io", "msr", "cpuid")), vm)
    want(all(vm["vmgexits"][kind] > 0 for kind in ("msr_protocol", "cpuid", "io", "mmio", "msr")),
         vm)
    want(vm["exits"]["vmgexit"] == sum(vm["vmgexits"].values()) and vm["vmgexits"]["refused"] == 0,
         vm)
    want(occurs(dram, SECRET_WORD, *PRIVATE) == [],
         f"readable in DRAM: {occurs(dram, SECRET_WORD, *PRIVATE)}")
    os.unlink(dram)
    code, _, error = s.linux("sev-es", "--policy", "1")
    want(code == 2 and "--policy 0x1: bit 2 (ES) must be one under sev-es, as in 0x5" in error,
         (code, error))


def while_it_runs_the_secret_is_not_in_dram_either(s):
    """The machine is stopped while a process of the guest holds the secret open, has read it, and
    sleeps."""
    dram = s.path("dram")
    init = ("#!/bin/sh\nmount -t proc proc /proc; mount -t devtmpfs dev /dev\n"
            "secret=$(cat /secret/secret)\necho \"guest: holds $(echo \"$secret\" | sha256sum | "
            "cut -d' ' -f1)\"\n"
            "sleep 1000\n")
    initrd = s.initrd_with("hold.cpio", init)
    for mode, more in (("sev", ["--owner-secret", s.secret]), ("none", [])):
        if mode == "none":  # the control: the same guest, with the secret in its initramfs
            initrd = s.initrd_with("hold.cpio", init, [("secret", 0o40755, b""),
                                                       ("secret/secret", 0o100644, SECRET)])
        code, events, error = s.linux(mode, *more, "--dump", dram, "--limit", "2", "--clock",
                                      "virtual", initrd=initrd, append=MARKER)
        want(code == 9 and "still running" in error, (code, error))
        want(f"guest: holds {DIGEST}" in console(events), console(events)[-400:])
        found = occurs(dram, SECRET_WORD, MARKER.encode())
        want(found == ([] if mode == "sev" else [SECRET_WORD, MARKER.encode()]),
             f"--mode {mode}: the host reads {found}")
        os.unlink(dram)


def without_encryption_the_host_reads_all_of_it(s):
    """The control of the searches above."""
    dram = s.path("dram")
    code, _, error = s.linux("none", "--virtio-console", "--dump", dram, append=MARKER)
    want(code == 0, error)
    want(occurs(dram, SHARED, *PRIVATE) == [SHARED, *PRIVATE],
         f"the search finds only {occurs(dram, SHARED, *PRIVATE)}")
    os.unlink(dram)


@slow
def two_boots_from_one_seed_are_equal_to_the_byte(s):
    def boot(*more):
        code, out, error = s.command("run", "--kernel", s.kernel, "--initrd", s.initrd, "--append",
                                     "console=ttyS0 panic=-1 "
                                     "cryptomgr.notests", "--mode", "sev", "--owner-secret",
                                     s.secret, "--trace-hash", "--json", *more,
                                     env={"SOFTSEV_STATE": s.state})
        want(code == 0, error)
        events = [json.loads(line) for line in out.splitlines() if line.startswith(b'{"event"')]
        last = summary(events)
        want(len(last["trace_sha256"]) == 64, "no trace hash")
        measurement = last["vms"][0]["measurement"]
        return last["trace_sha256"], last["instructions"], measurement, console(events)

    first = boot("--seed", "story", "--time", "1000000000")
    want(first == boot("--seed", "story", "--time", "1000000000"), "two runs differ")
    want(first == boot("--seed", "story", "--time", "1000000000", "--trace", "all", "--trace-file",
                       s.path("trace")),
         "a run that is traced differs")
    other = boot("--seed", "another", "--time", "1000000000")
    want(first[0] != other[0] and first[2] != other[2], "another seed gives the same run")


@slow
def a_recorded_session_repeats_to_the_byte(s):
    record, again = s.path("record"), s.path("again")
    s.write("record",
            b"softsev recording 1\n2000000000 0 %b0a\n3000000000 0 %b0a\nend\n" %
            (b"echo $((6*7))".hex().encode(), b"poweroff -f".hex().encode()))

    def session(*more):
        code, events, error = s.linux("none", "--seed", "session", "--trace-hash", *more,
                                      append="shell")
        want(code == 0, error)
        return console(events).replace("\r", ""), summary(events)["trace_sha256"]

    first = session("--replay", record, "--record", again)
    want("\n42\n" in first[0], "the guest's shell did not get its input")
    want(first == session("--replay", again), "two replays differ")
    code, _, error = s.linux("none", "--replay", s.write("bad",
            b"softsev recording 1\nnow 0 zz\nend\n"))
    want(code == 3 and "TIME VM HEX" in error, (code, error))


def two_encrypted_vms_and_a_plain_one_share_a_machine(s):
    vm = {"kernel": s.kernel, "initrd": s.initrd,
          "append": f"console=ttyS0 panic=-1 cryptomgr.notests {MARKER}", "memory": 256}
    bobs = s.write("bobs", b"another word, and bob's alone: 71d0c6\n")
    machine = s.write("machine.json", json.dumps({"vms": [
        dict(vm, name="alice", mode="sev", **{"owner-secret": s.secret}),
        dict(vm, name="bob", mode="sev", **{"owner-secret": bobs}),
        dict(vm, name="carol")]}).encode())
    dram = s.path("dram")
    code, events, error = s.run("--machine", machine, "--dump", dram)
    want(code == 0, error)
    theirs = {"alice": DIGEST,
            "bob": hashlib.sha256(b"another word, and bob's alone: 71d0c6\n").hexdigest()}
    for name in ("alice", "bob", "carol"):
        text = console(events, name)
        want([n for n, d in theirs.items() if d in text] == ([name] if name != "carol" else []),
             f"{name} has the wrong secret")
        want(("active: AMD SEV" in text) == (name != "carol"), "encryption is mixed up")
    want(all(v["state"] == "powered off" for v in summary(events)["vms"]), summary(events))
    first = {e["vm"]: i for i, e in reversed(list(enumerate(events))) if e["event"] == "console"}
    last = {e["vm"]: i for i, e in enumerate(events) if e["event"] == "console"}
    want(max(first.values()) < min(last.values()), "the VMs did not take turns")
    # Equal plaintext at each VM's command line, and the host's look at it: two ciphertexts, and
    # carol's text.
    looks = {m[1]: m[2]
            for m in re.finditer(r"looks at (\w+)'s memory at \S+ \([^)]*\): ([0-9a-f]{32})",
                                 steps(events, "host"))}
    want(len(set(looks.values())) == 3 and looks["carol"] == b"console=ttyS0 pa".hex(), looks)
    measurements = {v["measurement"] for v in summary(events)["vms"]}
    want(len(measurements) == 3, "two owners' launches have one measurement")
    want(len(re.findall("slot of ASID", steps(events, "hypervisor"))) == 2 and
         len(set(re.findall(r"slot of ASID (\d+)", steps(events, "hypervisor")))) == 2,
         "one ASID for two guests")
    want(occurs(dram, SECRET_WORD, b"and bob's alone") == [], "a secret is readable in DRAM")
    os.unlink(dram)


def a_person_sees_each_vms_lines_by_name(s):
    vm = {"kernel": s.kernel, "initrd": s.initrd,
          "append": "console=ttyS0 panic=-1 cryptomgr.notests", "memory": 256}
    machine = s.write("machine.json", json.dumps({"vms": [dict(vm, name="dora"),
            dict(vm, name="emil")]}).encode())
    # A seed: who writes in the middle of whose line is the same each time.
    code, out, error = s.command("run", "--seed", "lines", "--machine", machine)
    want(code == 0, error)
    for name in (b"dora", b"emil"):
        want(re.search(rb"(?m)^\[" + name + rb"\] guest: Linux 6\.", out), f"no line of {name}")


tell(
    a_plain_kernel_boots_and_powers_off,
    an_encrypted_kernel_finds_its_owners_secret_and_nobody_else_does,
    under_sev_es_the_registers_are_the_guests_own_too,
    while_it_runs_the_secret_is_not_in_dram_either,
    without_encryption_the_host_reads_all_of_it,
    two_boots_from_one_seed_are_equal_to_the_byte,
    a_recorded_session_repeats_to_the_byte,
    two_encrypted_vms_and_a_plain_one_share_a_machine,
    a_person_sees_each_vms_lines_by_name,
)
