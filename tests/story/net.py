#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guest's network: an address by DHCP, files both ways over TCP and UDP, published ports, in
every mode; floods from either side; what is refused."""
import gzip
import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request

from story import (APPEND, TIMEOUT, Skip, archive, console, one_line, quick, slow, summary, tell,
                   want)

HERE = os.path.dirname(os.path.abspath(__file__))
BIG = random.Random(3).randbytes(3 << 20)
SMALL = random.Random(4).randbytes(20000)
HALT = ".globl _start\n_start: mov $0x10, %eax\nout %al, $0xf4\nhlt\n"

# The kernel's command line has the ports, which become variables of /init.
BEGIN = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
load() { while read -r module; do insmod "/modules/$module"; done <"$1"; }
load /modules/order; load /modules/net-order
ip link set lo up; ip link set eth0 up
udhcpc -i eth0 -n -q -s /bin/dhcp-script >/dev/null 2>&1
"""
COPY = BEGIN + """
echo "net: $(ip -4 addr show eth0 | sed -n 's/ *inet \\([^ ]*\\).*/\\1/p') $(cat /etc/resolv.conf)"
echo "net: ACCESS_PLATFORM $(cut -c34 /sys/class/net/eth0/device/features)"
sum() { sha256sum <"$1" | cut -d' ' -f1; }
wget -q -O /big "http://10.0.2.2:$http/big" && echo "net: tcp $(sum /big)"
nc 10.0.2.2 "$up" </big
busybox tftp -g -r small -l /small 10.0.2.2 "$tftp" && echo "net: udp $(sum /small)"
busybox httpd -p 80 -h /
/echo &
wget -q -O /dev/null "http://10.0.2.2:$http/end"
poweroff -f
"""

# A Linux program that sends each datagram to port 7 back.
ECHO = """
.globl _start
_start:
    mov $41, %eax               # socket(AF_INET, SOCK_DGRAM, 0)
    mov $2, %edi
    mov $2, %esi
    xor %edx, %edx
    syscall
    mov %eax, %ebx
    sub $4096, %rsp             # the address at 0, its length at 16, the datagram at 32
    movl $0x07000002, (%rsp)    # AF_INET, port 7
    movl $0, 4(%rsp)
    mov %ebx, %edi
    mov %rsp, %rsi
    mov $16, %edx
    mov $49, %eax               # bind
    syscall
1:  movl $16, 16(%rsp)
    mov %ebx, %edi
    lea 32(%rsp), %rsi
    mov $2048, %edx
    xor %r10d, %r10d
    mov %rsp, %r8
    lea 16(%rsp), %r9
    mov $45, %eax               # recvfrom
    syscall
    mov %ebx, %edi
    lea 32(%rsp), %rsi
    mov %eax, %edx
    xor %r10d, %r10d
    mov %rsp, %r8
    mov $16, %r9d
    mov $44, %eax               # sendto
    syscall
    jmp 1b
"""


def sha(data):
    return hashlib.sha256(data).hexdigest()


def guest(s, name, init, kernel="6.1"):
    """The initramfs of the stock guest with its network modules and this /init."""
    roots = [r for r in os.listdir(f"{s.out}/guest") if r.startswith(f"linux-image-{kernel}")]
    if not roots:
        raise Skip(f"there is no Linux {kernel}")
    out = s.path(name + ".cpio.gz")
    subprocess.run([sys.executable, os.path.join(HERE, "../../tools/pack-initrd.py"),
                    f"{s.out}/guest/busybox-static/bin/busybox", s.write(name, init.encode()),
                    f"{s.out}/guest/{roots[0]}", out], check=True)
    with open(s.build("echo", ECHO, address="0x400000"), "rb") as f:
        program = f.read()
    with open(out, "ab") as f:
        f.write(gzip.compress(archive([("echo", 0o100755, program)]), 1, mtime=0))
    return out


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as f:
        f.bind(("127.0.0.1", 0))
        return f.getsockname()[1]


# --- The host's side ---


class Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        if self.path == "/end":
            self.server.ready.set()
            self.server.done.wait(TIMEOUT)
        body = BIG if self.path == "/big" else b"end"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class Tftp(socketserver.DatagramRequestHandler):
    """One file, block by block [RFC 1350]."""

    def handle(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as f:
            f.bind(("127.0.0.1", 0))
            f.settimeout(2)
            for block in range(len(SMALL) // 512 + 1):
                packet = b"\0\3" + (block + 1).to_bytes(2, "big") + SMALL[512 * block:][:512]
                for _ in range(5):
                    f.sendto(packet, self.client_address)
                    try:
                        if f.recv(600)[:4] == b"\0\4" + packet[2:4]:
                            break
                    except TimeoutError:
                        continue


class Host:
    """Servers on the loopback: HTTP, TFTP, and a port that keeps what it is sent."""

    def __enter__(self):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        self.http.ready, self.http.done = threading.Event(), threading.Event()
        self.tftp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Tftp)
        self.up = socket.create_server(("127.0.0.1", 0))
        self.got = b""
        for work in (self.http.serve_forever, self.tftp.serve_forever, self.keep):
            threading.Thread(target=work, daemon=True).start()
        return self

    def keep(self):
        try:
            client, _ = self.up.accept()
            with client:
                while data := client.recv(65536):
                    self.got += data
        except OSError:
            pass

    def ports(self):
        return (f"http={self.http.server_port} tftp={self.tftp.server_address[1]} "
                f"up={self.up.getsockname()[1]}")

    def __exit__(self, *_):
        self.http.done.set()
        self.http.shutdown()
        self.tftp.shutdown()
        self.up.shutdown(socket.SHUT_RDWR)  # ends accept()
        self.up.close()


class Running:
    """softsev run, whose output goes into files: nobody reads it meanwhile."""

    def __init__(self, s, *arguments, **streams):
        self.streams = [open(s.path(name), "w+b") for name in ("out.json", "error")]
        self.process = subprocess.Popen(
            [s.softsev, "run", "--json", "--state", s.state, "--memory", "256", *arguments],
            stdout=self.streams[0], stderr=self.streams[1],
            **{"stdin": subprocess.DEVNULL, **streams})

    def console(self):
        with open(self.streams[0].name, "rb") as f:
            return console([json.loads(line) for line in f if line.endswith(b"\n")])

    def finish(self, timeout=TIMEOUT):
        """Exit code, console, error text."""
        try:
            code = self.process.wait(timeout)
        finally:
            self.process.kill()
        text = self.console()
        self.streams[1].seek(0)
        error = self.streams[1].read().decode("utf-8", "replace")
        for f in self.streams:
            f.close()
        return code, text, error


def echo(port):
    """What comes back of a datagram to a published port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as f:
        f.settimeout(1)
        for _ in range(20):
            f.sendto(b"hello by udp", ("127.0.0.1", port))
            try:
                return f.recv(100)
            except TimeoutError:
                continue
    return None


def copies_files(s, mode, *more, kernel=None, initrd=None):
    web, datagrams = free_port(), free_port(socket.SOCK_DGRAM)
    network = f"user,publish={web}:80,publish=127.0.0.1:{datagrams}:7/udp"
    with Host() as host:
        running = Running(s, "--kernel", kernel or s.kernel, "--initrd",
                          initrd or guest(s, "copy", COPY), "--append", f"{APPEND} {host.ports()}",
                          "--mode", mode, "--net", network, *more)
        try:
            want(host.http.ready.wait(TIMEOUT / 2), (mode, running.console()[-900:]))
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/big", timeout=TIMEOUT) as f:
                want(sha(f.read()) == sha(BIG), f"{mode}: another file from a published port")
            want(echo(datagrams) == b"hello by udp", f"{mode}: no datagram from a published port")
        finally:
            host.http.done.set()
            code, text, error = running.finish()
        want(code == 0, (mode, error, text[-800:]))
        for line in ("net: 10.0.2.15/24 nameserver 10.0.2.3", f"net: tcp {sha(BIG)}",
                     f"net: udp {sha(SMALL)}", "net: ACCESS_PLATFORM 1"):
            want(line in text, (mode, line, text[-900:]))
        want(sha(host.got) == sha(BIG), f"{mode}: another file from the guest")
        return text


def a_guest_copies_files_both_ways_and_answers_on_published_ports(s):
    want("active: AMD SEV" not in copies_files(s, "none"), "a plain guest is encrypted")


@slow
def an_encrypted_guest_does_so_through_pages_that_it_shares(s):
    initrd = guest(s, "copy", COPY.replace("wget", "dmesg | grep 'Features active'; wget", 1))
    for mode, features in (("sev", "AMD SEV"), ("sev-es", "AMD SEV SEV-ES"),
                           ("sev-snp", "AMD SEV SEV-ES SEV-SNP")):
        want(f"active: {features}" in copies_files(s, mode, initrd=initrd), mode)


FLOOD = BEGIN + """
/flood &
/flood &
echo "net: listening"
/flood &
while read -r line; do
    echo "net: heard $line"
    [ "$line" = enough ] && poweroff -f
done
"""

# Sends datagrams to port 9 of the host for ever.
SENDER = """
.globl _start
_start:
    mov $41, %eax               # socket(AF_INET, SOCK_DGRAM, 0)
    mov $2, %edi
    mov $2, %esi
    xor %edx, %edx
    syscall
    mov %eax, %ebx
    sub $4096, %rsp
    movl $0x09000002, (%rsp)    # AF_INET, port 9
    movl $0x0202000a, 4(%rsp)   # 10.0.2.2
1:  mov %ebx, %edi
    lea 32(%rsp), %rsi
    mov $1400, %edx
    xor %r10d, %r10d
    mov %rsp, %r8
    mov $16, %r9d
    mov $44, %eax               # sendto
    syscall
    jmp 1b
"""


def wait_for(running, text, seconds=TIMEOUT / 2):
    until = time.monotonic() + seconds
    while text not in running.console():
        want(running.process.poll() is None and time.monotonic() < until,
             (text, running.console()[-900:]))
        time.sleep(0.05)


def answers_while_flooded(s, network, initrd, flood=None):
    """The keyboard is heard, and a signal ends the run, while frames come as fast as they can."""
    for ending in ("enough", None):
        running = Running(s, "--kernel", s.kernel, "--initrd", initrd, "--append", APPEND, "--net",
                          network, stdin=subprocess.PIPE)
        stop = threading.Event()
        try:
            wait_for(running, "net: listening")
            if flood:
                threading.Thread(target=flood, args=(stop,), daemon=True).start()
            began = time.monotonic()
            for word in ("one", "two", "three"):
                running.process.stdin.write(f"{word}\n".encode())
                running.process.stdin.flush()
                wait_for(running, f"net: heard {word}", 30)
            if ending:
                running.process.stdin.write(b"enough\n")
                running.process.stdin.flush()
            else:
                running.process.send_signal(signal.SIGTERM)
            code, text, error = running.finish(30)
            right = 0 if ending else 128 + signal.SIGTERM
            want(code == right, (ending, code, error, text[-800:]))
            want(time.monotonic() - began < 60, "the flood holds the run up")
        finally:
            stop.set()
            running.process.kill()


@slow
def a_guest_that_floods_its_network_stops_nothing(s):
    initrd = guest(s, "flood", FLOOD)
    with open(s.build("flood-program", SENDER, address="0x400000"), "rb") as f:
        program = f.read()
    with open(initrd, "ab") as f:
        f.write(gzip.compress(archive([("flood", 0o100755, program)]), 1, mtime=0))
    answers_while_flooded(s, "user", initrd)


@slow
def a_guest_that_is_flooded_hears_its_keyboard(s):
    port = free_port(socket.SOCK_DGRAM)

    def flood(stop):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as f:
            while not stop.is_set():
                for _ in range(50):
                    f.sendto(bytes(1400), ("127.0.0.1", port))
                time.sleep(0.0005)

    answers_while_flooded(s, f"user,publish={port}:7/udp",
                          guest(s, "flooded", FLOOD.replace("/flood &", "")), flood)


TALK = BEGIN + """
wget -q -O /big "http://10.0.2.2:$http/big" && sha256sum </big && date +%s
grep virtio /proc/interrupts
poweroff -f
"""


@slow
def a_recorded_run_repeats_without_the_network(s):
    recording, initrd = s.path("recording"), guest(s, "talk", TALK)
    with Host() as host:
        arguments = ("--kernel", s.kernel, "--initrd", initrd, "--append",
                     f"{APPEND} {host.ports()}", "--net", "user", "--seed", "net", "--trace-hash")
        code, events, error = s.run(*arguments, "--record", recording)
    want(code == 0 and sha(BIG) in console(events), (error, console(events)[-800:]))
    again, once_more, error = s.run(*arguments, "--replay", recording)
    want(again == 0, error)
    want(console(events) == console(once_more), "another console")
    want(summary(events)["trace_sha256"] == summary(once_more)["trace_sha256"], "another trace")
    with open(recording, "rb") as f:
        want(sum(len(line) for line in f) > 2 * len(BIG), "what came is not in the recording")
    code, _, error = s.run("--kernel", s.kernel, "--seed", "net", "--replay", recording)
    want(code == 3 and "line 2: this is a frame for a VM without --net user" in error, error)


SSHD = BEGIN + """
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
echo root:x:0:0::/root:/bin/sh >/etc/passwd
echo /bin/sh >/etc/shells
busybox chmod 700 /root /root/.ssh
dmesg | grep 'Features active'
dropbear -R -E -F -s
"""
# Debian packages with what the server consists of: tools/fetch-guest.sh OUT ssh gets them.
SSH_PACKAGES = "dropbear-bin libc6 libcrypt1 libgmp10 libtomcrypt1 libtommath1 zlib1g".split()
SSH_FILES = ("usr/sbin/dropbear", "ld-linux-x86-64.so.2", "libc.so.6", "libcrypt.so.1",
             "libgmp.so.10", "libtomcrypt.so.1", "libtommath.so.1", "libz.so.1")


def ssh_guest(s, key):
    """An initramfs with an SSH server that lets the key's owner in."""
    found = {}
    for package in SSH_PACKAGES:
        for folder, _, names in os.walk(f"{s.out}/guest/{package}"):
            for name in names:
                path = os.path.join(folder, name)
                found.update({f: path for f in SSH_FILES if path.endswith("/" + f)})
    if len(found) < len(SSH_FILES):
        raise Skip(f"no SSH server in {s.out}/guest: tools/fetch-guest.sh OUT ssh gets one")
    entries = [(name, 0o40755, b"") for name in ("lib", "lib64", "etc", "etc/dropbear", "root",
                                                 "root/.ssh")]
    for name, path in found.items():
        place = {"usr/sbin/dropbear": "bin/dropbear",
                 "ld-linux-x86-64.so.2": "lib64/ld-linux-x86-64.so.2"}.get(name, "lib/" + name)
        with open(path, "rb") as f:
            entries.append((place, 0o100755, f.read()))
    with open(key + ".pub", "rb") as f:
        entries.append(("root/.ssh/authorized_keys", 0o100600, f.read()))
    initrd = guest(s, "sshd", SSHD)
    with open(initrd, "ab") as f:
        f.write(gzip.compress(archive(entries), 1, mtime=0))
    return initrd


@slow
def a_person_logs_into_an_snp_guest_by_ssh_and_copies_files(s):
    if not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        raise Skip("there is no ssh")
    key, port = s.path("key"), free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    running = Running(s, "--kernel", s.kernel, "--initrd", ssh_guest(s, key), "--append", APPEND,
                      "--mode", "sev-snp", "--net", f"user,publish={port}:22")

    def ssh(command, data=b""):
        done = subprocess.run(
            ["ssh", "-i", key, "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o",
             "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=60",
             "root@127.0.0.1", command], input=data, capture_output=True, timeout=TIMEOUT,
            check=False)
        want(done.returncode == 0, (command, done.stderr[-500:], running.console()[-600:]))
        return done.stdout

    try:
        wait_for(running, "Features active")
        want(b"Linux" in ssh("uname -a"), "another system")
        ssh("cat >/copy", BIG)
        want(ssh("sha256sum </copy").split()[0] == sha(BIG).encode(), "another file in the guest")
        want(ssh("cat /copy") == BIG, "another file comes back")
        ssh("poweroff -f & exit 0")
        code, text, error = running.finish()
        want(code == 0 and "active: AMD SEV SEV-ES SEV-SNP" in text, (code, error, text[-500:]))
    finally:
        running.process.kill()


@quick
def what_cannot_be_is_refused(s):
    kernel = s.build("halt", HALT)
    run = ("run", "--kernel", kernel, "--memory", "16", "--net")
    for more, words in ((("tap",), ["expected off, or user"]),
                        (("user,publish=22",), ["publish=[ADDRESS:]HOST:GUEST[/udp]"]),
                        (("user", "--seed", "s"), ["--seed", "--net user", "--record"])):
        code, _, error = s.command(*run, *more)
        want(code == 2 and all(w in one_line(error) for w in words), (more, code, error))
    with socket.create_server(("127.0.0.1", 0)) as f:
        port = f.getsockname()[1]
        code, _, error = s.command(*run, f"user,publish={port}:22")
        want(code != 33 and f"vm1: --net: port {port} (tcp) of 127.0.0.1 cannot be published"
             in one_line(error), error)
    for network in ("off", "user", f"user,publish={port}:22"):
        code, _, error = s.command(*run, network)
        want(code == 33, (network, code, error))
    machine = s.write("machine", json.dumps({"vms": [
        {"kernel": kernel, "memory": 16, "net": "user"},
        {"kernel": kernel, "memory": 16, "net": "user"},
        {"kernel": kernel, "memory": 16}]}).encode())
    want(s.command("run", "--machine", machine)[0] == 33, "two networks")


if __name__ == "__main__":
    tell(
        a_guest_copies_files_both_ways_and_answers_on_published_ports,
        an_encrypted_guest_does_so_through_pages_that_it_shares,
        a_guest_that_floods_its_network_stops_nothing,
        a_guest_that_is_flooded_hears_its_keyboard,
        a_recorded_run_repeats_without_the_network,
        a_person_logs_into_an_snp_guest_by_ssh_and_copies_files,
        what_cannot_be_is_refused,
    )
