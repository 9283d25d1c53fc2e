#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The key distribution service and the certificates of a platform, as somebody sees them who has
only HTTP and the openssl tool."""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from story import Skip, quick, tell, want

MILAN = "blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219"
TURIN = "fmcSPL=00&blSPL=01&teeSPL=00&snpSPL=02&ucodeSPL=71"


@contextlib.contextmanager
def serving(s, *arguments, how=signal.SIGTERM):
    """softsev kds: its address, once it listens. Ended by a signal it must end at once and well."""
    server = subprocess.Popen([s.softsev, "kds", "--state", s.state, "--listen", "127.0.0.1:0",
                               "--json", *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = server.stdout.readline()
        want(line, ("the server did not start", server.stderr.read() if server.poll() is not None
                    else ""))
        told = json.loads(line)
        want(told["event"] == "listening" and told["port"], told)
        yield told["url"]
        server.send_signal(how)
        want(server.wait(10) == 0, ("exit code", server.returncode))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()


def get(url, data=None, context=None):
    """Status, body, headers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=20,
                                    context=context) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(), refused.headers


def openssl(*arguments, code=0, says=b"", data=None):
    if not shutil.which("openssl"):
        raise Skip("no openssl")
    done = subprocess.run(["openssl", *arguments], capture_output=True, input=data, timeout=60,
                          check=False)
    want(done.returncode == code and says in done.stdout + done.stderr, (arguments, done))
    return done.stdout


def chip(s, profile="milan"):
    code, out, error = s.command("platform", "init", "--state", s.state, "--json", "--profile",
                                 profile)
    want(code == 0, (code, error))
    return json.loads(out)


def pem(der):
    return openssl("x509", "-inform", "DER", data=der)


@quick
def a_vcek_from_the_server_verifies_with_its_chain(s):
    told = chip(s)
    want(told["chip_id"].startswith("53534556"), told)
    with serving(s) as base:
        status, chain, headers = get(f"{base}/vcek/v1/Milan/cert_chain")
        want(status == 200 and "pem" in headers["Content-Type"], (status, headers))
        ask, ark = (b"-----BEGIN" + part for part in chain.split(b"-----BEGIN")[1:])
        s.write("ask", ask)
        s.write("ark", ark)
        status, vcek, _ = get(f"{base}/vcek/v1/Milan/{told['chip_id']}?{MILAN}")
        want(status == 200, (status, vcek))
        s.write("vcek", pem(vcek))
        openssl("verify", "-CAfile", s.path("ark"), "-untrusted", s.path("ask"), s.path("vcek"),
                says=b"OK")
        openssl("verify", "-CAfile", s.path("ark"), s.path("vcek"), code=2)
        text = openssl("x509", "-in", s.path("vcek"), "-noout", "-text")
        want(b"not AMD" in text and b"Advanced Micro" not in text and b"CN = SEV-VCEK" in text,
             text)
        status, crl, _ = get(f"{base}/vcek/v1/Milan/crl")
        s.write("crl", openssl("crl", "-inform", "DER", data=crl))
        openssl("verify", "-crl_check", "-CAfile", s.path("ark"), "-CRLfile", s.path("crl"),
                s.path("ask"), says=b"OK")
        status, stranger, _ = get(f"{base}/vcek/v1/Milan/{'00' * 64}?{MILAN}")
        want(status == 404 and b"no Milan with this id" in stranger, (status, stranger))
        # The folder that the platform writes has the same certificates.
        code, _, error = s.command("platform", "certs", "--state", s.state, "--out",
                                   s.path("certs"))
        want(code == 0, error)
        for name, content in (("der/vcek.der", vcek), ("ask.pem", ask), ("ark.pem", ark),
                              ("der/crl.der", crl)):
            with open(s.path("certs", name), "rb") as f:
                want(f.read() == content, f"{name} differs from the server's")


@quick
def a_turin_and_a_vlek(s):
    told = chip(s, "turin")
    want(len(told["chip_id"]) == 16 and told["reported_tcb"] == "0.1.0.2.71", told)
    with serving(s, "--csp", "cloud.example", how=signal.SIGINT) as base:
        for kind, leaf in (("vcek", f"{told['chip_id'].upper()}?{TURIN}"),
                           ("vlek", f"cert?{TURIN}")):
            status, der, _ = get(f"{base}/{kind}/v1/Turin/{leaf}")
            want(status == 200, (status, der))
            s.write("key", pem(der))
            _, chain, _ = get(f"{base}/{kind}/v1/Turin/cert_chain")
            signer, ark = (b"-----BEGIN" + part for part in chain.split(b"-----BEGIN")[1:])
            s.write("signer", signer)
            s.write("ark", ark)
            openssl("verify", "-CAfile", s.path("ark"), "-untrusted", s.path("signer"),
                    s.path("key"), says=b"OK")
        want(b"cloud.example" in der, "the provider's name is not in its VLEK")
        body = json.dumps({"hwids": [told["chip_id"], "00" * 8]}).encode()
        status, answer, _ = get(f"{base}/vlek/v1/Turin/hash_sticks?{TURIN}", data=body)
        (mine, other) = json.loads(answer)["results"]
        want(status == 200 and len(bytes.fromhex(mine[told["chip_id"]])) == 432
             and other == {"00" * 8: "not found"}, answer)


@quick
def it_serves_while_the_platform_is_in_use_and_chips_of_seeds(s):
    chip(s)
    other = s.path("other")
    code, out, _ = s.command("platform", "init", "--state", other, "--seed", "another chip",
                             "--json")
    want(code == 0, out)
    seeded = json.loads(out)["chip_id"]
    with open(s.path("state", "lock"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, error = s.command("platform", "status", "--state", s.state)
        want(code == 8, (code, error))
        with serving(s, "--seed", "first", "--seed", "another chip") as base:
            status, body, _ = get(f"{base}/vcek/v1/Genoa/{seeded}?{MILAN}")
            want(status == 200, (status, body))


@quick
def faults_on_demand(s):
    told = chip(s)
    vcek = f"vcek/v1/Milan/{told['chip_id']}?{MILAN}"
    with serving(s, "--inject", "429:3,500:4,delay=50") as base:
        started = time.monotonic()
        answers = [get(f"{base}/{vcek}") for _ in range(12)]
        want([a[0] for a in answers] == [200, 200, 429, 500, 200, 429, 200, 500, 429, 200, 200,
                                         429], [a[0] for a in answers])
        want(time.monotonic() - started >= 12 * 0.05, "no delay")
        want(all(a[2]["Retry-After"] == "1" for a in answers if a[0] == 429), "no Retry-After")
    with serving(s, "--inject", "wrong:2") as base:
        right, wrong = get(f"{base}/{vcek}")[1], get(f"{base}/{vcek}")[1]
        want(right != wrong and bytes.fromhex(told["chip_id"]) in right
             and bytes.fromhex(told["chip_id"]) not in wrong, "not another chip's")


@quick
def over_tls(s):
    chip(s)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout", s.path("key"), "-out", s.path("cert"), "-days", "2")
    with serving(s, "--tls-cert", s.path("cert"), "--tls-key", s.path("key")) as base:
        want(base.startswith("https://"), base)
        status, body, _ = get(f"{base}/vcek/v1/Milan/cert_chain",
                              context=ssl.create_default_context(cafile=s.path("cert")))
        want(status == 200 and body.count(b"BEGIN CERTIFICATE") == 2, status)
    code, _, error = s.command("kds", "--state", s.state, "--listen", "127.0.0.1:0", "--tls-cert",
                               s.path("cert"), "--tls-key", s.path("cert"))
    want(code == 3 and "TLS" in error, (code, error))


@quick
def what_cannot_be_served_is_said(s):
    chip(s)
    for arguments, code, word in ((["--listen", "nowhere"], 2, "127.0.0.1:8080"),
                                  (["--inject", "418"], 2, "429, 404"),
                                  (["--inject", "delay"], 2, "delay=MS"),
                                  (["--inject", "429:0"], 2, "--inject"),
                                  (["--tls-cert", "x"], 2, "needs --tls-key"),
                                  (["--csp", ""], 2, "provider"), (["--frob"], 2, "--help"),
                                  (["--tls-cert", s.path("no"), "--tls-key", s.path("no")], 3,
                                   "No such file"), (["more"], 2, "more")):
        got, _, error = s.command("kds", "--state", s.state, *arguments)
        want(got == code and word in error, (arguments, got, error))
    s.write("state/fuses", b"nonsense")
    got, _, error = s.command("kds", "--state", s.state, "--listen", "127.0.0.1:0")
    want(got == 7 and "corrupt" in error, (got, error))
    os.remove(s.path("state", "fuses"))
    _, out, _ = s.command("profiles", "--json")
    names = [p["name"] for p in json.loads(out)]
    want({"naples", "rome", "milan", "genoa", "turin"} <= set(names)
         and {0, 2, 3, 5} == {p["report_version"] for p in json.loads(out)}, names)


def say_raw(url, request):
    host, port = url.rsplit("/", 1)[1].split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request)
        while connection.recv(4096):
            pass


@quick
def a_request_does_no_harm_in_the_log(s):
    """Method and address are anybody's bytes: no terminal gets them raw, and each request has its
    line of JSON."""
    chip(s)
    for options, show in ((["--json"], True), ([], False)):
        command = [s.softsev, "kds", "--state", s.state, "--listen", "127.0.0.1:0", *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = server.stdout.readline().decode()
        url = json.loads(line)["url"] if show else line.split()[-1]
        for method, path in ((b"GE\x1b]0;x\x07T\xff", b"/vcek/v1/Milan/crl"),
                             (b"GET", b"/\x1b[31m\xc3\xa9\xfe\"\\")):
            say_raw(url,
                    method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.terminate()
        out, log = server.communicate(timeout=20)
        if show:
            told = [json.loads(line) for line in out.decode().splitlines()]
            want([t["event"] for t in told] == ["request", "request"], out)
            want(told[0]["method"].startswith("GE\x1b]0;x")
                 and "\ufffd" in told[0]["method"] + told[1]["url"], told)
        else:
            want(all(0x20 <= b < 0x7f or b == 0x0a for b in log), log)
            want(b"GE\\x1b]0;x\\x07T\\xff" in log and b"\\xfe" in log and log.count(b"\n") == 2,
                 log)


@quick
def a_log_that_nobody_reads_stops_nothing(s):
    """The pipe is full after 64 KiB: clients are still answered, dropped lines are counted, and a
    signal still ends the server."""
    for form, stream in ((["--json"], "stdout"), ([], "stderr")):
        server = subprocess.Popen(
            [s.softsev, "kds", "--state", s.state, "--listen", "127.0.0.1:0", *form],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            url = server.stdout.readline().decode()
            url = json.loads(url)["url"] if form else url.split()[-1]
            for i in range(400):
                want(get(f"{url}/{i}{'a' * 900}")[0] == 404, (form, i))
            log = getattr(server, stream)
            for i in range(20):  # a reader who is there again
                want(len(log.readline()) > 200, (form, i))
            want(get(f"{url}/again")[0] == 404, form)
            server.send_signal(signal.SIGTERM)
            want(server.wait(10) == 0, (form, server.returncode))
            rest = log.read().splitlines()
            want(b"dropped" in rest[-2] and b"/again" in rest[-1], rest[-3:])
            lines = json.loads(rest[-2])["lines"] if form else int(rest[-2].split()[0])
            want(lines == 400 - 20 - (len(rest) - 2), (lines, len(rest)))
        finally:
            server.kill()
            server.communicate()


if __name__ == "__main__":
    tell(a_vcek_from_the_server_verifies_with_its_chain, a_turin_and_a_vlek,
         it_serves_while_the_platform_is_in_use_and_chips_of_seeds, faults_on_demand,
         a_request_does_no_harm_in_the_log, a_log_that_nobody_reads_stops_nothing, over_tls,
         what_cannot_be_served_is_said)
