#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else controls: nothing blocks, nothing large is read in vain, no foreign
state is used, no link is written through, and what is printed goes nowhere but where it belongs.
"""
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import time

from story import one_line, quick, tell, want

NOBODY = 65534
HALT = ".globl _start\n_start: mov $0x10, %eax\nout %al, $0xf4\nhlt\n"


def platform(s):
    want(s.command("platform", "init", "--state", s.state)[0] == 0, "platform init")


def refused(s, code, words, *arguments):
    start = time.monotonic()
    got, _, error = s.command(*arguments)
    want(got == code and all(w in one_line(error) for w in words), (arguments, got, error))
    want(time.monotonic() - start < 20, (arguments, "took too long"))


def copy(s, name):
    state = s.path(name)
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(s.state, state)
    return state


@quick
def a_state_file_that_is_something_else_is_refused_at_once(s):
    platform(s)
    for name in ("fuses", "store", "authority", "cek"):
        state = copy(s, "state-pipe")
        os.unlink(os.path.join(state, name))
        os.mkfifo(os.path.join(state, name), 0o600)
        refused(s, 7, [name, "not a regular file"], "platform", "status", "--state", state)
        state = copy(s, "state-link")
        os.rename(os.path.join(state, name), s.path("elsewhere"))
        os.symlink(s.path("elsewhere"), os.path.join(state, name))
        refused(s, 7, [name, "not a regular file"], "platform", "status", "--state", state)
        state = copy(s, "state-sparse")
        os.truncate(os.path.join(state, name), 2 << 30)
        refused(s, 7, [name, "too long"], "platform", "status", "--state", state)
        state = copy(s, "state-open")
        os.chmod(os.path.join(state, name), 0o644)
        refused(s, 3, [name, "0600"], "platform", "status", "--state", state)


@quick
def somebody_elses_state_directory_is_not_used(s):
    if os.geteuid():
        return
    platform(s)
    state = copy(s, "state-foreign")
    os.chown(state, NOBODY, NOBODY)
    refused(s, 3, [state, f"belongs to user {NOBODY}"], "platform", "status", "--state", state)
    refused(s, 3, [state, f"belongs to user {NOBODY}"], "kds", "--listen", "127.0.0.1:0", "--state",
            state)
    os.makedirs(s.path("state-trap"), 0o700)
    os.chown(s.path("state-trap"), NOBODY, NOBODY)
    refused(s, 3, ["belongs to user"], "platform", "init", "--state", s.path("state-trap"))
    want(os.listdir(s.path("state-trap")) == [], "something was written into somebody else's "
                                                 "folder")
    state = copy(s, "state-file")
    os.chown(os.path.join(state, "authority"), NOBODY, NOBODY)
    refused(s, 3, ["authority", f"belongs to user {NOBODY}"], "platform", "status", "--state",
            state)
    state = copy(s, "state-shared")
    os.chmod(state, 0o777)
    refused(s, 3, ["open to other users"], "platform", "status", "--state", state)


@quick
def a_temporary_file_that_waits_as_a_link_catches_nothing(s):
    platform(s)
    state = copy(s, "state-waiting")
    caught = s.write("caught", b"precious")
    for name in os.listdir(state):
        os.symlink(caught, os.path.join(state, name + ".new"))
    want(s.command("platform", "pek-gen", "--state", state)[0] == 0, "pek-gen")
    with open(caught, "rb") as f:
        want(f.read() == b"precious", "a link was written through")


@quick
def no_output_takes_the_place_of_a_platforms_state(s):
    platform(s)
    kernel = s.build("kept", HALT)
    held = {n: open(os.path.join(s.state, n), "rb").read() for n in ("fuses", "store", "authority",
            "cek")}
    run = ["run", "--mode", "sev", "--kernel", kernel, "--memory", "16M", "--state", s.state]
    for name in held:
        at = os.path.join(s.state, name)
        for option in (["--trace", "all", "--trace-file", at], ["--record", at], ["--dump", at]):
            refused(s, 3, [at, "platform's state"], *run, *option)
        refused(s, 3, [at, "platform's state"], "platform", "id", "--state", s.state, "--out", at)
        refused(s, 3, [at, "platform's state"], "with", "--state", s.state, "--trace", "all",
                "--trace-file", at, "--", "true")
        refused(s, 3, [at, "platform's state"], "owner", "explain", "--kernel", kernel, "--mode",
                "snp", "--dump", at)
    for name, before in held.items():
        want(open(os.path.join(s.state, name), "rb").read() == before, f"{name} has changed")


@quick
def no_output_takes_the_place_of_an_input(s):
    kernel = s.build("input", HALT)
    before = open(kernel, "rb").read()
    link, new = s.path("input-link"), s.path("two-writers")
    os.link(kernel, link)
    for at in (kernel, link):
        refused(s, 2, ["--dump", "--kernel", at], "run", "--kernel", kernel, "--dump", at)
        refused(s, 2, ["--dump", "--kernel", at], "owner", "explain", "--mode", "snp", "--kernel",
                kernel, "--dump", at)
        refused(s, 2, ["--dump", "--disk", at], "run", "--kernel", "/dev/null", "--disk", kernel,
                "--dump", at)
        refused(s, 2, ["--record", "--replay", at], "run", "--kernel", "/dev/null", "--record", at,
                "--replay", kernel)
    refused(s, 2, ["--record", "--trace-file"], "run", "--kernel", kernel, "--trace", "all",
            "--record", new,
            "--trace-file", new)
    for again in (new, os.path.join(s.folder, ".", "two-writers"),
                  os.path.join(s.folder, "..", os.path.basename(s.folder), "two-writers")):
        refused(s, 2, ["--record", "--trace-file"], "run", "--kernel", kernel, "--trace", "all",
                "--record", new, "--trace-file", again)
    want(open(kernel, "rb").read() == before and not os.path.exists(new), "something was written")
    for member in ("kernel", "initrd", "firmware", "disk", "owner-secret", "owner-root"):
        vm = {"kernel": "/dev/null", "mode": "sev", "owner-secret": s.secret, member: kernel}
        machine = s.write("machine-outputs", json.dumps({"vms": [vm]}).encode())
        for option in (["--dump"], ["--record"], ["--trace", "all", "--trace-file"]):
            refused(s, 2, ["vms[0]", option[-1], f"'{member}'", f"{link} would be overwritten"],
                    "run", "--machine", machine, *option, link)
    refused(s, 2, ["--dump", "--machine", machine], "run", "--machine", machine, "--dump", machine)


@quick
def no_folder_of_outputs_takes_the_place_of_an_input(s):
    platform(s)
    chain, home = s.path("chain-in"), s.path("folder-in")
    want(s.command("platform", "export", "--state", s.state, "--out", chain)[0] == 0, "export")
    os.mkdir(home)
    begin = ["owner", "session", "--chain", chain + "/chain", "--root", chain + "/root",
             "--out-dir", home]
    want(s.command(*begin)[0] == 0, "session")
    shutil.copy(chain + "/chain", home + "/godh.b64")
    shutil.copy(s.secret, home + "/secret-payload.b64")
    shutil.copy(s.build("in", HALT), home + "/id-auth.bin")
    held = {n: open(os.path.join(home, n), "rb").read() for n in os.listdir(home)}
    refused(s, 2, ["--out-dir", "--chain", home + "/godh.b64 would be overwritten"], *begin[:2],
            "--replace", "--chain", home + "/godh.b64", *begin[4:])
    refused(s, 2, ["--out-dir", "--kernel", home + "/id-auth.bin would be overwritten"], "owner",
            "id-block", "--new-id-key", "--mode", "snp", "--kernel",
            home + "/id-auth.bin", "--out-dir", home)
    for member, name in (("kernel", "chain"), ("initrd", "platform.json"),
                         ("disk", "measurement.b64")):
        shutil.copy(home + "/id-auth.bin", os.path.join(chain, name))
        vm = {"kernel": home + "/id-auth.bin", "mode": "sev", "owner-dir": chain,
              member: os.path.join(chain, name)}
        words = ["owner-dir", member, f"{name} would be overwritten"]
        refused(s, 2, words, "run", *(w for k, v in vm.items() for w in ("--" + k, v)))
        refused(s, 2, ["vms[0]", *words], "run", "--machine",
                s.write("machine-folder", json.dumps({"vms": [vm]}).encode()))
    refused(s, 2, ["--dump", "owner-dir", "would be overwritten"], "run", "--kernel",
            home + "/id-auth.bin", "--mode", "sev", "--owner-dir", chain, "--dump",
            chain + "/platform.json")
    want(held == {n: open(os.path.join(home, n), "rb").read() for n in os.listdir(home)},
         "something was written")


@quick
def a_key_is_not_made_over_another(s):
    make = ["owner", "id-block", "--digest", "00" * 48, "--out-dir", s.path("keys"), "--new-id-key",
            "--new-author-key"]
    want(s.command(*make)[0] == 0, "id-block")
    key = os.path.join(s.path("keys"), "id-key.pem")
    before = open(key, "rb").read()
    refused(s, 3, [key, "is there already"], *make)
    want(open(key, "rb").read() == before, "the ID key has changed")
    want(s.command(*make, "--replace")[0] == 0 and open(key, "rb").read() != before,
         "--replace does not replace")


@quick
def a_session_is_not_made_over_another(s):
    """A guest that was launched with it would be lost to its owner."""
    platform(s)
    chain = s.path("chain-of-session")
    want(s.command("platform", "export", "--state", s.state, "--out", chain)[0] == 0, "export")
    for name, make in (("session", ["--chain", chain + "/chain", "--root", chain + "/root"]),
                       ("hello", [])):
        home = s.path(name + "-twice")
        make = ["owner", name, *make, "--out-dir", home]
        want(s.command(*make)[0] == 0, make)
        held = {n: open(os.path.join(home, n), "rb").read() for n in os.listdir(home)}
        refused(s, 3, [home, "is there already", "--replace"], *make)
        want(all(open(os.path.join(home, n), "rb").read() == held[n] for n in held),
             "something has changed")
        want(s.command(*make, "--replace")[0] == 0, "--replace")
        want(all(open(os.path.join(home, n), "rb").read() != held[n] for n in held),
             "--replace does not replace the whole set")
    # tk.bin alone is enough to seal secrets
    os.unlink(os.path.join(s.path("session-twice"), "owner.state"))
    refused(s, 3, ["tk.bin", "is there already", "--replace"], "owner", "session", "--chain",
            chain + "/chain", "--root", chain + "/root",
            "--out-dir", s.path("session-twice"))


@quick
def a_damaged_store_waits_for_a_reset(s):
    platform(s)
    state = copy(s, "state-damaged")
    with open(os.path.join(state, "store"), "r+b") as f:
        f.seek(100)
        f.write(b"damaged")
    before = open(os.path.join(state, "store"), "rb").read()
    refused(s, 7, ["store", "platform reset"], "platform", "status", "--state", state)
    refused(s, 7, ["store", "platform reset"], "platform", "pek-gen", "--state", state)
    want(open(os.path.join(state, "store"), "rb").read() == before, "the damaged store has changed")
    want(s.command("platform", "reset", "--state", state)[0] == 0, "reset")
    want(s.command("platform", "status", "--state", state)[0] == 0, "status after the reset")
    for lost in ("fuses", "authority"):
        state = copy(s, "state-lost")
        os.unlink(os.path.join(state, lost))
        code, _, _ = s.command("platform", "init", "--state", state)
        want(code == 7 and not os.path.exists(os.path.join(state, lost)),
             f"{lost} were made anew beside what they had made")


@quick
def a_lost_member_is_damage_and_the_error_says_what_makes_a_new_one(s):
    platform(s)
    held = sorted(n for n in os.listdir(s.state) if n != "lock")
    want(held == ["authority", "cek", "committed", "fuses", "profile", "store"], held)
    for name in held:
        state = copy(s, "state-without")
        os.unlink(os.path.join(state, name))
        if name == "cek":  # chip and authority are there: the same key is signed again
            want(s.command("platform", "status", "--state", state)[0] == 0,
                 "the CEK was not signed anew")
            continue
        at = os.path.join(state, name)
        for command in (["platform", "status"], ["platform", "init"],
                        ["platform", "export", "--out", s.path("never")],
                        ["with"], ["run", "--mode", "sev", "--kernel", s.build("lost", HALT),
                                   "--memory", "16M"]):
            refused(s, 7, [at, "is missing"], *command, "--state", state,
                    *(["--", "true"] if command == ["with"] else []))
        want(not os.path.exists(at), f"{name} was made anew")
    state = copy(s, "state-without")
    os.unlink(os.path.join(state, "store"))
    refused(s, 7, [f"softsev platform reset --state {state}"], "platform", "status", "--state",
            state)
    want(s.command("platform", "reset", "--state", state)[0] == 0, "reset")
    want(s.command("platform", "status", "--state", state)[0] == 0, "status after the reset")
    state = copy(s, "state-without")
    refused(s, 2, ["is a Milan", f"platform init --profile turin --state {state}"], "platform",
            "status", "--state", state, "--profile", "turin")
    refused(s, 2, ["is a Milan"], "platform", "export", "--state", state, "--profile", "genoa",
            "--out", s.path("never"))
    want(s.command("platform", "status", "--state", state, "--profile", "milan-1.55")[0] == 0,
         "other firmware of the same part")
    want(s.command("platform", "init", "--state", state, "--profile", "turin")[0] == 0,
         "another part")
    os.unlink(os.path.join(state, "profile"))
    refused(s, 7, ["--profile NAME"], "platform", "status", "--state", state)
    want(s.command("platform", "status", "--state", state, "--profile", "turin")[0] == 0,
         "the advice does not help")
    want(b"turin" in s.command("platform", "status", "--state", state)[1],
         "the profile was not kept")
    # One advice for store and profile together, whether they are lost or damaged.
    for store, profile in ((None, None), (b"x", None), (None, b"x"), (b"x", b"x")):
        state = copy(s, "state-without")
        for name, content in (("store", store), ("profile", profile)):
            os.unlink(os.path.join(state, name))
            if content:
                with open(os.path.join(state, name), "wb") as f:
                    os.fchmod(f.fileno(), 0o600)
                    f.write(content)
        told = []
        for step in (["status"], ["reset"], ["status", "--profile", "milan"]):
            code, _, error = s.command("platform", *step, "--state", state)
            want(code == 7, (store, profile, step, error))
            told.append(error)
        want(all("platform reset --profile NAME" in error for error in told[1:]), told)
        want(s.command("platform", "reset", "--profile", "milan", "--state", state)[0] == 0,
             (store, profile))
        want(s.command("platform", "status", "--state", state)[0] == 0, (store, profile))
    # A file that nothing but a copy brings back comes first.
    state = copy(s, "state-without")
    for name in ("store", "committed"):
        os.unlink(os.path.join(state, name))
    refused(s, 7, ["committed is missing"], "platform", "status", "--state", state)
    for name in os.listdir(state):
        if name != "authority":
            os.unlink(os.path.join(state, name))
    refused(s, 7, ["fuses is missing"], "platform", "init", "--state", state)


@quick
def a_directory_of_an_earlier_version_is_completed_once(s):
    platform(s)
    state = copy(s, "state-old")
    with open(os.path.join(state, "fuses"), "r+b") as f:
        frame = bytearray(f.read()[:-32])
        frame[8:12] = (1).to_bytes(4, "little")
        f.seek(0)
        f.write(bytes(frame) + hashlib.sha256(frame).digest())
    for name in ("profile", "committed"):
        os.unlink(os.path.join(state, name))
    chip = s.command("platform", "id", "--state", s.state)[1]
    want(s.command("platform", "id", "--state", state)[:2] == (0, chip),
         "an earlier directory does not open")
    for name in ("profile", "committed"):
        os.unlink(os.path.join(state, name))
        refused(s, 7, [name, "is missing"], "platform", "id", "--state", state)
        shutil.copy(os.path.join(s.state, name), os.path.join(state, name))


@quick
def what_only_reads_works_on_a_directory_that_cannot_be_written(s):
    """As somebody else than root, whom modes do not stop."""
    platform(s)
    state, out = copy(s, "state-read-only"), s.path("read-only-out")
    os.mkdir(out)
    other = {}
    if os.geteuid() == 0:
        other = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        os.chmod(s.folder, 0o755)
        for at in (out, state, *(os.path.join(state, n) for n in os.listdir(state))):
            os.chown(at, NOBODY, NOBODY)
    for name in os.listdir(state):
        os.chmod(os.path.join(state, name), 0o400)
    os.chmod(state, 0o500)
    held = {n: open(os.path.join(state, n), "rb").read() for n in os.listdir(state)}

    def command(*arguments):
        return subprocess.run([s.softsev, *arguments], capture_output=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL, **other)

    def all_work():
        for arguments in (["status"], ["id"], ["export", "--out", out + "/chain"],
                          ["certs", "--out", out + "/certs"],
                          ["pek-csr", "--out", out + "/csr"]):
            done = command("platform", *arguments, "--state", state)
            want(done.returncode == 0, (arguments, done))

    all_work()
    with open(os.path.join(state, "lock"), "rb") as f:
        fcntl.flock(f, fcntl.LOCK_SH)  # another reader
        all_work()
        fcntl.flock(f, fcntl.LOCK_EX)
        done = command("platform", "status", "--state", state)
        want(done.returncode == 8, done)
    for arguments in (["pek-gen"], ["reset"], ["init"], ["status", "--profile", "milan-1.55"]):
        done = command("platform", *arguments, "--state", state)
        want(done.returncode == 3 and state in one_line(done.stderr.decode())
             and b"cannot be written" in done.stderr, (arguments, done))
    want(held == {n: open(os.path.join(state, n), "rb").read() for n in os.listdir(state)},
         "something was written")
    os.chmod(state, 0o700)
    os.unlink(os.path.join(state, "lock"))
    os.chmod(state, 0o500)
    all_work()
    os.chmod(state, 0o700)


@quick
def pipes_and_sparse_files_cost_nothing(s):
    pipe, sparse, kernel = s.path("pipe"), s.path("sparse"), s.build("halt", HALT)
    os.mkfifo(pipe)
    with open(sparse, "wb") as f:
        f.truncate(2 << 30)
    for file, words in ((pipe, ["nobody writes"]), (sparse, ["1 MiB"])):
        refused(s, 3, words, "owner", "verify", "--report", file, "--root", file, "--certs", file)
        refused(s, 3, words, "owner", "measure", "--state", file, "--digest", "00" * 32,
                "--measurement", "AAAA", "--platform", file)
        refused(s, 3, words, "run", "--machine", file)
    refused(s, 6, ["memory"], "run", "--kernel", sparse, "--memory", "64")
    refused(s, 6, ["memory"], "run", "--kernel", kernel, "--initrd", sparse, "--memory", "64")
    refused(s, 3, ["nobody writes"], "run", "--kernel", pipe, "--memory", "64")
    refused(s, 3, ["nobody reads"], "run", "--kernel", kernel, "--memory", "16", "--trace", "all",
            "--trace-file", pipe)
    refused(s, 3, ["is a pipe"], "run", "--kernel", kernel, "--memory", "16", "--disk", pipe)


@quick
def a_recording_that_is_not_whole_is_not_replayed(s):
    kernel, pipe = s.build("replayed", HALT), s.path("recording-pipe")
    run = ["run", "--kernel", kernel, "--memory", "16", "--quiet"]
    os.mkfifo(pipe)
    refused(s, 3, [pipe, "nobody writes"], *run, "--replay", pipe)
    for text, words in ((b"", "not a recording"),
                        (b"softsev recording 2\nend\n", "not a recording"),
                        (b"softsev recording 1", "not a recording"),
                        (b"softsev recording 1\n", "line 2: the recording is cut short"),
                        (b"softsev recording 1\nend", "line 2: the recording is cut short"),
                        (b"softsev recording 1\n1000 0 61", "line 2: the recording is cut short"),
                        (b"softsev recording 1\n1000 0 61\n", "line 3: the recording is cut short"),
                        (b"softsev recording 1\n1000 1 61\nend\n", "of a VM that there is"),
                        (b"softsev recording 1\nend\n1000 0 61\n", "goes on after its end")):
        refused(s, 3, [words], *run, "--replay", s.write("recording", text))
    want(s.command(*run, "--record", s.path("recording"))[0] == 33, "record")
    want(s.command(*run, "--replay", s.path("recording"))[0] == 33,
         "what was recorded is not replayed")
    both = subprocess.run(["sh", "-c", f'cat "$1" >"$2" & "$0" {" ".join(run[:1])} --kernel "$3" '
                                       f'--memory 16 --quiet --replay "$2"', s.softsev,
                           s.path("recording"), pipe, kernel], capture_output=True, timeout=60,
                           check=False)
    want(both.returncode == 33, ("a recording through a pipe", both))


@quick
def a_missing_standard_descriptor_is_no_files(s):
    kernel, disk = s.build("halt", HALT), s.path("disk.img")
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        with open(disk, "wb") as f:
            f.truncate(65536)
        subprocess.run(["sh", "-c", f'"$0" run --kernel "$1" --memory 16 --disk "$2" {closed}',
                        s.softsev, kernel, disk],
                       capture_output=True, timeout=60, check=False)
        with open(disk, "rb") as f:
            want(f.read() == bytes(65536), (closed, "the disk has what was printed"))
    done = subprocess.run(["sh", "-c", '"$0" profiles >&-', s.softsev], capture_output=True,
                          timeout=60, check=False)
    want(done.returncode == 3 and b"standard output" in done.stderr, done)


@quick
def output_that_cannot_be_written_is_an_error(s):
    platform(s)
    kernel = s.build("halt", HALT)
    for options in (["--trace", "all", "--trace-file", "/dev/full"], ["--dump", "/dev/full"]):
        refused(s, 3, ["/dev/full", "No space left on device"], "run", "--kernel", kernel,
                "--memory", "16", "--quiet", *options)
    everything = subprocess.run(["sh", "-c",
                                 '"$0" run --kernel "$1" --memory 4 --quiet --dump /dev/stdout '
                                 '| wc -c; "$0" run --kernel "$1" --memory 4 '
                                 '--quiet --dump "$2"; wc -c <"$2"', s.softsev, kernel,
                                 s.path("whole-dump")], capture_output=True, timeout=60, check=True)
    want(len(set(everything.stdout.split())) == 1 and len(everything.stdout.split()) == 2,
         ("a pipe does not get all of the dump", everything))
    for arguments in (["run", "--kernel", kernel, "--memory", "16"],
                      ["platform", "status", "--state", s.state], ["profiles", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([s.softsev, *arguments], stdout=full, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, timeout=60, check=False)
        want(done.returncode == 3 and b"standard output cannot be written" in done.stderr
             and b"No space left on device" in done.stderr, (arguments, done))
    refused(s, 3, ["/dev/full"], "with", "--state", s.state, "--trace", "all", "--trace-file",
            "/dev/full", "--", "true")
    refused(s, 3, ["/dev/full"], "platform", "pek-csr", "--state", s.state, "--out", "/dev/full")
    victim = s.write("victim", b"precious")
    os.symlink(victim, s.path("trap"))
    refused(s, 3, ["symbolic link"], "platform", "pek-csr", "--state", s.state, "--out",
            s.path("trap"))
    refused(s, 3, ["symbolic link"], "run", "--kernel", kernel, "--memory", "16", "--quiet",
            "--dump", s.path("trap"))
    with open(victim, "rb") as f:
        want(f.read() == b"precious", "a link was written through")


@quick
def what_belongs_together_is_there_whole_or_not_at_all(s):
    platform(s)
    chain = s.path("chain-of-platform")
    want(s.command("platform", "export", "--state", s.state, "--out", chain)[0] == 0, "export")
    for name in ("tk.bin", "owner.state", "godh.b64"):
        home = s.path("owner-" + name)
        os.makedirs(os.path.join(home, name))  # a folder is where the file should be
        refused(s, 3, [name], "owner", "session", "--chain", chain + "/chain", "--root",
                chain + "/root", "--out-dir", home)
        want(os.listdir(home) == [name], (name, os.listdir(home)))
    home = s.path("owner-whole")
    want(s.command("owner", "session", "--chain", chain + "/chain", "--root", chain + "/root",
                   "--out-dir", home)[0] == 0, "session")
    want(sorted(os.listdir(home)) == ["godh.b64", "owner.state", "session.b64", "tk.bin"],
         os.listdir(home))
    want(all(stat.S_IMODE(os.stat(os.path.join(home, n)).st_mode) == 0o600
             for n in ("tk.bin", "owner.state")), "modes")


if __name__ == "__main__":
    tell(a_state_file_that_is_something_else_is_refused_at_once,
         somebody_elses_state_directory_is_not_used,
         a_temporary_file_that_waits_as_a_link_catches_nothing,
         no_output_takes_the_place_of_a_platforms_state, no_output_takes_the_place_of_an_input,
         no_folder_of_outputs_takes_the_place_of_an_input,
         a_key_is_not_made_over_another, a_session_is_not_made_over_another,
         a_damaged_store_waits_for_a_reset,
         a_lost_member_is_damage_and_the_error_says_what_makes_a_new_one,
         a_directory_of_an_earlier_version_is_completed_once,
         what_only_reads_works_on_a_directory_that_cannot_be_written,
         pipes_and_sparse_files_cost_nothing,
         a_recording_that_is_not_whole_is_not_replayed, a_missing_standard_descriptor_is_no_files,
         output_that_cannot_be_written_is_an_error,
         what_belongs_together_is_there_whole_or_not_at_all)
