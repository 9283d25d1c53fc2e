#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run that other programs control: the control socket, the background, the file with the number
of the process; and cloud-init's seed disk."""
import importlib.util
import json
import os
import signal
import socket
import stat
import subprocess
import time

from story import SAY_TEXT, TIMEOUT, Skip, console, one_line, quick, summary, tell, want

HERE = os.path.dirname(os.path.abspath(__file__))
HELLO = "hello\n"
# Says hello, then waits for the power button in PM1_STS.
GUEST = SAY_TEXT + """
    mov $0x600, %edx
    in %dx, %ax
    test $0x100, %eax
    jz 2b
    mov $0x10, %eax
    out %al, $0xf4
    hlt
text:
    .asciz "hello\\n"
"""
PRESSED = 33  # the status of a run whose guest saw the button


def start(s, *arguments, memory="16"):
    """softsev run with a control socket, whose path comes back too."""
    path = s.path(f"control-{len(os.listdir(s.folder))}")
    process = subprocess.Popen([s.softsev, "run", "--memory", memory, "--json", "--control",
                                "unix:" + path, *arguments],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    wait_until(lambda: listens(path) or process.poll() is not None, "there is no socket")
    return process, path


def finish(process):
    out, error = process.communicate(timeout=TIMEOUT)
    return process.returncode, [json.loads(line) for line in out.splitlines()], error.decode()


def wait_until(what, otherwise):
    until = time.monotonic() + TIMEOUT / 4
    while not what():
        want(time.monotonic() < until, otherwise)
        time.sleep(0.02)


def listens(path):
    with socket.socket(socket.AF_UNIX) as f:
        return f.connect_ex(path) == 0


def ask(s, command, path, *more):
    """softsev control: its answer, or its error as a text."""
    code, out, error = s.command("control", command, "unix:" + path, "--json", *more)
    if code:
        want(code == 2, (code, error))
        return one_line(error)
    return json.loads(out)


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)  # waits for its turn
        self.socket.settimeout(TIMEOUT / 4)
        self.got = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.got:
            data = self.socket.recv(65536)
            want(data, "the socket was closed")
            self.got += data
        line, self.got = self.got.split(b"\n", 1)
        return json.loads(line)

    def ask(self, **request):
        self.send(json.dumps(request).encode() + b"\n")
        return self.line()

    def close(self):
        self.socket.close()


@quick
def a_run_tells_how_it_is_stands_still_and_goes_on(s):
    process, path = start(s, "--kernel", s.build("waits", GUEST))
    want(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "others may connect")
    first = ask(s, "status", path)
    want((first["ok"], first["state"], first["pid"]) == (True, "running", process.pid), first)
    vm = first["vms"][0]
    want((vm["vm"], vm["mode"], vm["state"], vm["cpus"], vm["memory"], vm["reboots"])
         == ("vm1", "none", "running", 1, 16 << 20, 0), vm)
    want(ask(s, "pause", path)["ok"], "no pause")
    paused, later = ask(s, "status", path), ask(s, "status", path)
    want(paused["state"] == "paused" and paused["machine_ns"] == later["machine_ns"], later)
    want(paused["vms"] == later["vms"], "a guest runs")
    time.sleep(0.5)
    want(ask(s, "resume", path)["ok"], "no end of the pause")
    now = ask(s, "status", path)
    want(now["state"] == "running" and now["machine_ns"] < paused["machine_ns"] + 10**9 * TIMEOUT,
         now)
    wait_until(lambda: ask(s, "status", path)["vms"][0]["guest_ns"] > vm["guest_ns"], "it stands")
    code, out, error = s.command("control", "status", path)
    want(code == 0 and b"vm1: running, mode none, guest time" in out, (code, out, error))
    want(ask(s, "quit", path)["ok"], "no end")
    code, events, error = finish(process)
    want(code == 0 and console(events) == HELLO, (code, events, error))
    want(not os.path.exists(path), "the socket's name stays")
    code, _, error = s.command("control", "status", "unix:" + path)
    want(code == 3 and "no run has this control socket" in one_line(error), (code, error))


@quick
def a_pause_takes_no_machine_time(s):
    process, path = start(s, "--kernel", s.build("waits", GUEST))
    ask(s, "pause", path)
    before = ask(s, "status", path)["machine_ns"]
    time.sleep(1.5)
    client = Client(path)
    client.send(b'{"command":"resume"}\n{"command":"status"}\n')
    client.line()
    want(client.line()["machine_ns"] - before < 10**9, "the pause counts")
    ask(s, "pause", path)
    process.send_signal(signal.SIGTERM)  # ends a run that stands still, too
    code, _, error = finish(process)
    want(code == 128 + signal.SIGTERM, (code, error))


@quick
def a_guest_has_buttons(s):
    kernel = s.build("waits", GUEST)
    vms = [{"kernel": kernel, "memory": 16, "name": name} for name in ("left", "right")]
    machine = s.write("machine.json", json.dumps({"vms": vms}).encode())
    path = s.path("buttons")
    process = subprocess.Popen([s.softsev, "run", "--machine", machine, "--json", "--control",
                                "unix:" + path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    wait_until(lambda: listens(path), "there is no socket")
    want("which of the 2 guests" in ask(s, "reset", path), "a guest was chosen")
    want("there is no guest 'middle'" in ask(s, "reset", path, "--vm", "middle"), "found")
    want(ask(s, "reset", path, "--vm", "left")["ok"], "no reset")
    wait_until(lambda: ask(s, "status", path)["vms"][0]["reboots"] == 1, "it did not start again")
    for name in ("left", "right"):
        want(ask(s, "power-button", path, "--vm", name)["ok"], "no button")
        if name == "left":
            wait_until(lambda: ask(s, "status", path)["vms"][0]["state"] == "debug exit", "it runs")
            want("left has ended: debug exit" in ask(s, "reset", path, "--vm", "left"), "reset")
    code, events, error = finish(process)
    want(code == PRESSED, (code, error))
    want((console(events, "left"), console(events, "right")) == (2 * HELLO, HELLO), events)


@quick
def a_button_is_recorded(s):
    kernel, recording = s.build("waits", GUEST), s.path("recording")
    seeded = ("--kernel", kernel, "--seed", "button", "--trace-hash", "--limit", "60")
    process, path = start(s, *seeded, "--record", recording)
    ask(s, "reset", path)
    wait_until(lambda: ask(s, "status", path)["vms"][0]["reboots"] == 1, "it did not start again")
    ask(s, "pause", path)
    ask(s, "resume", path)
    ask(s, "power-button", path)
    code, events, error = finish(process)
    want(code == PRESSED, (code, error))
    with open(recording, encoding="ascii") as f:
        lines = [line.split(" ", 1)[-1].strip() for line in f]
    want(lines[1:3] == ["0 reset", "0 power-button"], lines)
    process, path = start(s, *seeded, "--replay", recording)
    code, again, error = finish(process)
    want(code == PRESSED and console(again) == 2 * HELLO, (code, error))
    want(summary(events)["trace_sha256"] == summary(again)["trace_sha256"], "another trace")


@quick
def a_run_that_repeats_takes_no_buttons(s):
    kernel = s.build("waits", GUEST)
    empty = s.write("empty", b"softsev recording 1\nend\n")
    for more, words in ((("--seed", "a"), "with --record"), (("--replay", empty), "replays")):
        process, path = start(s, "--kernel", kernel, *more)
        for command in ("reset", "power-button"):
            want(words in ask(s, command, path), (more, command))
        ask(s, "quit", path)
        code, _, error = finish(process)
        want(code == 0, (code, error))


@quick
def strangers_harm_nothing(s):
    process, path = start(s, "--kernel", s.build("waits", GUEST))
    client = Client(path)
    for line, words in ((b"x", "not a JSON object"), (b"[" * 4000, "not a JSON object"),
                        (b'{"command":"sleep"}', "should be one of"), (b"{}", "should be one of"),
                        (b'{"command":"status","vm":"vm1"}', "whole machine"),
                        (b'{"command":"status","more":1}', "no members but"),
                        (b'{"command":"status","command":"quit"}', "not a JSON object"),
                        (b'{"command":"status","id":[1]}', "an integer or a text"),
                        (b"\xff\0\xff", "not a JSON object"), (b"y" * 9000, "too long")):
        client.send(line + b"\n")
        answer = client.line()
        want(not answer["ok"] and words in answer["error"], (line[:80], answer))
    answer = client.ask(command="sleep", id="mine")
    want(answer["id"] == "mine" and not answer["ok"], answer)
    want(client.ask(command="status", id=7)["id"] == 7, "no id")
    client.send(b'\n\n{"command":"status","id":1}\n{"command":"status","id":2}')
    client.socket.shutdown(socket.SHUT_WR)
    want((client.line()["id"], client.line()["id"]) == (1, 2), "what came before the end is lost")
    want(client.socket.recv(1) == b"", "the socket stays")
    flood = Client(path)
    flood.socket.settimeout(1)
    try:
        for _ in range(2000):
            flood.send(b'{"command":"status"}\n' * 100)
        want(False, "a client that reads nothing may send without an end")
    except TimeoutError:
        pass
    for _ in range(50):
        Client(path).close()
    half = [Client(path) for _ in range(5)]
    for other in half:
        other.send(b'{"command":')
    want(ask(s, "status", path)["ok"], "no answer beside them")
    for other in [*half, flood]:
        other.close()
    want(ask(s, "power-button", path)["ok"], "no answer after them")
    code, _, error = finish(process)
    want(code == PRESSED, (code, error))


@quick
def what_cannot_be_is_refused(s):
    kernel, there = s.build("waits", GUEST), s.write("there", b"mine\n")
    run = ("run", "--kernel", kernel, "--memory", "16")
    for more, status, words in (
            (("--control", "x"), 2, "unix:PATH"),
            (("--control", "unix:"), 2, "unix:PATH"),
            (("--control", "unix:" + there), 3, "no socket can be made at"),
            (("--control", "unix:/" + "x" * 200), 2, "the path of a Unix socket"),
            (("--control", "unix:c", "--seed", "a", "--gdb", ":0", "--gdb-reverse"), 2,
             "--control"),
            (("--daemonize", "--gdb", ":0", "--gdb-wait"), 2, "--gdb-wait"),
            (("--pid-file", there), 3, "something else than the number"),
            (("--pid-file", s.folder), 3, "not a regular file"),
            (("--pid-file", kernel), 2, "would be overwritten"),
            (("--cloud-init", s.path("nowhere")), 3, "nowhere")):
        code, _, error = s.command(*run, *more)
        want(code == status and words in one_line(error), (more, code, error))
    with open(there, "rb") as f:
        want(f.read() == b"mine\n", "a file is lost")
    for more in (("status",), ("status", "a", "b"), ("sleep", "a"), ("status", "a", "--vm", "x")):
        code, _, error = s.command("control", *more)
        want(code == 2, (more, code, error))


def launch(s, *arguments):
    """softsev run --daemonize: the number of the process behind it."""
    pid_file = s.path("pid")
    code, out, error = s.command("run", "--memory", "16", "--daemonize", "--pid-file", pid_file,
                                 *arguments)
    want(code == 0, (code, out, error))
    with open(pid_file, encoding="ascii") as f:
        return int(f.read())


def gone(pid):
    """Whether a process has ended; one that nobody waits for may stay as a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@quick
def a_run_goes_into_the_background(s):
    kernel, path, serial = s.build("waits", GUEST), s.path("daemon"), s.path("serial")
    pid = launch(s, "--kernel", kernel, "--control", "unix:" + path, "--serial", serial)
    try:
        want(ask(s, "status", path)["pid"] == pid, "another process answers")
        want(os.getsid(pid) == pid, "it is not alone in its session")
        want({os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)} == {"/dev/null"}, "a terminal")
        code, _, error = s.command("run", "--kernel", kernel, "--memory", "16", "--pid-file",
                                   s.path("pid"))
        want(code == 3 and f"in use by process {pid}" in one_line(error), (code, error))
        ask(s, "power-button", path)
        wait_until(lambda: gone(pid), "it runs")
    finally:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)
    want(not os.path.exists(path) and not os.path.exists(s.path("pid")), "a name stays")
    with open(serial, encoding="ascii") as f:
        want(f.read() == HELLO, "no output")


@quick
def what_is_printed_goes_on_into_a_file(s):
    with open(s.path("out"), "wb") as out:
        done = subprocess.run([s.softsev, "run", "--kernel", s.build("waits", GUEST), "--memory",
                               "16", "--daemonize", "--pid-file", s.path("pid")], check=False,
                              stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                              timeout=TIMEOUT)
    want(done.returncode == 0, done)
    with open(s.path("pid"), encoding="ascii") as f:
        pid = int(f.read())

    def output():
        with open(s.path("out"), encoding="utf-8") as f:
            return f.read()
    wait_until(lambda: HELLO in output(), "no console")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: gone(pid), "it runs")
    want("vm1: stopped while running" in output(), output())


@quick
def what_fails_before_the_launch_is_seen(s):
    kernel = s.build("waits", GUEST)
    pid_file = s.path("pid")
    run = ("run", "--memory", "16", "--daemonize", "--pid-file", pid_file, "--kernel")
    code, _, error = s.command(*run, s.path("missing"))
    want(code == 3 and "missing" in one_line(error), (code, error))
    code, _, error = s.command(*run, kernel, "--dump", s.path("none", "dump"))
    want(code == 3 and "dump" in one_line(error), (code, error))
    code, _, error = s.command("run", "--kernel", kernel, "--memory", "16", "--mode", "sev",
                               "--tamper", "--daemonize", "--state", s.state)
    want(code == 4 and "measurement" in error, (code, error))
    want(not os.path.exists(pid_file), "a number of nobody stays")


def module_files(s, wanted):
    """A Linux 6.1's modules in the order in which they are loaded, as (name, content)."""
    root = next((r for r in os.listdir(f"{s.out}/guest") if r.startswith("linux-image-6.1")), None)
    if not root:
        raise Skip("there is no Linux 6.1")
    spec = importlib.util.spec_from_file_location("pack", f"{HERE}/../../tools/pack-initrd.py")
    pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    order = []
    pack.modules_in_order(f"{s.out}/guest/{root}", wanted, order)
    return order


BEGIN = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
"""
SEED = BEGIN + """
for m in $modules; do insmod "/$m.ko"; done
echo "seed: $(dd if=/dev/vdb bs=1 skip=43 count=6 2>/dev/null) is the label"
mkdir /seed
mount -t vfat -o ro /dev/vdb /seed && echo "seed: $(ls /seed | tr '\\n' ' ')"
echo "seed: $(sha256sum </seed/user-data)"
cat /seed/meta-data
dd if=/dev/zero of=/dev/vdb bs=512 count=1 2>/dev/null || echo "seed: cannot be written"
poweroff -f
"""


def initrd_of(s, name, init, wanted):
    order = module_files(s, wanted)
    names = " ".join(n for n, _ in order)
    return s.initrd_with(name, init.replace("$modules", names),
                         [(n + ".ko", 0o100644, content) for n, content in order])


def a_guest_finds_its_seed(s):
    initrd = initrd_of(s, "seed.cpio.gz", SEED, ["vfat", "nls_cp437", "nls_ascii"])
    folder = s.path("seed")
    os.mkdir(folder)
    for name, data in (("user-data", b"#cloud-config\n" + bytes(range(256)) * 200),
                       ("meta-data", b"instance-id: softsev-story\n"), ("network-config", b"x\n"),
                       (".hidden", b"")):
        s.write(os.path.join("seed", name), data)
    disk = s.write("disk", bytes(1 << 20))
    code, events, error = s.linux("sev", "--disk", disk, "--cloud-init", folder, initrd=initrd)
    text = console(events)
    want(code == 0 and "seed: CIDATA is the label" in text, (code, error, text[-900:]))
    want("seed: meta-data network-config user-data" in text, text[-900:])
    digest = subprocess.run(["sha256sum", f"{folder}/user-data"], capture_output=True, check=True)
    want(digest.stdout[:64].decode() in text and "instance-id: softsev-story" in text, text[-900:])
    want("seed: cannot be written" in text, "the disk was written")


@quick
def a_seed_that_cannot_be_is_refused(s):
    kernel, folder = s.build("waits", GUEST), s.path("half")
    os.mkdir(folder)
    run = ("run", "--kernel", kernel, "--memory", "16", "--cloud-init", folder)

    def refused(words, status=3, more=()):
        code, _, error = s.command(*run, *more)
        want(code == status and words in one_line(error), (words, code, error))
    s.write("half/user-data", b"")
    refused("meta-data is missing")
    s.write("half/meta-data", b"")
    s.write("half/user_data", b"")
    refused("half/user_data: cloud-init reads")
    os.rename(s.path("half/user_data"), s.path("half/vendor-data"))
    s.write("half/vendor-data", bytes((1 << 20) + 1))
    refused("vendor-data")
    os.remove(s.path("half/vendor-data"))
    disk = s.write("disk", bytes(512))
    refused("cloud-init's included", 2, ("--disk", disk + ",readonly") * 8)


if __name__ == "__main__":
    tell(
        a_run_tells_how_it_is_stands_still_and_goes_on,
        a_pause_takes_no_machine_time,
        a_guest_has_buttons,
        a_button_is_recorded,
        a_run_that_repeats_takes_no_buttons,
        strangers_harm_nothing,
        what_cannot_be_is_refused,
        a_run_goes_into_the_background,
        what_is_printed_goes_on_into_a_file,
        what_fails_before_the_launch_is_seen,
        a_guest_finds_its_seed,
        a_seed_that_cannot_be_is_refused,
    )
