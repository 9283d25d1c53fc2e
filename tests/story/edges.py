#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a run meets what is around it: what a seed leaves behind, readers that do not read,
kernels that panic, and VMs that want the same.
"""
import json
import os
import pty
import resource
import select
import signal
import subprocess
import time

from story import SAY_TEXT, one_line, quick, summary, tell, want

HALT = ".globl _start\n_start: mov $0x10, %eax\nout %al, $0xf4\nhlt\n"

# Writes a text to the serial line, and ends as it is told: by looping, a reset or a power-off.
WRITE = SAY_TEXT + """
    END
text: .asciz "TEXT"
"""
LOOP, RESET = "3: jmp 3b", "mov $0xfe, %al\n out %al, $0x64\n3: jmp 3b"
FLOOD = ".globl _start\n_start: mov $0x3f8, %dx\n mov $'x, %al\n1: out %al, %dx\n jmp 1b\n"


def writes(s, name, text, end):
    return s.build(name, WRITE.replace("TEXT", text).replace("END", end))


def under(folder):
    found = (os.path.join(at, n) for at, _, names in os.walk(folder) for n in names)
    return sorted(os.path.relpath(path, folder) for path in found)


def refused(s, words, *arguments):
    code, events, error = s.run(*arguments)
    want(code == 2 and not events, (arguments, code, error))
    want(all(w in one_line(error) for w in words), (words, error))


def machine_of(s, *vms, **common):
    machine = {"vms": [{**common, **vm} for vm in vms]}
    return "--machine", s.write("machine.json", json.dumps(machine).encode())


@quick
def a_seed_leaves_no_platform_behind(s):
    kernel, home = s.build("halt", HALT), s.path("home")
    os.makedirs(home)
    plain = {"HOME": home, "XDG_STATE_HOME": "", "XDG_CACHE_HOME": "", "SOFTSEV_STATE": ""}
    run = ("run", "--kernel", kernel, "--memory", "16", "--mode", "sev", "--json", "--trace-hash")

    def digest(*more, env=None):
        code, out, error = s.command(*run, *more, env={**plain, **(env or {})})
        want(code == 33, (code, error))
        return json.loads(out.splitlines()[-1])["trace_sha256"], error

    first, _ = digest("--seed", "known", "--time", "1")
    want(all(n.startswith(".cache/softsev/seeded/") for n in under(home)), under(home))
    want(under(home), "the keys were not cached")
    want(not digest("--seed", "known", "--time", "1")[1], "the keys were made twice")
    # Where nothing can be kept it is slower, and the same.
    for env in ({"HOME": ""}, {"XDG_CACHE_HOME": "/proc/nowhere"}):
        again, error = digest("--seed", "known", "--time", "1", env=env)
        want(again == first and "for this run alone" in error, (first, again, error))
    # Without a seed a platform is made, and it is not the seed's.
    digest()
    fuses = []
    for folder in (".local/state/softsev", ".cache/softsev/seeded"):
        with open(os.path.join(home, folder, "fuses"), "rb") as f:
            fuses.append(f.read())
    want(fuses[0] != fuses[1], "the platform has the cache's fuses")


@quick
def by_the_wall_nothing_repeats(s):
    kernel = s.build("halt", HALT)
    replay = s.write("replay", b"softsev recording 1\nend\n")
    for more in (("--seed", "a"), ("--record", s.path("recorded")), ("--replay", replay)):
        run = ("run", "--kernel", kernel, "--memory", "16", *more)
        code, _, error = s.command(*run, "--clock", "wall")
        want(code == 2 and all(w in error for w in (more[0], "--clock", "repeated")), (code, error))
        code, _, error = s.command(*run, "--clock", "virtual")
        want(code == 33, (code, error))


@quick
def a_panic_is_in_the_summary_and_nothing_else_is_one(s):
    words = "Kernel panic - not syncing: "
    for stamp in ("", "[    1.234567] ", "[    0.5][    T1] "):
        kernel = writes(s, "panics", f"\\r\\n{stamp}{words}no root\\n", RESET)
        code, events, error = s.run("--kernel", kernel, "--memory", "16", "--no-reboot")
        vm = summary(events)["vms"][0]
        want(code == 10 and vm["state"] == "panicked", (stamp, code, vm, error))
        want(vm["reason"] == "kernel panicked: no root", (stamp, vm))
    code, out, _ = s.command("run", "--kernel", kernel, "--memory", "16", "--no-reboot")
    want(code == 10 and b"vm1: panicked: kernel panicked: no root" in out, out)
    for text in (f"it says {words}no\\n", f"[a note] {words}no\\n", f"> {words}no\\n"):
        quotes = writes(s, "quotes", text, RESET)
        code, events, error = s.run("--kernel", quotes, "--memory", "16", "--no-reboot")
        want(code == 0 and summary(events)["vms"][0]["state"] == "reset", (text, code, error))
    loops = writes(s, "loops", "here\\n", LOOP)
    machine = machine_of(s, {"kernel": loops, "name": "first"},
                         {"kernel": kernel, "name": "second"}, memory=16)
    code, events, error = s.run(*machine, "--limit", "1", "--no-reboot")
    states = [(v["state"], v["reason"]) for v in summary(events)["vms"]]
    want(code == 10 and "second: its kernel panicked" in one_line(error), (code, error))
    want(states[1] == ("panicked", "kernel panicked: no root"), states)
    want(states[0][0] == "stopped while running", states)


@quick
def a_reader_that_does_not_read_stops_no_end(s):
    flood, dump, record = s.build("flood", FLOOD), s.path("dump"), s.path("record")

    command = [s.softsev, "run", "--kernel", flood, "--memory", "16"]

    def run(*more, channel=os.pipe):
        ours, theirs = channel()
        process = subprocess.Popen([*command, *more], stdin=subprocess.DEVNULL, stdout=theirs,
                                   stderr=subprocess.PIPE, text=True)
        os.close(theirs)
        try:
            if "--limit" not in more:
                time.sleep(2)
                process.send_signal(signal.SIGTERM)
            return process.wait(60), process.stderr.read()
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    code, error = run("--dump", dump, "--record", record)
    want(code == 128 + signal.SIGTERM and "nobody reads" in error, (code, error))
    want(os.path.getsize(dump) >= 16 << 20, "the dump is not whole")
    with open(record, "rb") as f:
        want(f.read().endswith(b"end\n"), "the recording is not whole")
    os.unlink(dump)
    code, error = run("--json", channel=pty.openpty)  # which may have room left for the end
    want(code == 128 + signal.SIGTERM, (code, error))
    code, error = run("--limit", "2", "--clock", "wall")
    want(code == 9 and "after --limit" in error, (code, error))
    # Whoever closes a pipe knows that the rest is lost.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.read(100)
        process.stdout.close()
        error = process.stderr.read()
    want(process.returncode == 128 + signal.SIGPIPE and not error, (process.returncode, error))


@quick
def a_pipe_whose_other_end_rests_stops_no_end(s):
    """A file that a run reads, or writes while it runs, is a pipe; somebody has its other end, and
    does nothing."""
    flood, halt, pipe = s.build("flood", FLOOD), s.build("halt", HALT), s.path("pipe")
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    run = ("run", "--memory", "16", "--kernel")

    def ends(code, *command, signals=True):
        with subprocess.Popen([s.softsev, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                time.sleep(0.5)  # enough for most; the first signal may also come before the run
                if signals:
                    process.send_signal(signal.SIGTERM)
                error = process.communicate(timeout=60)[1]
            finally:
                process.kill()
        want(process.returncode in (code, -signal.SIGTERM), (command, process.returncode, error))
        while select.select([end], [], [], 0)[0]:
            os.read(end, 1 << 20)

    ends(143, *run, pipe)
    ends(143, *run, halt, "--initrd", pipe)
    ends(143, *run, halt, "--mode", "sev", "--owner-secret", pipe, "--seed", "a")
    ends(143, "host", "--kernel", pipe, "--seed", "a")
    ends(143, *run, flood, "--trace", "all", "--trace-file", pipe)
    ends(143, *run, flood, "--serial", pipe)
    ends(9, *run, flood, "--serial", pipe, "--limit", "1", "--clock", "wall", signals=False)
    os.close(end)


@quick
def a_trace_that_cannot_be_written_is_an_error(s):
    run = [s.softsev, "run", "--kernel", s.build("halt", HALT), "--memory", "16", "--quiet",
           "--trace", "all"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(run, stdin=subprocess.DEVNULL, stderr=full, check=False)
    want(done.returncode == 3, done)
    closed = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *run], stdin=subprocess.DEVNULL,
                            check=False)
    want(closed.returncode == 3, closed)


@quick
def a_file_that_may_not_grow_is_an_error(s):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    run = [s.softsev, "run", "--kernel", s.build("halt", HALT), "--memory", "16", "--dump",
           s.path("large")]
    done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=limit, check=False)
    want(done.returncode == 3 and "File too large" in done.stderr, done)


@quick
def vms_share_nothing_that_is_one_vms(s):
    kernel = s.build("halt", HALT)
    common = {"kernel": kernel, "memory": 16}
    disk, copy = s.write("disk", bytes(512)), s.write("copy", bytes(512))
    link, folder, folder_link = s.path("disk-link"), s.path("folder"), s.path("folder-link")
    os.link(disk, link)
    os.makedirs(folder)
    os.symlink(folder, folder_link)

    def clash(words, *vms):
        refused(s, words, *machine_of(s, *vms, **common))

    clash(["vms[0] and vms[1]", "same name, twin"], {"name": "twin"}, {"name": "twin"})
    clash(["same name, vm2"], {"name": "vm2"}, {})
    for word in ("", ",readonly", ",snapshot"):
        clash(["vms[0] and vms[2]", "same disk", link], {"disk": disk + word}, {"disk": [copy]},
              {"disk": link})
    clash(["vm1 has the disk", "twice", link], {"disk": [disk, link + ",readonly"]})
    refused(s, ["vm1 has the disk", "twice", link], "--kernel", kernel, "--disk", disk, "--disk",
            link)
    for a, b in ((folder, folder_link), (s.path("new"), os.path.join(s.folder, ".", "new/"))):
        clash(["same 'owner-dir'", b], *({"owner-dir": at, "mode": "sev"} for at in (a, b)))
    other = s.build("other", HALT)
    for word in (disk, link, other):
        vm = {"disk": disk, "kernel": other}
        clash(["vms[0]", "'serial'", "overwrite", "vms[1]"], {"serial": word}, vm)
        clash(["vms[1]", "'serial'", "overwrite", "vms[0]"], vm, {"serial": word})
    clash(["'serial'", "--machine", "overwritten"], {"serial": s.path("machine.json")})
    code, _, error = s.run(*machine_of(s, *[{"serial": "/dev/null"}] * 2, **common))
    want(code == 33, (code, error))
    code, _, error = s.run(*machine_of(s, *({"disk": at + ",readonly"}
                                         for at in (disk, link, copy)), **common))
    want(code == 33, (code, error))
    for name in ("a\nb", "a\x1b[2J", "a\x9bz"):
        clash(["vms[0]", "control characters"], {"name": name})
        refused(s, ["control characters"], "--kernel", kernel, "--name", name)
    code, _, error = s.run("--kernel", kernel, "--memory", "16", "--name", "gr\u00fcn")
    want(code == 33, (code, error))


@quick
def paths_of_a_machine_file_are_relative_to_the_working_directory(s):
    kernel = os.path.relpath(s.build("halt", HALT))
    os.makedirs(s.path("elsewhere"))
    machine = s.write("elsewhere/machine.json",
                      json.dumps({"vms": [{"kernel": kernel, "memory": 16}]}).encode())
    code, _, error = s.run("--machine", machine)
    want(code == 33, (code, error))
    os.rename(s.path("halt"), s.path("elsewhere/halt"))
    code, _, error = s.run("--machine", machine)
    want(code == 3 and kernel in one_line(error), (code, error))


@quick
def there_are_as_many_contexts_as_asids(s):
    kernel = s.build("halt", HALT)

    def run(count, mode):
        machine = machine_of(s, *[{}] * count, kernel=kernel, memory=4, mode=mode)
        return s.command("run", "--json", "--seed", "many", *machine)

    code, out, error = run(300, "sev")
    want(code == 33, (code, error, out[-300:]))
    want(len(json.loads(out.splitlines()[-1])["vms"]) == 300, out[-300:])
    for count, mode, most in ((100, "sev-snp", 99), (411, "sev", 410)):
        code, out, error = run(count, mode)
        want(code == 6 and f"vm{count}: no ASID is left" in error, (code, error))
        want(f"has {most} for" in error, error)
        want(b"LAUNCH" not in out, "a guest was launched")


@quick
def what_means_nothing_is_refused(s):
    kernel = s.build("halt", HALT)
    refused(s, ["--trace ''"], "--kernel", kernel, "--trace", "")
    refused(s, ["--trace-hash", "--quiet"], "--kernel", kernel, "--trace-hash", "--quiet")
    refused(s, ["--tamper", "--mode"], "--kernel", kernel, "--tamper")


@quick
def recordings_say_what_is_wrong_and_where(s):
    kernel = s.build("halt", HALT)

    def replays(lines):
        path = s.write("recording", b"softsev recording 1\n5 0 41\n" + lines)
        code, _, error = s.run("--kernel", kernel, "--memory", "16", "--replay", path)
        return code, error

    for line, words in (
            (b"-1 0 41\n", "TIME should be"), (b"18446744073709551616 0 41\n", "TIME should be"),
            (b"18446744073709551615 0 41\n", "TIME should be"),
            (b"4 0 41\n", "before that of the line above"), (b"6 0 41 and more\n", "TIME VM HEX"),
            (b"6 1 41\n", "TIME VM HEX"), (b"6 0 4\n", "TIME VM HEX"), (b"6 0 \n", "TIME VM HEX"),
            (b"6 0 " + b"41" * 257 + b"\n", "too long"),
            (b"6 0 " + b"41" * 900 + b"\n", "too long"), (b"6 0 41", "cut short")):
        code, error = replays(line + (b"end\n" if line.endswith(b"\n") else b""))
        want(code == 3 and "line 3: " in error and words in error, (line, code, error))
    for lines in (b"", b"5 0 42\n", b"6 0 " + b"41" * 256 + b"\n"):
        code, error = replays(lines + b"end\n")
        want(code == 33, (lines, code, error))


def a_signal_ends_the_wait_for_an_owner_and_says_so(s):
    command = [s.softsev, "run", "--seed", "wait", "--kernel", s.kernel, "--initrd", s.initrd,
               "--mode", "sev", "--owner-dir", s.path("exchange")]
    run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
    try:
        for line in run.stdout:
            if b"waits for the session" in line:
                break
        run.send_signal(signal.SIGTERM)
        _, error = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    want(run.returncode == 128 + signal.SIGTERM, (run.returncode, error))
    want(b"ended by SIGTERM" in error and b" after " not in error, error)


tell(
    a_seed_leaves_no_platform_behind,
    by_the_wall_nothing_repeats,
    a_panic_is_in_the_summary_and_nothing_else_is_one,
    a_reader_that_does_not_read_stops_no_end,
    a_pipe_whose_other_end_rests_stops_no_end,
    a_trace_that_cannot_be_written_is_an_error,
    a_file_that_may_not_grow_is_an_error,
    vms_share_nothing_that_is_one_vms,
    paths_of_a_machine_file_are_relative_to_the_working_directory,
    there_are_as_many_contexts_as_asids,
    what_means_nothing_is_refused,
    recordings_say_what_is_wrong_and_where,
    a_signal_ends_the_wait_for_an_owner_and_says_so,
)
