#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looking at a run: what `softsev trace` counts and `softsev map` shows, against the machine.

usage: view.py SOFTSEV OUT
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from browser import Browser
from story import APPEND, SAY_TEXT, TIMEOUT, Skip, one_line, quick, slow, summary, tell, want


def traced(s, mode, *more):
    """A stock guest's run with everything traced, and the machine's own map at the end."""
    trace, own = s.path(f"{mode}.trace"), s.path(f"{mode}.map")
    code, events, error = s.linux(mode, "--seed", "view", "--trace", "all", "--trace-file", trace,
                                  "--map", own, *more)
    want(code == 0, (code, error))
    with open(own, encoding="utf-8") as f:
        return trace, json.load(f), events


def total(s, trace):
    code, out, error = s.command("trace", "summary", trace, "--json")
    want(code == 0, (code, error))
    return json.loads(out)


def count(table, label):
    return sum(row["count"] for row in table if row["label"] == label)


@slow
def the_trace_gives_the_map_that_the_machine_has(s):
    kernels = {"sev-snp": ("vmlinuz-6.12", "initrd-6.12.cpio.gz")}
    for mode in ("none", "sev", "sev-es", "sev-snp"):
        more = ()
        if mode in kernels:
            s.kernel, s.initrd = (f"{s.out}/{name}" for name in kernels[mode])
        trace, own, _ = traced(s, mode, *more)
        code, out, error = s.command("map", trace, "--json")
        want(code == 0, (code, error))
        seen = json.loads(out)
        want(seen["frames"] == own["frames"], (mode, seen["frames"], own["frames"]))
        if seen["runs"] != own["runs"]:
            other = [pair for pair in zip(seen["runs"], own["runs"]) if pair[0] != pair[1]]
            raise AssertionError((mode, len(seen["runs"]), len(own["runs"]), other[:3]))
        want(mode == "none" or len(own["runs"]) > 2, (mode, own))


def the_trace_gives_the_counts_of_the_summary(s):
    trace, _, events = traced(s, "sev-es")
    counted, own = total(s, trace), summary(events)
    vm = own["vms"][0]
    want(counted["strange_lines"] == 0, counted["first_strange_line"])
    # the machine is taken apart after the summary, which flips more frames
    want(count(counted["events"], "view FLIP") >= own["flips"] > 0, own["flips"])
    for label, name in (("CPUID", "cpuid"), ("IOIO", "io"), ("MSR", "msr")):
        want(count(counted["vcs"], label) == own["vc"][name],
             (label, count(counted["vcs"], label), own["vc"][name]))
    want(count(counted["exits"], "VMGEXIT") == vm["exits"]["vmgexit"], vm["exits"])
    joined = (count(counted["events"], "switch VMEXIT") + count(counted["events"], "switch VC") +
              count(counted["events"], "switch VMGEXIT"))
    want(count(counted["vms"], "vm1") >= joined, (counted["vms"], joined))
    want(len(counted["vms"]) == 1, counted["vms"])


@quick
def what_is_no_trace_is_refused_by_a_sentence(s):
    text = s.write("no-trace", b"hello\n" * 10 + b"\xff\x00\n")
    code, out, error = s.command("trace", "summary", text)
    want(code == 3 and not out, (code, out))
    want("no line of it is an event" in one_line(error), error)
    code, out, error = s.command("map", text)
    want(code == 3 and "no line of it is an event" in one_line(error), error)
    only = s.write("switches", b"1 switch VMEXIT core=0 asid=1 code=0x72\n")
    code, out, error = s.command("map", only)
    want(code == 3 and "categories vm, view, key and page" in one_line(error), error)
    with open(only, "rb") as f:
        before = f.read()
    for export in (only, os.path.join(s.folder, ".", "switches")):
        code, out, error = s.command("view", only, "--export", export)
        want(code == 2 and "overwritten" in one_line(error), (code, error))
        with open(only, "rb") as f:
            want(f.read() == before, "the trace is another one")
    code, out, error = s.command("map")
    want(code == 2 and "expected one file" in one_line(error), error)
    endless = s.path("endless")
    with open(endless, "wb") as f:
        f.truncate(1 << 40)
    for command in (("map", endless), ("trace", "summary", "/dev/zero"),
                    ("view", endless, "--export", s.path("x.html"))):
        code, out, error = s.command(*command)
        want(code == 3 and "more than 1 MiB" in one_line(error), (command, code, error))
    os.unlink(endless)
    code, out, error = s.command("trace", "summary", s.path("absent"))
    want(code == 3, (code, error))


@quick
def strange_lines_are_counted_and_the_first_is_named(s):
    mixed = s.write("mixed", b"1 key LOAD asid=1\nsoftsev run: hello\n2 key UNLOAD asid=1\n")
    code, out, error = s.command("trace", "summary", mixed)
    want(code == 0, (code, error))
    want("2 events in 3 lines" in out.decode(), out)
    want("1 lines are no events; the first is line 2" in out.decode(), out)


TINY = SAY_TEXT + """
    hlt
text: .asciz "hello\\n"
"""
BUSY = """
    .globl _start
_start:
    movw $0x80, %dx
1:  outb %al, %dx
    jmp 1b
"""


def tiny_trace(s, mode="sev-snp"):
    """The trace of a guest of a few instructions, which has no handler for #VC."""
    kernel, trace = s.build("tiny", TINY, address="0x400000"), s.path("tiny.trace")
    code, _, error = s.run("--kernel", kernel, "--memory", "16M", "--mode", mode, "--seed", "view",
                           "--trace", "all", "--trace-file", trace)
    want(code == 9, (code, error))
    return trace


class Serving:
    """A program whose first line ends with the address of its page."""

    def __init__(self, s, *arguments):
        self.process = subprocess.Popen([s.softsev, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        line = b""
        while b"http://" not in line:
            line = self.process.stdout.readline()
            want(line, self.process.stderr)
        self.url = re.search(rb"http://[^ \"\r\n]+", line)[0].decode()
        self.host, self.path = self.url[7:].split("/", 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.read()
        self.process.stderr.read()
        self.process.wait(TIMEOUT)

    def get(self, path, method="GET", **headers):
        link = http.client.HTTPConnection(self.host, timeout=30)
        headers.setdefault("Host", self.host)
        link.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                link.putheader(name, value)
        link.endheaders()
        answer = link.getresponse()
        body = answer.read()
        link.close()
        return answer, body


@quick
def only_a_page_of_the_server_gets_an_answer(s):
    with Serving(s, "view", tiny_trace(s), "--listen", "127.0.0.1:0") as v:
        own = "/" + v.path
        answer, body = v.get(own)
        want(answer.status == 200 and b"id=\"map\"" in body, answer.status)
        policy = answer.headers["Content-Security-Policy"]
        want("default-src 'none'" in policy and "unsafe" not in policy, policy)
        want(answer.headers["Referrer-Policy"] == "no-referrer", answer.headers)
        answer, body = v.get(own + "events?from=0")
        first = json.loads(body)
        want(answer.status == 200 and first["events"][0][2] == "MACHINE", body[:200])
        port = v.host.split(":")[1]
        for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1:1"}, {"Host": None},
                        {"Host": f"evil.example:{port}"}, {"Origin": "http://evil.example"},
                        {"Origin": "null"}, {"Origin": f"https://{v.host}"}):
            answer, body = v.get(own, **headers)
            want(answer.status in (400, 403) and b"canvas" not in body, (headers, answer.status))
        want(v.get(own, Origin=f"http://{v.host}")[0].status == 200, "its own page")
        want(v.get(own, Host=f"localhost:{port}")[0].status == 200, "localhost")
        wrong = own[:-2] + ("0" if own[-2] != "0" else "1") + "/"
        for path in ("/", wrong, own[:-1], "/" + "0" * 32 + "/", own + "x", own + "../",
                     "//" + own):
            want(v.get(path)[0].status == 404, path)
        for path in ("events", "events?from=", "events?from=-1", "events?from=1x", "page?spa=x",
                     "events?from=99999999999999999999999"):
            want(v.get(own + path)[0].status == 400, path)
        want(v.get(own + "page?spa=0")[0].status == 404, "a recorded trace has no bytes")
        want(json.loads(v.get(own + "events?from=0xffffffff")[1])["events"] == [], "past the end")
        want(v.get(own, method="POST")[0].status == 405, "POST")


@quick
def the_page_is_served_on_the_loopback_alone(s):
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:80", "127.0.0.1", "localhost:0"):
        code, _, error = s.command("view", tiny_trace(s), "--listen", address)
        want(code == 2 and error, (address, code, error))


def needs_browser():
    if not Browser.program():
        raise Skip("no chromium")


def step_to(b, at):
    b.value(f"(() => {{ const e = document.getElementById('slider'); e.value = {at}; "
            "e.dispatchEvent(new Event('input')); })()")
    b.wait(f"document.body.dataset.at === '{at}'")


def legend(b):
    return dict(b.value("[...document.querySelectorAll('#legend li')].map("
                        "(e) => [e.dataset.kind, Number(e.dataset.frames)])"))


def kinds(m):
    """The totals of a map of `softsev map --json`, in the page's words."""
    totals = {}
    for run in m["runs"]:
        owner = f" of asid{run['asid']}" if run["asid"] else ""
        kind = f"{run['view']}, {run['rmp']}{owner}"
        totals[kind] = totals.get(kind, 0) + run["frames"]
    return totals


def index_of(trace, name):
    with open(trace, encoding="utf-8") as f:
        return next(i for i, line in enumerate(f) if json.loads(line)["event"] == name)


def exported(s, trace):
    page = s.path("page.html")
    code, _, error = s.command("view", trace, "--export", page)
    want(code == 0, (code, error))
    return page


def a_page_shows_the_trace_and_can_be_stepped(s):
    needs_browser()
    s.kernel, s.initrd = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz"
    trace, _, _ = traced(s, "sev-snp")
    own = kinds(json.loads(s.command("map", trace, "--json")[1]))
    with open(trace, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    with Browser(s.path("profile")) as b:
        b.go("file://" + exported(s, trace))
        b.wait("Number(document.body.dataset.events) > 0")
        want(int(b.value("document.body.dataset.events")) == len(lines), "all events are there")
        end = index_of(trace, "MACHINE_ENDS")
        step_to(b, end)
        want(legend(b) == own, (legend(b), own))
        # back to the beginning, undone, and there again
        b.key("Home")
        b.wait("document.body.dataset.at === '0'")
        b.key("ArrowRight")
        b.wait("document.body.dataset.at === '1'")
        want("MACHINE" in b.text("#event-line"), b.text("#event-line"))
        want(legend(b) == {"raw, Default": sum(own.values())}, legend(b))
        b.key("ArrowRight", shift=True)
        b.wait("document.body.dataset.at === '101'")
        step_to(b, end)
        want(legend(b) == own, (legend(b), own))
        parts_are_shown(b)
        events_can_be_clicked(b, lines)
        memory_can_be_zoomed(b)
        want(not b.problems, b.problems)
        b.screenshot(s.path("light.png"))
        b.key("t")
        b.wait("document.documentElement.classList.contains('dark')")
        b.screenshot(s.path("dark.png"))
        keep(s, "light.png", "dark.png")


def parts_are_shown(b):
    launch = b.text("#launch")
    for step in ("SNP_GCTX_CREATE", "SNP_LAUNCH_START", "SNP_ACTIVATE", "SNP_LAUNCH_UPDATE (",
                 "SNP_LAUNCH_FINISH [snp 5.2]", "SNP_HV_REPORT_REQ [snp 7]"):
        want(step in launch, (step, launch))
    order = [launch.index(step) for step in ("GCTX_CREATE", "LAUNCH_START", "LAUNCH_FINISH")]
    want(order == sorted(order), launch)
    want("asid1: vm1" in b.text("#slots"), b.text("#slots"))
    want("report verified" in b.text("#owner"), b.text("#owner"))
    vms = b.text("#vms")
    want("sev-snp" in vms and "VMCB 0x" in vms and "VMSA 0x" in vms and "GHCB 0x" in vms, vms)
    want("INIT" in b.text("#firmware"), b.text("#firmware"))


def events_can_be_clicked(b, lines):
    box = b.value("(() => { const r = document.getElementById('line').getBoundingClientRect(); "
                  "return [r.width, r.height]; })()")
    for lane, name in ((0, "command"), (4, "VC"), (5, "VMGEXIT")):
        b.click("#line", x=box[0] * .6, y=box[1] * (lane + .5) / 8)
        b.wait(f"document.getElementById('event-name').textContent.includes('{name}')")
        event = lines[int(b.value("document.body.dataset.at")) - 1]
        shown = b.text("#event-line")
        want(event["event"] in shown and str(event["time_ns"]) in shown, (event, shown))
    want("[cpu 6.4] of docs/spec" in b.text("#event-section"), b.text("#event-section"))


def memory_can_be_zoomed(b):
    b.value("document.getElementById('map').focus()")
    per = int(b.value("document.getElementById('map').dataset.per"))
    want(per > 1, per)
    b.click("#map", x=20, y=20)
    b.wait("document.querySelectorAll('#crumbs button').length === 2")
    b.wait("document.getElementById('map').dataset.per === '1'")
    b.click("#map", x=20, y=20)
    b.wait("!document.getElementById('page').hidden")
    want("Page 0x" in b.text("#page-title"), b.text("#page-title"))
    want("no bytes" in b.text("#plain"), b.text("#plain"))
    want(b.value("document.querySelectorAll('#page-events li').length") > 0, "its events")
    b.key("Escape")
    b.wait("document.getElementById('page').hidden")
    b.key("Escape")
    b.wait("document.querySelectorAll('#crumbs button').length === 1")


def keep(s, *names):
    """Screenshots for who wants to look: SOFTSEV_PICTURES is a folder."""
    folder = os.environ.get("SOFTSEV_PICTURES")
    for name in names if folder else ():
        shutil.copy(s.path(name), folder)


@quick
def a_hostile_trace_is_only_text(s):
    needs_browser()
    attack = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    with open(tiny_trace(s), encoding="utf-8") as f:
        lines = f.read().splitlines()
    for name in ("vm", "owner"):
        event = {"vm": "ENDED", "owner": "STEP"}[name]
        lines.append(json.dumps({"time_ns": 1, "category": name, "event": event, "vm": attack,
                                 "text": attack, "why": attack + "\u2028\ud7ff"},
                                separators=(",", ":")))
    lines.append(json.dumps({"time_ns": 1, "category": "vm", "event": "CREATED", "vm": attack,
                             "asid": "1", "mode": attack}, separators=(",", ":")))
    trace = s.write("hostile", "\n".join(lines).encode())
    with Browser(s.path("profile-2")) as b:
        with Serving(s, "view", trace, "--listen", "127.0.0.1:0") as v:
            for url in ("file://" + exported(s, trace), v.url):
                b.go(url)
                b.wait(f"document.body.dataset.events === '{len(lines)}'")
                b.key("End")
                b.wait(f"document.body.dataset.at === '{len(lines)}'")
                want(attack in b.text("#owner") and attack in b.text("#vms"), b.text("#vms"))
                want(b.value("window.hacked === undefined && !document.querySelector('img')"), url)
                want(not b.problems, b.problems)


def a_live_run_is_followed(s):
    """Its page ends where the page of the recorded trace ends, and has the bytes of memory."""
    needs_browser()
    s.kernel, s.initrd = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz"
    trace = s.path("live.trace")
    with Serving(s, "run", "--json", "--kernel", s.kernel, "--initrd", s.initrd, "--append", APPEND,
                 "--mode", "sev-snp", "--seed", "view", "--state", s.state, "--view",
                 "127.0.0.1:0", "--view-keep", "--trace", "all", "--trace-file", trace) as v, \
            Browser(s.path("profile-3")) as b:
        b.go(v.url)
        b.wait("Number(document.body.dataset.events) > 5000")
        want("live" in b.text("#status"), b.text("#status"))
        for line in v.process.stdout:
            if b"the page stays" in line:
                break
        count, more = 0, 1
        while more != count:  # until no more events come, several polls long
            count, more = more, b.value("document.body.dataset.events")
            time.sleep(2)
        b.wait("document.body.dataset.at === document.body.dataset.events")
        seen = legend(b)
        # the command line, which the guest's page has and the bus does not
        answer, body = v.get("/" + v.path + "page?spa=0x9000")
        page = json.loads(body)
        want(answer.status == 200 and len(page["raw"]) == 8192, answer.status)
        want(bytes.fromhex(page["plain"]).startswith(APPEND.encode()), page["plain"][:80])
        want(APPEND.encode()[:16] not in bytes.fromhex(page["raw"]), page["raw"][:80])
        answer, _ = v.get("/" + v.path + "page?spa=0xfffffffffffff000")
        want(answer.status == 404, answer.status)
        want(not b.problems, b.problems)
    own = kinds(json.loads(s.command("map", trace, "--json")[1]))
    want(seen == own, (seen, own))


def a_view_changes_nothing(s):
    hashes = []
    for more in ((), ("--view", "127.0.0.1:0")):
        code, out, error = s.command("run", "--json", "--kernel", s.kernel, "--initrd", s.initrd,
                                     "--append", APPEND, "--mode", "sev", "--seed", "view",
                                     "--time", "1", "--trace-hash", *more)
        want(code == 0, (code, error))
        hashes.append(json.loads(out.splitlines()[-1])["trace_sha256"])
    want(hashes[0] == hashes[1], hashes)


@quick
def browsers_that_disappear_or_flood_harm_no_run(s):
    kernel = s.build("busy", BUSY, address="0x400000")
    with Serving(s, "run", "--json", "--kernel", kernel, "--memory", "16M", "--mode", "sev",
                 "--state", s.state, "--view", "127.0.0.1:0", "--limit", "60") as v:
        host, port = v.host.split(":")
        head = f" HTTP/1.1\r\nHost: {v.host}\r\n\r\n"
        for _ in range(40):
            for request in (f"GET /{v.path}events?from=0{head}".encode(), os.urandom(300),
                            f"GET /{v.path}page?spa=0x400000{head}".encode()):
                with socket.create_connection((host, int(port))) as c:
                    c.sendall(request)
        answer, body = v.get("/" + v.path + "events?from=0")
        want(answer.status == 200 and json.loads(body)["live"], answer.status)
        answer, body = v.get("/" + v.path + "page?spa=0x400000")
        want(answer.status == 200, answer.status)
        want(v.process.poll() is None, "the run goes on")


@quick
def a_bare_machine_is_shown(s):
    """The page of `softsev host`, its bytes of memory, and its map, which the trace gives, too."""
    path = os.environ.get("SOFTSEV_SMALL_HOST")
    if not path:
        raise Skip("the small host is not built here: it needs x86-64 and objcopy")
    trace, own = s.path("bare.trace"), s.path("bare.map")
    with Serving(s, "host", "--json", "--kernel", path, "--memory", "64M", "--seed", "view",
                 "--no-reboot", "--view", "127.0.0.1:0", "--view-keep", "--trace", "all",
                 "--trace-file", trace, "--map", own) as v:
        for line in v.process.stdout:
            if b"the page stays" in line:
                break
        names = {event[2] for event in json.loads(v.get(f"/{v.path}events?from=0")[1])["events"]}
        want({"MACHINE", "HOST", "VMEXIT", "PLATFORM_STATUS", "ENDED"} <= names, names)
        answer, body = v.get(f"/{v.path}page?spa=0x8000")  # where the other core would start
        page = json.loads(body)
        want(answer.status == 200 and page["raw"].startswith("fa8cc8"), page["raw"][:20])
        want("plain" not in page, "no key is there")
    with open(own, encoding="utf-8") as f:
        own = json.load(f)
    seen = json.loads(s.command("map", trace, "--json")[1])
    want(seen["frames"] == own["frames"] == 16384 and seen["runs"] == own["runs"], (seen, own))


if __name__ == "__main__":
    tell(the_trace_gives_the_map_that_the_machine_has, the_trace_gives_the_counts_of_the_summary,
         what_is_no_trace_is_refused_by_a_sentence,
         strange_lines_are_counted_and_the_first_is_named,
         only_a_page_of_the_server_gets_an_answer, the_page_is_served_on_the_loopback_alone,
         a_hostile_trace_is_only_text, a_page_shows_the_trace_and_can_be_stepped,
         a_live_run_is_followed, a_view_changes_nothing,
         browsers_that_disappear_or_flood_harm_no_run, a_bare_machine_is_shown)
