#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU models: what `softsev profiles --cpu` says is what a guest of `softsev run --cpu` finds in
CPUID, and models that a mode cannot do without are refused."""
import json

from story import console, one_line, quick, tell, want

# Prints the four registers of each leaf of a list, as raw bytes.
CPUID = """
    .globl _start
_start:
    lea leaves(%rip), %rbp
1:  cmp $end, %rbp
    je 3f
    mov (%rbp), %eax
    mov 4(%rbp), %ecx
    cpuid
    mov %eax, out(%rip)
    mov %ebx, out+4(%rip)
    mov %ecx, out+8(%rip)
    mov %edx, out+12(%rip)
    lea out(%rip), %rsi
    mov $16, %ecx
    mov $0x3f8, %dx
2:  lodsb
    mov %al, %ah                            # two letters for a byte: the console is text
    shr $4, %al
    add $0x41, %al
    out %al, %dx
    mov %ah, %al
    and $15, %al
    add $0x41, %al
    out %al, %dx
    loop 2b
    add $8, %rbp
    jmp 1b
3:  mov $5, %al
    out %al, $0xf4
    hlt
leaves:
    LEAVES
end:
    .balign 16
out: .space 16
"""
REGISTERS = ("EAX", "EBX", "ECX", "EDX")
BITS = {"x2apic": 21, "tsc-deadline": 24, "hypervisor": 31}  # of leaf 1 ECX
SVM = 1 << 2  # of 8000_0001 ECX


def guest_sees(s, mode, model, leaves):
    rows = "\n".join(f".long {leaf:#x}, {subleaf}" for leaf, subleaf in leaves)
    kernel = s.build("cpuid", CPUID.replace("LEAVES", rows))
    code, events, error = s.run("--kernel", kernel, "--memory", "16", "--mode", mode, "--cpu",
                                model, "--seed", "models", state=s.path("models-" + mode))
    want(code == 11, (code, error))
    text = "".join(c for c in console(events) if "A" <= c <= "P")
    data = bytes((ord(a) - 65) << 4 | ord(b) - 65 for a, b in zip(text[::2], text[1::2]))
    want(len(data) == 16 * len(leaves), (len(data), text))
    return {leaf: [int.from_bytes(data[16 * i + 4 * r:][:4], "little") for r in range(4)]
            for i, leaf in enumerate(leaves)}


def profile(s, model):
    code, out, error = s.command("profiles", "--cpu", model, "--json")
    want(code == 0, error)
    return json.loads(out)


def expected(model, leaf):
    """What a guest should see of one register's features."""
    value = leaf["value"]
    if (leaf["leaf"], leaf["register"]) == (1, "ECX"):
        value |= sum(1 << BITS[name] for name in model["guest_adds"])
    if (leaf["leaf"], leaf["register"]) == (0x80000001, "ECX"):
        value &= ~SVM
    return value


@quick
def a_guest_sees_what_profiles_says(s):
    for mode, name in (("none", "milan"), ("none", "EPYC-Genoa,-umip"), ("none", "turin,-exempt"),
                       ("sev", "milan,-x2apic,-hypervisor"), ("none", "naples,-apic,-fxsr"),
                       ("none", "max,-tsc-deadline,-invtsc")):
        model = profile(s, name)
        leaves = [l for l in model["leaves"] if l["leaf"] not in (0x8000000a, 0x8000001f)]
        seen = guest_sees(s, mode, name, sorted({(l["leaf"], l["subleaf"]) for l in leaves}))
        for leaf in leaves:
            register = seen[leaf["leaf"], leaf["subleaf"]][REGISTERS.index(leaf["register"])]
            if leaf["leaf"] == 1 and leaf["register"] == "EDX":
                register &= ~(1 << 28)  # HTT is topology
            want(register == expected(model, leaf), (name, leaf, hex(register)))
        signature = seen[1, 0][0]
        want(signature == model["signature"], (name, hex(signature)))


@quick
def the_sev_leaf_has_what_the_mode_is_made_of(s):
    for mode, name, eax in (("none", "milan", 0), ("sev", "milan", 0x402),
                            ("sev", "milan,-sme-coherent", 2)):
        seen = guest_sees(s, mode, name, [(0x8000001f, 0), (0x8000000a, 0)])
        want(seen[0x8000001f, 0][0] == eax, (mode, name, seen))
        want(seen[0x8000000a, 0] == [0, 0, 0, 0], seen)


@quick
def a_model_without_what_a_mode_needs_is_refused(s):
    kernel = s.build("cpuid", CPUID.replace("LEAVES", ".long 0, 0"))
    for mode, model, lacks in (("sev", "milan,-sev", "sev"), ("sev-es", "milan,-sev", "sev"),
                               ("sev-es", "milan,-sev-es", "sev-es"),
                               ("sev-snp", "milan,-sev", "sev"),
                               ("sev-snp", "milan,-sev-snp", "sev-snp"),
                               ("sev-snp", "rome", "sev-snp"), ("none", "milan,-svm", "svm"),
                               ("none", "genoa,-npt", "npt")):
        code, events, error = s.run("--kernel", kernel, "--memory", "16", "--mode", mode, "--cpu",
                                    model)
        want(code == 2 and not events, (mode, model, code, error))
        want(f"--cpu {model}: this model does not show {lacks}, which vm1 needs for mode {mode}" in
             one_line(error), error)
    code, events, error = s.run("--kernel", kernel, "--memory", "16", "--mode", "sev", "--cpu",
                                "milan,-sev-snp")
    want(code == 11, (code, error))


@quick
def one_reader_for_the_names_of_models(s):
    kernel = s.build("cpuid", CPUID.replace("LEAVES", ".long 0, 0"))
    for name, words in (("genoa,", "'': after a comma"), ("EPYC-Genoa,", "'': after a comma"),
                        ("EPYC-Genoa,-umip,,", "',': after a comma"),
                        ("EPYC-Genoa,umip", "'umip': after a comma"),
                        ("EPYC-Monkey", "EPYC-Milan"), ("monkey", "a model is naples"),
                        ("milan,+avic", "do not implement")):
        for command in (("profiles",), ("run", "--kernel", kernel)):
            code, out, error = s.command(*command, "--cpu", name)
            want(code == 2 and not out and words in one_line(error), (name, code, error))
    for name in ("genoa,", "genoa,umip", "genoa,-", "EPYC-Genoa,-umip,,", "monkey"):
        code, out, error = s.command("owner", "measure", "--mode", "sev-es", "--firmware", kernel,
                                     "--cpu", name)
        want(code == 2 and not out and "--cpu" in one_line(error), (name, code, error))


tell(a_guest_sees_what_profiles_says, the_sev_leaf_has_what_the_mode_is_made_of,
     a_model_without_what_a_mode_needs_is_refused, one_reader_for_the_names_of_models)
