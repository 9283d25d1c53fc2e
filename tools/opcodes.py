#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns src/cpu/decode/opcodes.def into the decoder's tables or into documentation.

usage: opcodes.py tables OPCODES.DEF EXEC_LIST.H OUT.c
       opcodes.py document OPCODES.DEF OUT.md
       opcodes.py verify OPCODES.DEF DOCUMENT.md    fails if the document is not what `document`
       would write

The notation is described at the top of opcodes.def. A mistake there (two rows for one encoding, an
operand that does not exist, an exec function missing in exec_list.h) stops the build here.
"""
import io
import re
import sys

VEX_MAP = 3  # VEX's maps follow the four legacy ones; 0F is map 1
CONDITIONS = ["o", "no", "b", "nb", "z", "nz", "be", "nbe",
              "s", "ns", "p", "np", "l", "nl", "le", "nle"]
CONDITION_FLAGS = ["O", "O", "C", "C", "Z", "Z", "CZ", "CZ",
                   "S", "S", "P", "P", "SO", "SO", "ZSO", "ZSO"]
# attributes that the document shows in another way, or not at all
UNSEEN = ("FUZZ_SKIP", "OWN_EXIT")
FLAG_BITS = {"C": 0, "P": 2, "A": 4, "Z": 6, "S": 7, "D": 10, "O": 11}

# Size letters, and the sizes a memory operand may have besides.
SIZES = {"": "0", "b": "1", "w": "2", "d": "4", "q": "8", "x": "16", "t": "10", "v": "V", "z": "Z",
         "y": "Y", "n": "NATIVE", "a": "ADDRESS", "p": "FAR", "s": "DESCRIPTOR", "fx": "512",
         "env": "ENVIRONMENT",
         "state": "STATE", "a2": "BOUNDS", "2y": "2Y", "dq": "16", "qq": "32"}
# In VEX rows: of the vector length, its half, fourth and eighth.
VEX_SIZES = {"x": "VECTOR", "h": "HALF", "f": "FOURTH", "e": "EIGHTH"}
REGISTERS = {"AX": 0, "CX": 1, "DX": 2, "BX": 3, "DI": 7, "SI": 6}
SEGMENTS = ["ES", "CS", "SS", "DS", "FS", "GS"]


def plain_operands():
    """The operands that are not a letter and a size: (method, size, extra)."""
    table = {"AL": ("FIXED", "1", 0), "CL": ("FIXED", "1", 1), "AX": ("FIXED", "2", 0),
             "DX": ("FIXED", "2", 2),
             "EAX": ("FIXED", "4", 0), "ECX": ("FIXED", "4", 1), "rAX": ("FIXED", "V", 0),
             "zAX": ("FIXED", "Z", 0),
             "aAX": ("FIXED", "ADDRESS", 0), "ST0": ("ST0", "10", 0), "STi": ("ST", "10", 0),
             "XMM0": ("XMM0", "16", 0), "1": ("ONE", "1", 0), "Ap": ("A", "FAR", 0),
             "Sw": ("S", "2", 0),
             "Cn": ("C", "NATIVE", 0), "Dn": ("D", "NATIVE", 0),
             "Ib": ("I", "1", 0), "Iw": ("I", "2", 0), "Iv": ("I", "V", 0), "Ib2": ("I2", "1", 0),
             "Ibs": ("IS", "V", 1), "Iz": ("IS", "V", 0), "Jb": ("J", "1", 0), "Jz": ("J", "Z", 0),
             "Ob": ("O", "1", 0), "Ov": ("O", "V", 0), "Ma": ("M", "BOUNDS", 0),
             "Xlat": ("SOURCE", "1", 3), "MrAX": ("SOURCE", "1", 0), "Ydi8": ("SOURCE", "8", 7),
             "Ydi16": ("SOURCE", "16", 7),
             "VSd": ("VSIB", "4", 0), "VSq": ("VSIB", "8", 0)}
    for size in "bvz":
        table["X" + size] = ("SOURCE", SIZES[size], 6)
        table["Y" + size] = ("TARGET", SIZES[size], 7)
    for number, name in enumerate(SEGMENTS):
        table[name] = ("SREG", "2", number)
    return table


PLAIN = plain_operands()
MODRM_METHODS = {"E", "M", "R", "G", "V", "W", "U", "P", "Q", "N", "ST", "S", "C", "D", "VSIB"}
MEMORY_ONLY, REGISTER_ONLY = {"M", "VSIB"}, {"R", "U", "N", "ST"}


def operand(text, vex=False):
    if text in PLAIN:
        return PLAIN[text]
    if vex and text[1:] in VEX_SIZES:
        return (text[0], VEX_SIZES[text[1:]], 0)
    both = re.fullmatch(r"R([dvz])M([bwd])", text)
    if both:
        return ("E", SIZES[both[2]], "SIZE_" + SIZES[both[1]])
    method, size = text[0], SIZES[text[1:]]
    if method not in ("EMRGVWUHLB" if vex else "EMRGZVWUPQN"):
        raise ValueError("no operand " + text)
    return (method, size, "SIZE_" + size if method == "E" else 0)


class Insn:
    def __init__(self, name, insn_id, executes, attributes, read, written, undefined, leaves):
        self.name, self.id, self.exec, self.leaves = name, insn_id, executes, leaves.replace("-",
                "")
        self.exit = self.leaves.rstrip("*")
        self.attributes = [] if attributes == "-" else attributes.split("|")
        if self.leaves.endswith("*"):
            self.attributes.append("OWN_EXIT")
        self.read, self.written, self.undefined = (f.replace("-", "")
                                                   for f in (read, written, undefined))


class Encoding:
    """One ENC, expanded: one opcode byte (or for +i one ModRM range)."""

    def __init__(self, row, insn, text, operands, notes):
        self.row, self.text, self.operand_text, self.notes = row, text, operands, notes
        words = re.sub(r"\s*\+", " +", text).split()
        self.vex = words[0] == "VEX" and bool(words.pop(0))
        self.operands = [operand(o, self.vex) for o in operands.split()]
        mandatory = words[0] in ("66", "F2", "F3") and len(words) > 1
        self.prefix = words.pop(0) if mandatory or words[0] in ("NP", "n6") else ""
        self.map = 0
        if words[0] == "0F":
            words.pop(0)
            self.map = 1
            if words[0] in ("38", "3A") and len(words) > 1 and re.fullmatch("[0-9A-F]{2}",
                    words[1]):
                self.map = 2 if words.pop(0) == "38" else 3
        self.opcode = int(words.pop(0), 16)
        self.digit = self.modrm = None
        self.spread = None
        for word in words:
            if word.startswith("/"):
                self.digit = int(word[1:])
            elif word in ("+r", "+i", "+cc"):
                self.spread = word
            else:
                self.modrm = int(word, 16)
        methods = {o[0] for o in self.operands}
        self.has_modrm = (bool(methods & MODRM_METHODS) or self.digit is not None
                          or self.modrm is not None)
        self.memory = not (methods & REGISTER_ONLY or "REG" in notes) or "ANYMOD" in notes
        self.register = not (methods & MEMORY_ONLY or "MEM" in notes)
        self.modes = [m for m, bar in ((0, "O64"), (1, "N64")) if bar not in notes]
        # A row that is more particular goes before a general one.
        self.rank = (self.prefix != "", self.modrm is not None, self.digit is not None,
                     self.spread is None)

    def prefixes(self):
        return {"": [0, 1, 2, 3], "NP": [0], "66": [1], "F3": [2], "F2": [3],
                "n6": [0, 1]}[self.prefix]

    def variants(self):
        """The columns of the VEX index: prefix, VEX.W, VEX.L."""
        w = [n for n in (0, 1) if "W%d" % (1 - n) not in self.notes]
        vector_length = [n for n in (0, 1) if "L%d" % (1 - n) not in self.notes]
        return [p | a << 2 | b << 3 for p in self.prefixes() for a in w for b in vector_length]

    def classes(self):
        """Which of the 72 ModRM classes (8 memory digits, then C0..FF) this encoding takes."""
        if not self.has_modrm:
            return range(72)
        if self.modrm is not None:
            count = 8 if self.spread == "+i" else 1
            return [8 + self.modrm + i - 0xc0 for i in range(count)]
        chosen = []
        for digit in range(8) if self.digit is None else [self.digit]:
            if self.memory:
                chosen.append(digit)
            if self.register:
                chosen += [8 + digit * 8 + i for i in range(8)]
        return chosen

    def flags(self):
        chosen = [("ENCODING_MODRM", self.has_modrm), ("ENCODING_D64", "D64" in self.notes),
                  ("ENCODING_NO_W", "NOW" in self.notes),
                  ("ENCODING_ANYMOD", "ANYMOD" in self.notes),
                  ("ENCODING_66", self.prefix == "66"),
                  ("ENCODING_REP", self.prefix in ("F2", "F3")),
                  ("ENCODING_VVVV", any(o[0] in "HB" for o in self.operands)),
                  ("ENCODING_VSIB", any(o[0] == "VSIB" for o in self.operands))]
        return " | ".join(name for name, on in chosen if on) or "0"

    def c(self):
        rules = ", ".join("{METHOD_%s, SIZE_%s, %s}" % o for o in self.operands) or "{0, 0, 0}"
        return "{%d, %s, %d, {%s}}" % (self.row, self.flags(), len(self.operands), rules)


class Table:
    def __init__(self, path):
        text = open(path, encoding="ascii").read()
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
        self.insns, self.encodings, self.current, self.spread = [], [], None, False
        for kind, body in re.findall(r"\b([A-Z_]+)\(([^()]*)\)", text):
            getattr(self, kind.lower())(*[field.strip() for field in body.split(",")])

    def insn(self, insn_id, *fields):
        self.insn_as(insn_id, insn_id, *fields)

    def insn_as(self, insn_id, name, executes, attributes, read, written, undefined, leaves):
        self.current, self.conditions = len(self.insns), False
        self.insns.append(Insn(name, insn_id, executes, attributes, read, written, undefined,
                               leaves))

    def insn_cc(self, insn_id, prefix, executes, attributes, written, undefined, leaves):
        self.current, self.conditions = len(self.insns), True
        for name, read in zip(CONDITIONS, CONDITION_FLAGS):
            self.insns.append(Insn(prefix + name, insn_id, executes, attributes, read, written,
                                   undefined, leaves))

    def simd(self, name, opcode):
        self.insn_as("mmx_" + name, name, "mmx_" + name, "MMX", "-", "-", "-", "-")
        self.enc("NP " + opcode, "Pq Qq")
        self.insn_as(name, name, name, "SSE|ALIGN16", "-", "-", "-", "-")
        self.enc("66 " + opcode, "Vx Wx")

    def avx(self, name, opcode, notes=""):
        self.insn_as("v" + name, "v" + name, "v" + name, "AVX", "-", "-", "-", "-")
        self.enc("VEX " + opcode, "Vx Hx Wx", notes)

    def avx_scalar(self, name, opcode):
        size = "q" if name.endswith("sd") else "d"
        self.insn_as("v" + name, "v" + name, "v" + name, "AVX", "-", "-", "-", "-")
        self.enc("VEX " + opcode, "Vdq Hdq W" + size)

    def fma_scalar(self, name, digit):
        self.fma(name, digit, "s")

    def fma(self, name, digit, scalar=""):
        """One operation in its three orders of operands and both precisions."""
        for order, high in (("132", "9"), ("213", "A"), ("231", "B")):
            for precision, size in (("s", "d"), ("d", "q")):
                full = "v" + name + order + (scalar or "p") + precision
                self.insn_as(full, full, "fma", "AVX", "-", "-", "-", "-")
                operands = "Vdq Hdq W" + size if scalar else "Vx Hx Wx"
                self.enc("VEX 66 0F 38 " + high + digit, operands,
                         "W1" if precision == "d" else "W0")

    def simd_shift(self, name, opcode, group):
        self.insn_as("mmx_" + name, name, "mmx_" + name, "MMX", "-", "-", "-", "-")
        self.enc("NP " + opcode, "Pq Qq")
        self.enc("NP " + group, "Nq Ib")
        self.insn_as(name, name, name, "SSE|ALIGN16", "-", "-", "-", "-")
        self.enc("66 " + opcode, "Vx Wx")
        self.enc("66 " + group, "Ux Ib")

    def enc(self, text, operands="", notes=""):
        notes = notes.split()
        count = {"+r": 8, "+cc": 16}.get((re.search(r"\+\s*(r|cc)$", text) or [""])[0].replace(" ",
                ""), 1)
        for i in range(count):
            row = self.current + (i if self.conditions else 0)
            encoding = Encoding(row, self.insns[row], text, operands, notes)
            encoding.opcode += i
            encoding.first = i == 0
            self.encodings.append(encoding)

    def cells(self):
        """{(mode, map, column, opcode): 72 encoding numbers}; numbers start at 1."""
        cells = {}
        for number, e in enumerate(self.encodings, 1):
            for mode in e.modes:
                for column in e.variants() if e.vex else e.prefixes():
                    place = (mode, e.map + (VEX_MAP if e.vex else 0), column, e.opcode)
                    cell = cells.setdefault(place, [0] * 72)
                    for c in e.classes():
                        other = self.encodings[cell[c] - 1] if cell[c] else None
                        if other and other.has_modrm != e.has_modrm and other.opcode != 0x90:
                            raise ValueError("ModRM or not: %s, %s" % (other.text, e.text))
                        if other and other.rank == e.rank:
                            raise ValueError("two rows for one encoding: %s, %s" % (other.text,
                                    e.text))
                        if not other or other.rank < e.rank:
                            cell[c] = number
        return cells


def flags(letters):
    value = 0
    for letter in letters:
        value |= 1 << FLAG_BITS[letter]
    return "0x%03x" % value


def check_exec_list(table, path):
    text = re.sub(r"/\*.*?\*/", " ", open(path, encoding="ascii").read(), flags=re.S)
    listed = set(re.findall(r"\bEXEC\((\w+)\)", text))
    used = {i.exec for i in table.insns if i.exec != "-"}
    for name in sorted(listed ^ used):
        print("opcodes.py: exec_%s is %s" % (name, "in exec_list.h but no row uses it"
                                             if name in listed
                                             else "missing in exec_list.h"), file=sys.stderr)
    if listed != used:
        sys.exit(1)


def pack_groups(cells):
    """Index values and the groups they point to; equal groups are kept once."""
    index, groups, where = {}, [0], {}
    for key, cell in cells.items():
        if len(set(cell)) == 1:
            index[key] = cell[0]
            continue
        by_digit = all(len(set(cell[8 + d * 8:16 + d * 8])) == 1 for d in range(8))
        group = tuple(cell[:8] + cell[8::8]) if by_digit else tuple(cell)
        if group not in where:
            where[group] = len(groups)
            groups.extend(group)
        index[key] = where[group] | (0x8000 if by_digit else 0xc000)
    assert len(groups) < 0x4000
    return index, groups


def write_tables(table, out):
    put = lambda line: print(line, file=out)
    put("/* Made by tools/opcodes.py from opcodes.def. */")
    put('#include "cpu/decode/decode.h"\n#include "cpu/internal.h"\n')
    put("const struct opcode opcode_table[] = {")
    for i in table.insns:
        put('    {"%s", %s, INSN_%s, %s, %s, %s, %s, %s},' % (
            i.name, "exec_" + i.exec if i.exec != "-" else "NULL", i.id,
            " | ".join("OP_" + a for a in i.attributes) or "0", flags(i.read), flags(i.written),
            flags(i.undefined),
            "EXIT_" + i.exit if i.exit else "0"))
    put("};\nconst u32 opcode_count = %d;\n" % len(table.insns))
    put("const struct encoding decode_encodings[] = {\n    {0, 0, 0, {{0, 0, 0}}},")
    for e in table.encodings:
        put("    %s, /* %s %s */" % (e.c(), table.insns[e.row].name, e.text))
    put("};\n")
    index, groups = pack_groups(table.cells())
    put("const u16 decode_groups[] = {")
    for i in range(0, len(groups), 16):
        put("    " + " ".join("%d," % g for g in groups[i:i + 16]))
    put("};\n")
    write_index(put, "decode_index[2][MAPS][OPCODE_PREFIXES][256]", index, 0, 4, 4)
    write_index(put, "decode_index_vex[2][VEX_MAPS][VEX_COLUMNS][256]", index, VEX_MAP + 1, 3, 16)


def write_index(put, declaration, index, first, maps, columns):
    put("const u16 %s = {" % declaration)
    for mode in range(2):
        for m in range(maps):
            for column in range(columns):
                key = (mode, first + m, column)
                entries = [(op, index[key + (op,)]) for op in range(256) if key + (op,) in index]
                put("    [%d][%d][%d] = {" % (mode, m, column))
                for at in range(0, len(entries), 8):
                    put("        " + " ".join("[0x%02x] = 0x%04x," % e for e in entries[at:at + 8]))
                put("    }," if entries else "        0,\n    },")
    put("};\n")


def write_document(table, out):
    put = lambda line: print(line, file=out)
    put("# Instructions\n\nEvery instruction the cores decode, from `src/cpu/decode/opcodes.def` "
        "(`tools/opcodes.py\ndocument`). All other encodings raise #UD. Notation: the top of that "
        "file. Flags: r read, w written,\nu left undefined by the manual. Intercept: checked after "
        "#UD and #GP for what the attributes ask;\n*: the instruction checks it at a point of its "
        "own.\n")
    put("| instruction | encoding and operands | attributes | flags | intercept "
        "|\n|---|---|---|---|---|")
    done = set()
    for number, i in enumerate(table.insns):
        if i.id in done:
            continue
        done.add(i.id)
        rows = {r for r, other in enumerate(table.insns) if other.id == i.id}
        name = i.name.upper() if len(rows) == 1 else i.id.upper()
        encodings = "; ".join("`%s` %s%s" % (e.text, e.operand_text, " " + " ".join(e.notes)
                                             if e.notes else "")
                              for e in table.encodings if e.row == number and e.first)
        used = " ".join("%s:%s" % (k, v) for k, v in (("r", i.read if len(rows) == 1 else "cc"),
                                                      ("w", i.written),
                                                      ("u", i.undefined)) if v)
        put("| %s | %s | %s | %s | %s |" % (name, encodings, " ".join(a for a in i.attributes
                if a not in UNSEEN), used,
                                           i.leaves))


def main():
    table = Table(sys.argv[2])
    if sys.argv[1] == "tables":
        check_exec_list(table, sys.argv[3])
        with open(sys.argv[4], "w", encoding="ascii") as out:
            write_tables(table, out)
    elif sys.argv[1] == "verify":
        want = io.StringIO()
        write_document(table, want)
        if want.getvalue() != open(sys.argv[3], encoding="ascii").read():
            sys.exit("%s is old: tools/opcodes.py document %s %s" % (sys.argv[3], sys.argv[2],
                    sys.argv[3]))
    else:
        with open(sys.argv[3], "w", encoding="ascii") as out:
            write_document(table, out)


main()
