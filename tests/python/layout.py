#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""posthaste._library against the headers: the size of every struct and the place of every field, as
the C compiler has them; results and arguments of every function and callback; named values.
usage: POSTHASTE_LIBRARY=… layout.py"""
import ctypes
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), HERE]

import posthaste  # noqa: E402
import tap  # noqa: E402
from posthaste import _library, _record, _send  # noqa: E402

INCLUDE = os.path.join(ROOT, "include")
# What has a number of its own in Python: the C constants in order, the Python values.
VALUES = {
    "PH_IO_": {"OK": _library.IO_OK, "AGAIN": _library.IO_AGAIN, "EOF": _library.IO_EOF,
               "ERROR": _library.IO_ERROR},
    "PH_TLS_": {"DEFAULT": _library.TLS_DEFAULT, "STARTTLS": _library.TLS_STARTTLS,
                "IMPLICIT": _library.TLS_IMPLICIT, "OPPORTUNISTIC": _library.TLS_OPPORTUNISTIC,
                "OFF": _library.TLS_OFF, "BY_HAND": _library.TLS_BY_HAND,
                "1_2": _send._TLS_VERSIONS["1.2"], "1_3": _send._TLS_VERSIONS["1.3"]},
    "PH_LINE_ENDS_": {"NORMALISE": _library.LINE_ENDS_NORMALISE,
                      "STRICT": _library.LINE_ENDS_STRICT, "BINARY": _library.LINE_ENDS_BINARY},
    "PH_NOTIFY_": {name.upper(): value for name, value in _send._NOTIFY.items()},
    "PH_DANE_": {"DEFAULT": _send._DANE["auto"], "OFF": _send._DANE["off"],
                 "REQUIRED": _send._DANE["required"]},
    "PH_RETURN_": {"FULL": _send._RETURN["full"], "HEADERS": _send._RETURN["hdrs"]},
    "PH_BY_": {name.upper(): value for name, value in _send._BY.items()},
}
SCALARS = {"bool": "?", "char": "c", "int": "i", "unsigned": "I", "size_t": "L", "uint16_t": "H",
           "uint64_t": "L", "int64_t": "l", "int32_t": "i", "void": "void"}
POINTERS = (ctypes._Pointer, ctypes._CFuncPtr, ctypes.c_char_p, ctypes.c_void_p)


def structs():
    types = [x for x in vars(_library).values() if isinstance(x, type)]
    found = [x for x in types if issubclass(x, ctypes.Structure) and not x.__name__.startswith("_")]
    assert len(found) > 10
    return found


def printer():
    """A C program: each struct's size, each field's offset and size, each value."""
    lines = ["#include <posthaste.h>", "#include <stdio.h>", "#include <sys/uio.h>",
             "#include <posthaste/transport.h>", "int main(void) {"]
    for struct in structs():
        lines.append('printf("sizeof %s %%zu\\n", sizeof(struct %s));' % ((struct.__name__,) * 2))
        for field in struct._fields_:
            name = field[0].rstrip("_")
            lines.append('printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), '
                         'sizeof(((struct %s *)0)->%s));' % ((struct.__name__, name) * 3))
    for prefix, values in VALUES.items():
        lines += ['printf("%s %%d\\n", (int)%s);' % ((prefix + name,) * 2) for name in values]
    return "\n".join(lines + ["}"])


def as_compiled():
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
        with open(source, "w") as f:
            f.write(printer())
        subprocess.run(["cc", "-Wall", "-Werror", "-I", INCLUDE, "-o", program, source], check=True)
        return set(subprocess.run([program], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.splitlines())


def as_declared():
    for struct in structs():
        yield "sizeof %s %d" % (struct.__name__, ctypes.sizeof(struct))
        for field in struct._fields_:
            place = getattr(struct, field[0])
            yield "%s.%s %d %d" % (struct.__name__, field[0].rstrip("_"), place.offset, place.size)
    for prefix, values in VALUES.items():
        for name, value in values.items():
            yield "%s %d" % (prefix + name, value)


def headers():
    text = ""
    for path in glob.glob(os.path.join(INCLUDE, "posthaste", "*.h")):
        with open(path) as f:
            text += re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    return text


def c_kind(declaration):
    """"const char *name": a pointer; "uint64_t n": its scalar's letter, of what struct calls it."""
    if "*" in declaration or "[" in declaration:
        return "P"
    words = [x for x in declaration.split() if x not in ("const", "struct")]
    return "i" if words[0] == "enum" else SCALARS[words[0]]


def python_kind(type_):
    if type_ is None:
        return "void"
    return "P" if issubclass(type_, POINTERS) else type_._type_


def c_arguments(text):
    return [] if text.strip() == "void" else [c_kind(x) for x in text.split(",")]


def c_functions(text):
    text = re.sub(r"\(\*(\w+)\)\([^()]*\)(?=[,)])", r"*\1", text)  # of an argument: a pointer
    for result, name, arguments in re.findall(r"PH_API\s+([\w\s*]+?)\b(ph_\w+)\(([^()]*)\);", text):
        yield name, [c_kind(result)] + c_arguments(arguments)


def c_callbacks(text):
    """Of each struct, its members that are function pointers."""
    for struct, body in re.findall(r"struct (ph_\w+) \{(.*?)^\};", text, re.S | re.M):
        for result, name, arguments in re.findall(r"([\w\s*]+?)\(\*(\w+)\)\(([^()]*)\);", body):
            yield (struct, name), [c_kind(result)] + c_arguments(arguments)


def functions():
    for name, (result, arguments) in _library._PROTOTYPES.items():
        if name.startswith("ph_"):
            yield name, [python_kind(x) for x in [result] + arguments]


def callbacks():
    for struct in structs():
        for field in struct._fields_:
            if issubclass(field[1], ctypes._CFuncPtr):
                yield ((struct.__name__, field[0]),
                       [python_kind(x) for x in (field[1]._restype_,) + field[1]._argtypes_])


def differences(ours, theirs):
    theirs = dict(theirs)
    for name, kinds in ours:
        if kinds != theirs.get(name):
            yield "%s is %s, in the headers %s" % (name, kinds, theirs.get(name))


def main():
    text = headers()
    compiled, declared = as_compiled(), set(as_declared())
    checks = [
        ("structs and values are as the C compiler has them",
         ["C: " + x for x in sorted(compiled - declared)] +
         ["Python: " + x for x in sorted(declared - compiled)]),
        ("functions are declared as in the headers", differences(functions(), c_functions(text))),
        ("callbacks are declared as in the headers", differences(callbacks(), c_callbacks(text))),
        ("the library has every function that is declared",
         [x for x in _library._PROTOTYPES if not hasattr(_library.lib, x)]),
        ("the record's words are the library's",
         set(_library.CODES) ^ {x.value for x in _record.ErrorClass} |
         set(_library.STAGES) ^ {x.value for x in _record.Stage} |
         set(_library.OUTCOMES) ^ {x.value for x in _record.Outcome} ^ {"pending"}),
        ("package, library and headers are of one version",
         {posthaste.__version__, _library.lib.ph_version().decode()} ^
         set(re.findall(r'#define PH_VERSION "(.*)"', text))),
    ]
    problems = [(sentence, list(found)) for sentence, found in checks]
    for sentence, found in problems:
        tap.say(not found, sentence, "\n".join(found))
    return 1 if any(found for _, found in problems) else 0


if __name__ == "__main__":
    sys.exit(main())
