# SPDX-License-Identifier: Apache-2.0
"""An AMD SEV machine in software.

A guest that is launched and proves what it is, in a few lines:

>>> import softsev
>>> with softsev.Platform(seed="doc") as platform:
...     guest = platform.launch([softsev.Page(0x1000, b"\\xf4\\xeb\\xfd")])
...     report = guest.report(b"a nonce of the verifier's")
>>> report.measurement == guest.expected_measurement
True
>>> report.report_data.rstrip(b"\\0")
b"a nonce of the verifier's"

The machine of a Platform is gone when it is closed; certificates for its chip come from `softsev
platform certs` and `softsev kds` alone. `verify()` takes reports of any platform.
"""
from __future__ import annotations

import time as _time
import typing
from dataclasses import dataclass, field

from ._native import ffi as _ffi, lib as _lib

__version__ = (f"{_lib.SOFTSEV_VERSION_MAJOR}.{_lib.SOFTSEV_VERSION_MINOR}."
               f"{_lib.SOFTSEV_VERSION_PATCH}")
__all__ = ["Error", "Event", "Guest", "Page", "Platform", "Refused", "Report", "Tcb",
           "expected_digest", "measure", "verify"]

PAGE_SIZE = 4096
MIB = 1 << 20
POLICY_DEFAULT = 0x30000  # QEMU's: SMT is allowed, debugging and migration are not
_PAGE_TYPES = {"normal": 1, "vmsa": 2, "zero": 3, "unmeasured": 4, "secrets": 5, "cpuid": 6}
_MODES = {"sev": "SEV", "sev-es": "SEV_ES", "sev-snp": "SEV_SNP"}


class Error(Exception):
    """What was wrong, where, and what would be right. `code` is the exit code that softsev has for
    it."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Refused(Error):
    """A report does not verify. `check` is the name of the first check that failed."""

    def __init__(self, check: str, text: str, code: int) -> None:
        super().__init__(text, code)
        self.check = check


def _error() -> typing.Any:
    return _ffi.new("struct softsev_error *")


def _raise(e: typing.Any, otherwise: str) -> typing.NoReturn:
    raise Error(_ffi.string(e.text).decode("utf-8", "replace") or otherwise, int(e.code))


# --- Reports ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tcb:
    """The version of each part of a platform's trusted computing base."""
    boot_loader: int
    tee: int
    snp: int
    microcode: int
    fmc: typing.Optional[int] = None  # of Turin alone


@dataclass(frozen=True)
class Report:
    """The fields of an SNP attestation report. Nothing is checked but its size: see verify()."""
    raw: bytes = field(repr=False)
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    platform_info: int
    key_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    chip_id: bytes
    cpuid_family: int
    cpuid_model: int
    cpuid_stepping: int
    launch_mit_vector: int
    current_mit_vector: int
    current_tcb: Tcb
    reported_tcb: Tcb
    committed_tcb: Tcb
    launch_tcb: Tcb

    @classmethod
    def parse(cls, raw: bytes) -> Report:
        """
        >>> softsev.Report.parse(b"short")
        Traceback (most recent call last):
        softsev.Error: a report has 1184 bytes, not 5
        """
        size = _ffi.sizeof("struct softsev_snp_report")
        if len(raw) != size:
            raise Error(f"a report has {size} bytes, not {len(raw)}", 3)
        r = _ffi.new("struct softsev_snp_report *")
        _ffi.memmove(r, raw, size)
        values: dict[str, typing.Any] = {"raw": bytes(raw)}
        for name in cls.__dataclass_fields__:
            if name == "raw":
                continue
            value = getattr(r, name)
            if name.endswith("_tcb"):
                values[name] = _tcb(r, value)
            else:
                values[name] = value if isinstance(value, int) else bytes(value)
        return cls(**values)


def _tcb(r: typing.Any, value: int) -> Tcb:
    layout = _lib.softsev_snp_tcb_layout_of_part(r.cpuid_family, r.cpuid_model)
    t = _lib.softsev_snp_tcb_unpack(layout, value)
    return Tcb(t.boot_loader, t.tee, t.snp, t.microcode,
               t.fmc if layout == _lib.SOFTSEV_SNP_TCB_TURIN else None)


def _read_certificates(files: typing.Iterable[bytes], to: typing.Any, lists: typing.Any) -> None:
    for number, data in enumerate(files, 1):
        e = _error()
        if _lib.softsev_crypto_x509_read(data, len(data), to, lists, e):
            e_text = _ffi.string(e.text).decode("utf-8", "replace")
            raise Error(f"certificate file {number}: {e_text}", int(e.code))


def verify(report: typing.Union[bytes, Report], *, roots: typing.Iterable[bytes],
           certificates: typing.Iterable[bytes] = (),
           measurement: typing.Optional[bytes] = None,
           report_data: typing.Optional[bytes] = None,
           host_data: typing.Optional[bytes] = None, chip_id: typing.Optional[bytes] = None,
           id_key_digest: typing.Optional[bytes] = None,
           author_key_digest: typing.Optional[bytes] = None,
           guest_policy: typing.Optional[int] = None,
           minimum_tcb: typing.Optional[Tcb] = None,
           minimum_api: tuple[int, int] = (0, 0), minimum_svn: int = 0,
           maximum_vmpl: typing.Optional[int] = 0, allow_debug: bool = False,
           allow_migration: bool = False, refuse_smt: bool = False,
           accept_masked_chip_id: bool = False,
           time: typing.Optional[int] = None) -> Report:
    """Verifies a report and returns it; raises Refused with the first check that fails.

    `roots` are files of ARKs that are trusted, `certificates` those that came with the report, and
    revocation lists: PEM or DER, in any order. `time` is the Unix time at which the certificates
    must be valid, now by default. `maximum_vmpl=None` accepts a report that the host asked for.

    >>> softsev.verify(bytes(1184), roots=[])
    Traceback (most recent call last):
    softsev.Refused: a report of version 0; 2 to 5 are known
    """
    raw = report.raw if isinstance(report, Report) else bytes(report)
    sizes = {"measurement": 48, "report_data": 64, "host_data": 32, "chip_id": 64,
             "id_key_digest": 48, "author_key_digest": 48}
    given = {"measurement": measurement, "report_data": report_data, "host_data": host_data,
             "chip_id": chip_id, "id_key_digest": id_key_digest,
             "author_key_digest": author_key_digest}
    policy = _ffi.new("struct softsev_report_policy *")
    keep: list[typing.Any] = []  # what the policy points to
    for name, size in sizes.items():
        value = given[name]
        if value is None:
            continue
        if len(value) != size:
            raise Error(f"{name} should have {size} bytes, not {len(value)}", 2)
        keep.append(_ffi.new("uint8_t[]", bytes(value)))
        setattr(policy, name, keep[-1])
    keep.append(_ffi.new("int64_t *", int(_time.time()) if time is None else time))
    policy.time = keep[-1]
    if guest_policy is not None:
        keep.append(_ffi.new("uint64_t *", guest_policy))
        policy.guest_policy = keep[-1]
    if minimum_tcb is not None:
        t = minimum_tcb
        keep.append(_ffi.new("struct softsev_snp_tcb *", {
            "fmc": t.fmc or 0, "boot_loader": t.boot_loader, "tee": t.tee, "snp": t.snp,
            "microcode": t.microcode}))
        policy.minimum_tcb, policy.minimum_tcb_numbers = keep[-1], 4 if t.fmc is None else 5
    policy.minimum_api_major, policy.minimum_api_minor = minimum_api
    policy.minimum_svn = minimum_svn
    policy.maximum_vmpl = _lib.SOFTSEV_SNP_VMPL_OF_HOST if maximum_vmpl is None else maximum_vmpl
    policy.allow_debug, policy.allow_migration = allow_debug, allow_migration
    policy.refuse_smt, policy.accept_masked_chip_id = refuse_smt, accept_masked_chip_id
    all_ = _ffi.new("struct softsev_report_certificates *")
    all_ = _ffi.gc(all_, _lib.softsev_report_certificates_free)
    lists = _ffi.addressof(all_, "lists")
    _read_certificates(roots, _ffi.addressof(all_, "roots"), lists)
    _read_certificates(certificates, _ffi.addressof(all_, "given"), lists)
    e = _error()
    check = _lib.softsev_owner_verify_report(raw, len(raw), all_, policy, e)
    if check != _lib.SOFTSEV_REPORT_OK:
        raise Refused(_ffi.string(_lib.softsev_report_check_name(check)).decode(),
                      _ffi.string(e.text).decode("utf-8", "replace"), int(e.code))
    return Report.parse(raw)


# --- Digests --------------------------------------------------------------------------------------


def _file(to: typing.Any, name: str, data: typing.Optional[bytes], keep: list[typing.Any]) -> None:
    if data is None:
        return
    keep += [_ffi.new("char[]", name.encode()), _ffi.from_buffer(data)]
    to.name, to.data, to.size = keep[-2], keep[-1], len(data)


def _text(text: str, keep: list[typing.Any]) -> typing.Any:
    keep.append(_ffi.new("char[]", text.encode()))
    return keep[-1]


def _choose(what: str, name: str, names: typing.Mapping[str, typing.Any]) -> typing.Any:
    if name not in names:
        raise Error(f"{what} '{name}' should be one of {', '.join(names)}", 2)
    return names[name]


def expected_digest(mode: str, kernel: bytes, initrd: typing.Optional[bytes] = None,
                    command_line: str = "", *, memory: int = 512 * MIB, cpus: int = 1,
                    secret: bool = False) -> bytes:
    """The digest of the launch that `softsev run --kernel` makes of these files.

    >>> softsev.expected_digest("sev-snp", b"no kernel")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    softsev.Error: kernel: neither a Linux bzImage nor an x86 ELF executable, ...
    """
    keep: list[typing.Any] = []
    e = _error()
    d = _ffi.new("struct softsev_image_description *")
    d.mode = getattr(_lib, "SOFTSEV_IMAGE_" + _choose("mode", mode, _MODES))
    d.memory_size, d.cpus, d.secret = memory, cpus, secret
    d.command_line = _text(command_line, keep)
    _file(d.kernel, "kernel", kernel, keep)
    _file(d.initrd, "initrd", initrd, keep)
    plan = _lib.softsev_image_build(d, e)
    if plan == _ffi.NULL:
        _raise(e, "the files make no launch")
    try:
        return _digest_of(plan, mode)
    finally:
        _lib.softsev_image_free(plan)


def _digest_of(plan: typing.Any, mode: str) -> bytes:
    digest = _ffi.new("uint8_t[48]")
    if mode == "sev-snp":
        _lib.softsev_image_snp_digest(plan, digest)
        return bytes(digest)
    e = _error()
    if _lib.softsev_image_digest(plan, digest, e):
        _raise(e, "no memory")
    return bytes(digest)[:32]


def measure(mode: str, firmware: bytes, *, vcpus: int = 1, vcpu_type: str = "EPYC-Milan",
            vmm: str = "qemu", features: int = 1, kernel: typing.Optional[bytes] = None,
            initrd: typing.Optional[bytes] = None, command_line: str = "") -> bytes:
    """The digest of a launch of a flash image by a public hypervisor, as `softsev owner measure`
    gives it.

    >>> import hashlib
    >>> image = bytes(4080) + b"\\xe9" * 16
    >>> softsev.measure("sev", image) == hashlib.sha256(image).digest()
    True
    >>> softsev.measure("sev-snp", bytes(4096), vmm="none")
    Traceback (most recent call last):
    softsev.Error: there is no vmm 'none'
    """
    keep: list[typing.Any] = []
    e, digest = _error(), _ffi.new("uint8_t[48]")
    d = _ffi.new("struct softsev_measure_description *")
    which, signature = _ffi.new("enum softsev_measure_vmm *"), _ffi.new("uint32_t *")
    d.mode = {"sev": _lib.SOFTSEV_MEASURE_SEV, "sev-es": _lib.SOFTSEV_MEASURE_SEV_ES,
              "sev-snp": _lib.SOFTSEV_MEASURE_SNP}[_choose("mode", mode, {m: m for m in _MODES})]
    if not _lib.softsev_measure_vmm_by_name(vmm.encode(), which):
        raise Error(f"there is no vmm '{vmm}'", 2)
    if not _lib.softsev_measure_signature_by_name(vcpu_type.encode(), signature):
        raise Error(f"there is no vcpu_type '{vcpu_type}'", 2)
    d.vmm, d.signature, d.vcpus, d.features = which[0], signature[0], vcpus, features
    d.kernel_hashes = kernel is not None
    d.command_line = _text(command_line, keep)
    _file(d.firmware, "firmware", firmware, keep)
    _file(d.kernel, "kernel", kernel, keep)
    _file(d.initrd, "initrd", initrd, keep)
    if _lib.softsev_measure_launch(d, _ffi.NULL, digest, e):
        _raise(e, "the image cannot be measured")
    return bytes(digest)[:48 if mode == "sev-snp" else 32]


# --- The machine ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """One trace event: its category, the machine's time in ns, its name, and key=value pairs."""
    category: str
    time_ns: int
    name: str
    text: str


@dataclass(frozen=True)
class Page:
    """What is launched at a guest physical address: whole pages, zeros after the data. `kind` is
    normal, zero, unmeasured, secrets or cpuid."""
    gpa: int
    data: bytes = b""
    kind: str = "normal"

    def size(self) -> int:
        return max(PAGE_SIZE, -(-len(self.data) // PAGE_SIZE) * PAGE_SIZE)


def softsev_python_event(context: typing.Any, event: typing.Any) -> None:
    platform: Platform = _ffi.from_handle(context)
    if platform._on_event:
        name = _ffi.string(_lib.softsev_trace_category_names[event.category]).decode()
        platform._on_event(Event(name, event.time_ns, _ffi.string(event.name).decode(),
                                 _ffi.string(event.text).decode("utf-8", "replace")))


def softsev_python_carry(context: typing.Any, request: typing.Any, response: typing.Any) -> int:
    guest: Guest = _ffi.from_handle(context)
    return int(_lib.softsev_vm_guest_request(guest._vm, request, response))


_ffi.def_extern()(softsev_python_event)
# a failure is the hypervisor's, in the upper half of SW_EXITINFO2
_ffi.def_extern(error=0xffffffff00000000)(softsev_python_carry)


class Platform:
    """A machine with SNP, switched on. Close it, or use it in a `with` statement.

    >>> events = []
    >>> with softsev.Platform(seed="doc", on_event=events.append, trace="command") as platform:
    ...     guest = platform.launch([softsev.Page(0x1000, b"code")])
    >>> "SNP_LAUNCH_FINISH" in [event.name for event in events]
    True
    >>> softsev.Platform(profile="none")
    Traceback (most recent call last):
    softsev.Error: there is no profile 'none'; `softsev profiles` lists them
    """

    def __init__(self, *, seed: typing.Optional[str] = None, memory: int = 64 * MIB,
                 profile: typing.Optional[str] = None,
                 on_event: typing.Optional[typing.Callable[[Event], None]] = None,
                 trace: str = "all") -> None:
        self._machine = self._hypervisor = self._crypto = _ffi.NULL
        self._guests: list[Guest] = []
        self._on_event = on_event
        self._self = _ffi.new_handle(self)
        e, config = _error(), _ffi.new("struct softsev_machine_config *")
        categories = _ffi.new("uint32_t *")
        if on_event and not _lib.softsev_trace_parse_categories(trace.encode(), categories):
            raise Error(f"trace '{trace}' names no categories of events", 2)
        if profile:
            config.profile = _lib.softsev_firmware_profile_find(profile.encode())
            if config.profile == _ffi.NULL:
                raise Error(f"there is no profile '{profile}'; `softsev profiles` lists them", 2)
        key = seed.encode() if seed is not None else b""
        self._crypto = _lib.softsev_crypto_create(key if key else _ffi.NULL, len(key))
        if self._crypto == _ffi.NULL:
            raise Error("OpenSSL cannot be set up", 6)
        config.memory_size, config.cores, config.crypto = memory, 1, self._crypto
        config.trace_categories = categories[0]
        _lib.softsev_crypto_random(self._crypto, config.fuses, 32)
        self._machine = _lib.softsev_machine_create(config, e)
        if self._machine == _ffi.NULL:
            self._fail(e, "no machine")
        self._sink = _ffi.new("struct softsev_trace_sink *")
        self._sink.event, self._sink.context = _lib.softsev_python_event, self._self
        if on_event:
            _lib.softsev_trace_add_sink(_lib.softsev_machine_trace(self._machine), self._sink)
        self._hypervisor = _lib.softsev_hypervisor_create(
            _lib.softsev_machine_host(self._machine), e)
        if self._hypervisor == _ffi.NULL or _lib.softsev_platform_init_snp(self._hypervisor, e):
            self._fail(e, "the platform cannot be initialised")

    def _fail(self, e: typing.Any, otherwise: str) -> typing.NoReturn:
        self.close()
        _raise(e, otherwise)

    def launch(self, pages: typing.Iterable[Page], *, policy: int = POLICY_DEFAULT,
               memory: int = 2 * MIB, host_data: bytes = bytes(32)) -> Guest:
        """Launches an SNP guest of these pages, one processor and, unless they are among the pages,
        a secrets and a CPUID page after them.

        >>> with softsev.Platform(seed="doc") as platform:
        ...     platform.launch([softsev.Page(0x1001)])
        Traceback (most recent call last):
        softsev.Error: page 0x1001 should be at a multiple of 4096, inside the guest's memory
        """
        if self._hypervisor == _ffi.NULL:
            raise Error("the platform is closed", 2)
        guest = Guest(self, list(pages), policy, memory, host_data)
        self._guests.append(guest)
        return guest

    def close(self) -> None:
        """Switches the machine off; its guests are gone."""
        for guest in self._guests:
            guest._close()
        self._guests = []
        if self._hypervisor != _ffi.NULL:
            _lib.softsev_hypervisor_destroy(self._hypervisor)
        if self._machine != _ffi.NULL:
            _lib.softsev_machine_destroy(self._machine)
        if self._crypto != _ffi.NULL:
            _lib.softsev_crypto_destroy(self._crypto)
        self._hypervisor = self._machine = self._crypto = _ffi.NULL

    def __enter__(self) -> Platform:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_guests"):
            self.close()


class Guest:
    """A launched SNP guest, seen from its host and from inside. Platform.launch() makes it."""

    def __init__(self, platform: Platform, pages: list[Page], policy: int, memory: int,
                 host_data: bytes) -> None:
        self._platform, self._vm = platform, _ffi.NULL
        self._self = _ffi.new_handle(self)
        self._keep: list[typing.Any] = []  # what the plan points to
        self._channels: dict[int, typing.Any] = {}
        if len(host_data) != 32:
            raise Error(f"host_data should have 32 bytes, not {len(host_data)}", 2)
        self._plan = self._make_plan(pages, memory)
        config, e = _ffi.new("struct softsev_vm_config *"), _error()
        config.name, config.plan = _text("guest", self._keep), self._plan
        config.snp_policy = policy
        self._config = config
        self._vm = _lib.softsev_vm_create(platform._hypervisor, config, e)
        if self._vm == _ffi.NULL:
            _raise(e, "no guest")
        if (_lib.softsev_vm_snp_launch_start(self._vm, e) or
                _lib.softsev_vm_snp_launch_update(self._vm, e) or
                _lib.softsev_vm_snp_launch_finish(self._vm, _ffi.NULL, _ffi.NULL, False, host_data,
                                                  e)):
            self._close()
            _raise(e, "the launch was refused")

    def _make_plan(self, pages: list[Page], memory: int) -> typing.Any:
        end = max((page.gpa + page.size() for page in pages), default=PAGE_SIZE)
        for kind in ("secrets", "cpuid"):
            if not any(page.kind == kind for page in pages):
                pages = [*pages, Page(end, kind=kind)]
                end += PAGE_SIZE
        if len(pages) > _lib.SOFTSEV_IMAGE_PIECES_MAX:
            raise Error(f"{len(pages)} pages are more than {_lib.SOFTSEV_IMAGE_PIECES_MAX}", 2)
        plan = _ffi.new("struct softsev_image_plan *")
        plan.memory_size, plan.mode = memory, _lib.SOFTSEV_IMAGE_SEV_SNP
        for page, piece in zip(pages, plan.pieces):
            if page.gpa < 0 or page.gpa % PAGE_SIZE or page.gpa + page.size() > memory:
                raise Error(f"page {page.gpa:#x} should be at a multiple of {PAGE_SIZE}, inside "
                            "the guest's memory", 2)
            piece.page_type = _choose("kind", page.kind, _PAGE_TYPES)
            piece.name, piece.gpa, piece.size = _text(page.kind, self._keep), page.gpa, page.size()
            if page.kind in ("normal", "unmeasured"):
                self._keep.append(_ffi.new("uint8_t[]", page.data.ljust(page.size(), b"\0")))
                piece.data, piece.data_size = self._keep[-1], page.size()
        plan.piece_count = len(pages)
        self._keep.append(_ffi.new("struct softsev_vmsa *", {"sev_features": 1}))
        plan.vmsas[0], plan.vmsa_count = self._keep[-1], 1
        return plan

    @property
    def expected_measurement(self) -> bytes:
        """The measurement that the owner computes from the same pages."""
        return _digest_of(self._plan, "sev-snp")

    def _memory(self, vmpl: int) -> typing.Any:
        if self._vm == _ffi.NULL:
            raise Error("the guest is gone", 2)
        return _ffi.new("struct softsev_guest_memory *", {
            "host": _lib.softsev_machine_host(self._platform._machine),
            "nested_cr3": _lib.softsev_vm_nested_tables(self._vm),
            "asid": _lib.softsev_vm_asid(self._vm), "snp": True, "vmpl": vmpl})

    def _channel(self, vmpl: int) -> typing.Any:
        """The key for messages of a VMPL, with its counter, which goes on from request to
        request."""
        if vmpl not in self._channels:
            secrets = _ffi.new("struct softsev_snp_secrets_page *")
            channel = _ffi.new("struct softsev_guest_channel *")
            memory = self._memory(0)
            if not _lib.softsev_guest_read(memory, _lib.softsev_vm_secrets_page(self._vm),
                                           _lib.SOFTSEV_GUEST_PRIVATE, secrets,
                                           _ffi.sizeof(secrets[0])) or \
                    not _lib.softsev_guest_channel_open(secrets, vmpl, channel):
                raise Error("the guest's secrets page has no key for messages", 9)
            self._channels[vmpl] = channel
        return self._channels[vmpl]

    def report(self, report_data: bytes = b"", *, vmpl: int = 0) -> Report:
        """A report that the guest asks for: at most 64 bytes of its own go into it."""
        if len(report_data) > 64 or not 0 <= vmpl <= 3:
            raise Error("report_data should have at most 64 bytes, and vmpl be 0 to 3", 2)
        carrier = _ffi.new("struct softsev_guest_carrier *")
        carrier.carry, carrier.context = _lib.softsev_python_carry, self._self
        request = _ffi.new("struct softsev_snp_report_req *")
        _ffi.memmove(request.report_data, bytes(report_data), len(report_data))
        request.vmpl = vmpl
        answer = _ffi.new("struct softsev_snp_report_rsp *")
        result = _lib.softsev_guest_report(self._channel(vmpl), carrier, request, answer, _ffi.NULL)
        if result != _lib.SOFTSEV_GUEST_OK:
            raise Error(_ffi.string(_lib.softsev_guest_result_text(result)).decode(), 9)
        if answer.status:
            raise Error(f"the firmware refused the request with status {answer.status:#x}", 5)
        return Report.parse(bytes(_ffi.buffer(_ffi.addressof(answer, "report"))))

    def read(self, gpa: int, size: int) -> bytes:
        """What the guest reads from its private memory."""
        out = _ffi.new("uint8_t[]", size)
        if not _lib.softsev_guest_read(self._memory(0), gpa, _lib.SOFTSEV_GUEST_PRIVATE, out, size):
            raise Error(f"the guest has no private memory at {gpa:#x}", 9)
        return bytes(out)

    def read_as_host(self, gpa: int, size: int) -> bytes:
        """What the host reads there: ciphertext.

        >>> with softsev.Platform(seed="doc") as platform:
        ...     guest = platform.launch([softsev.Page(0x1000, b"a guest's secret")])
        ...     guest.read(0x1000, 16), guest.read_as_host(0x1000, 16) == b"a guest's secret"
        (b"a guest's secret", False)
        """
        out = _ffi.new("uint8_t[]", size)
        if self._vm == _ffi.NULL or not _lib.softsev_vm_host_view(self._vm, gpa, out, size):
            raise Error(f"the guest has no memory at {gpa:#x}", 9)
        return bytes(out)

    def _close(self) -> None:
        if self._vm != _ffi.NULL:
            _lib.softsev_vm_destroy(self._vm)
        self._vm = _ffi.NULL
