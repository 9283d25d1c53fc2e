#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes what other projects see of softsev: headers in which every name has the prefix, and the
list of renamed symbols.

usage: public_api.py CC SRC PUBLIC.TXT VERSION OUT.LIST OUT.FOLDER
    PUBLIC.TXT    the public headers, one a line
    OUT.LIST      `name softsev_name` for each function and variable that they declare: objcopy
    --redefine-syms OUT.FOLDER    the headers; they include each other as "softsev/room/header.h";
    version.h has the version's numbers

In the rooms a name is short: struct machine, machine_create(), MIB(), ERROR_FILE, u64. In an
installed header the same names are struct softsev_machine, softsev_machine_create(), SOFTSEV_MIB(),
SOFTSEV_ERROR_FILE, uint64_t. The names of members and parameters stay, but for those that C++
cannot have (KEYWORDS). C++ reads the same headers: what they declare is extern "C".
"""
import os
import re
import shutil
import subprocess
import sys

INCLUDE = re.compile(r'^(\s*#\s*include\s+)"([^"]+)"', re.MULTILINE)
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
                   r'|[A-Za-z_]\w*|##|->|\.\.\.|\s+|.', re.DOTALL)
# base.h's u8 and the like: another name, no other type
INTEGER = re.compile(r"^typedef (u?int\d+_t) (\w+);\n", re.MULTILINE)
TAGGED = ("struct", "union", "enum")
# C's own spelling of what C++ knows, too (<assert.h> has it), and members whose name C++ keeps for
# itself.
KEYWORDS = {"_Static_assert": "static_assert", "public": "public_key"}
GUARD = re.compile(r"^#ifndef \w+\n#define \w+\n", re.MULTILINE)


def preprocess(cc, src, headers):
    """Returns what a compiler sees of our headers alone."""
    text = "".join(f'#include "{name}"\n' for name in headers)
    run = subprocess.run([cc, "-E", "-std=c11", "-I", src, "-x", "c", "-"], input=text, text=True,
                         capture_output=True,
                         check=True)
    ours, lines = False, []
    for line in run.stdout.split("\n"):
        mark = re.match(r'# \d+ "([^"]*)"', line)
        if mark:
            ours = os.path.relpath(mark.group(1), src) in headers
        elif ours:
            lines.append(line)
    return "\n".join(lines)


def outside_braces(text):
    """Returns the text with each {...} at file scope made {}."""
    depth, out = 0, []
    for c in text:
        depth -= c == "}"
        if depth == 0:
            out.append(c)
        depth += c == "{"
    return "".join(out)


def declared(text):
    """Returns the names that preprocessed headers declare: symbols, inline functions and types,
    tags, enumerators."""
    text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|__extension__", " ", text)
    tags = set(re.findall(r"\b(?:struct|union|enum)\s+(\w+)", text))
    others, symbols = set(), set()
    for body in re.findall(r"\benum\b\s*\w*\s*\{([^}]*)\}", text):
        others |= {row.split("=")[0].strip() for row in body.split(",") if row.strip()}
    flat = re.sub(r"_Static_assert\s*\([^;]*;", ";", outside_braces(text))
    ends = (r";|(?<=\})(?=\s*(?:static|struct|union|enum|typedef|extern|const|void|int|bool"
            r"|[a-z]\w* ))")
    for part in re.split(ends, flat):
        part = part.strip()
        if part.startswith("typedef"):
            name = re.search(r"\(\s*\*?\s*(\w+)\s*\)\s*\(|(\w+)\s*(?:\[[^]]*\])*\s*(?:\(.*)?$",
                             part, re.DOTALL)
            others.add(name.group(1) or name.group(2))
        elif part.startswith("static"):
            others |= set(re.findall(r"\b(\w+)\s*(?:\(|\[|=)", part)[:1])
        elif "(" in part:
            symbols.add(re.search(r"\b(\w+)\s*\(", part).group(1))
        elif part.startswith("extern"):
            symbols.add(re.search(r"(\w+)\s*(?:\[[^]]*\])*$", part).group(1))
    return tags, others, symbols


def prefixed(name):
    return ("SOFTSEV_" if re.match(r"[A-Z0-9_]+$", name) else "softsev_") + name


def rename(text, tags, others, integers):
    """Returns source text with the prefix before each of the names, and with C's own names for
    integers."""
    out, before, tag_next, depth = [], "", False, 0
    # whether a structure's { may follow; for each { that is open, whether it is one's
    structure, bodies = False, []
    tokens = TOKEN.findall(text)
    for at, token in enumerate(tokens):
        following = next((t for t in tokens[at + 1:at + 3] if not t.isspace()), "")
        word = re.match(r"[A-Za-z_]\w*$", token)
        pasted = following == "##" and before != "##" and any(name.startswith(token)
                for name in others)
        member = bodies and bodies[-1] and following in (";", ",", "[", ":",
                ")") and token.islower()
        tag = (tag_next and depth == 0 and word and token != "__attribute__"
               and not token.endswith("_PACKED"))
        if token.startswith(("/*", "//")):
            out.append(re.sub(r"\b\w+_\w+\b|\b[A-Z]+(?=\()", lambda m: prefixed(m[0])
                              if m[0] in others else m[0], token))
        elif tag:
            out.append("softsev_" + token if token in tags else token)
        elif token in KEYWORDS:
            out.append(KEYWORDS[token])
        elif word and not member and before not in (".", "->") and (token in others or pasted):
            out.append(integers.get(token) or prefixed(token))
        else:
            out.append(token)
        if token == "{":
            bodies.append(structure)
        elif token == "}":
            bodies.pop()
        structure = token in ("struct", "union") or structure and token not in ("{", ";", "=", ")",
                ",") or \
            structure and depth > 0
        tag_next = token in TAGGED or tag_next and not tag and token != "{"
        depth = depth + (token == "(") - (token == ")") if tag_next else 0
        before = before if token.isspace() else token
    return "".join(out)


def for_both(text):
    """Returns a header whose declarations have C's linkage in C++: they stand between the last
    #include and the #endif of the guard."""
    if "static_assert" in text:
        text = GUARD.sub(lambda m: m[0] + "\n#include <assert.h>", text, count=1)
    last = [*GUARD.finditer(text), *re.finditer(r"^#include [^\n]*\n", text, re.MULTILINE)][-1]
    end = text.rindex("#endif")
    return (text[:last.end()] + '\n#ifdef __cplusplus\nextern "C" {\n#endif\n' +
            text[last.end():end] + "#ifdef __cplusplus\n}\n#endif\n\n" + text[end:])


def main():
    cc, src, table, version, list_path, folder = sys.argv[1:7]
    headers = [line.split("#")[0].strip() for line in open(table, encoding="ascii")]
    headers = [name for name in headers if name]
    texts = {name: open(os.path.join(src, name), encoding="utf-8").read() for name in headers}
    for name, text in texts.items():
        for _, other in INCLUDE.findall(text):
            if other not in texts:
                sys.exit(f"{table}: {name} includes {other}, which is not public")
    tags, others, symbols = declared(preprocess(cc, src, headers))
    others |= symbols
    for text in texts.values():
        others |= set(re.findall(r"^\s*#\s*define\s+(?!SOFTSEV_)(\w+)", text, re.MULTILINE))
    integers = {short: name for text in texts.values() for name, short in INTEGER.findall(text)}
    with open(list_path, "w", encoding="ascii") as f:
        f.writelines(f"{name} softsev_{name}\n" for name in sorted(symbols))
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in texts.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            text = INTEGER.sub("", INCLUDE.sub(r'\1"softsev/\2"', text))
            f.write(for_both(rename(text, tags, others, integers)))
    with open(os.path.join(folder, "version.h"), "w", encoding="ascii") as f:
        f.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* The version of these headers. */\n"
                "#ifndef SOFTSEV_VERSION_H\n#define SOFTSEV_VERSION_H\n\n")
        for part, number in zip(("MAJOR", "MINOR", "PATCH"), version.split(".")):
            f.write(f"#define SOFTSEV_VERSION_{part} {number}\n")
        f.write("\n#endif\n")


if __name__ == "__main__":
    main()
