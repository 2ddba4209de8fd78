#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses the places of `co_await` that g++ 12.2 miscompiles: "name it, then test it".

These are: the condition of if, while, do-while, for and switch (GCC PR 106188, 106713), the
right-hand side of && and ||, and an arm of ?:. In an arm only class types are miscompiled, but
types cannot be seen from here, so every arm is refused. The body of a lambda that stands inside
such an expression is code of its own and is judged on its own.

A deliberate use carries the comment `lint: pattern probe` on its line.
"""

import pathlib
import re
import sys

FOLDERS = ("include", "src", "tests", "examples")
MARKER = "lint: pattern probe"

SKIPPED = re.compile(
    r'//[^\n]*|/\*.*?\*/'
    r'|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)
TOKEN = re.compile(
    r"[A-Za-z_]\w*|\d[\w.']*|&&=?|\|\|=?|<=>|[-+*/%&|^=!<>]=|->|::|<<|>>|[^\s\w]")
OPEN = {"(": ")", "[": "]", "{": "}"}
CLOSE = set(OPEN.values())


def tokens_of(text):
    """Returns [(token, line)] without comments and literals."""
    blank = SKIPPED.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
    result = []
    for number, line in enumerate(blank.split("\n"), 1):
        result += [(token, number) for token in TOKEN.findall(line)]
    return result


def matching(tokens, start):
    """The index of the bracket that closes the one at `start`."""
    depth = 0
    for index in range(start, len(tokens)):
        if tokens[index][0] in OPEN:
            depth += 1
        elif tokens[index][0] in CLOSE:
            depth -= 1
            if depth == 0:
                return index
    return len(tokens) - 1


def is_body(tokens, start, end):
    """True for the braces of a lambda's body: they hold statements, or nothing."""
    return end == start + 1 or any(token == ";" for token, _ in tokens[start:end])


def awaits(tokens, start, end):
    """The lines of each co_await in [start, end), without the bodies of lambdas in it."""
    lines, index = [], start
    while index < end:
        token, line = tokens[index]
        if token == "{":
            close = matching(tokens, index)
            if is_body(tokens, index, close):
                index = close
        elif token == "co_await" and tokens[index - 1][0] != "operator":
            lines.append(line)
        index += 1
    return lines


def operand_end(tokens, start, stops):
    """The index after the operand that begins at `start`: at a stop outside brackets.

    With "body" among the stops, braces with statements end it too: the operator was a reference.
    """
    index = start
    while index < len(tokens):
        token = tokens[index][0]
        if token in CLOSE or token in stops:
            return index
        if token in OPEN:
            close = matching(tokens, index)
            if token == "{" and "body" in stops and is_body(tokens, index, close):
                return index
            index = close
        index += 1
    return index


def check(text):
    """Returns [(line, what)] for one file's text."""
    tokens = tokens_of(text)
    raw = text.split("\n")
    found = set()

    def report(lines, place, what):
        for line in lines:
            if MARKER not in raw[line - 1] and MARKER not in raw[place - 1]:
                found.add((line, what))

    for index, (token, line) in enumerate(tokens):
        if token in ("if", "while", "for", "switch"):
            start = index + 1
            if start < len(tokens) and tokens[start][0] == "constexpr":
                start += 1
            if start < len(tokens) and tokens[start][0] == "(":
                end = matching(tokens, start)
                report(awaits(tokens, start, end), line, f"in the condition of `{token}`")
        elif token in ("&&", "||", "and", "or"):
            # After a declarator (auto&& x = ..., T&& f() {...}) a stop comes first.
            end = operand_end(tokens, index + 1, (";", ",", "=", "?", ":", "body"))
            report(awaits(tokens, index + 1, end), line, f"on the right-hand side of `{token}`")
        elif token == "?":
            end = operand_end(tokens, index + 1, (";", ","))
            report(awaits(tokens, index + 1, end), line, "in an arm of `?:`")
    return sorted(found)


BAD = [
    "if (co_await f()) {}",
    "if (x == 1 and g(co_await f())) {}",
    "if constexpr (co_await f()) {}",
    "if (int n = co_await f(); n > 0) {}",
    "while (\n  // a comment\n  co_await f()) {}",
    "do { g(); } while (co_await f());",
    "for (int i = 0; i < co_await f(); ++i) {}",
    "for (auto x : co_await f()) {}",
    "switch (co_await f()) { default: ; }",
    "if (g({co_await f()})) {}",
    "bool b = a && co_await f();",
    "bool b = a || g(1, co_await f());",
    "bool b = a && T{co_await f()};",
    "bool b = a && [] { g(); return 1; }() && co_await f();",
    "int x = c ? [] { g(); return 1; }() : co_await f();",
    "bool b = a or (co_await f()) == 2;",
    "co_return a && !(co_await f());",
    "T t = c ? co_await f() : T(7);",
    "T t = c ? T(7) : T(co_await f());",
    "auto l = [&]() -> Task<> { if (co_await f()) {} };",
    'g("// lint: no"); if (co_await f()) {}',
    "if (g([] { return 1; }, co_await f())) {}",
    "auto x = 1'000; while (co_await f()) { char c = 'a'; }",
    "run([]() -> Task<bool> { co_return a && co_await f(); });",
]
GOOD = [
    "auto n = co_await f();\nif (n) {}",
    "// if (co_await f())\n/* while (co_await f()) {} */ g(\"if (co_await f())\");",
    'g(R"(if (co_await f()) {})");',
    "if (co_await f()) {}  // lint: pattern probe",
    "auto&& x = co_await f();",
    "Task<> g(T&& t) { co_await f(); }",
    "Task<> g() && { co_await f(); }",
    "auto operator co_await() && { return static_cast<T&&>(*this).operator co_await(); }",
    "auto operator co_await() && noexcept { return A{}; }",
    "struct S { S(S&&) noexcept; Task<> g() { co_await f(); } };",
    "template <class T> requires A<T> && B<T> Task<> g(T t) { co_await f(); }",
    "if (run([]() -> Task<int> { co_await f(); co_return 1; })) {}",
    "bool b = a && run([]() -> Task<int> { co_return co_await f(); });",
    "if (a) co_await f();",
    "if (a) { co_await f(); }",
    "for (int i = 0; i < 3; ++i) co_await f();",
    "while (true) { co_await f(); }",
    "do { co_await f(); } while (a);",
    "bool b = a && c; co_await f();",
    "int x = co_await f() ? 1 : 2;",
    "co_await f(a ? 1 : 2);",
    "co_await f(a && b);",
    "g(a && b, co_await f());",
    "std::function<Task<>(int&&)> h = [](int&&) -> Task<> { co_await f(); };",
    "switch (a) { case 1: co_await f(); }",
]


def self_test():
    failures = [f"not refused: {text}" for text in BAD if not check(text)]
    failures += [f"refused: {text}: {check(text)}" for text in GOOD if check(text)]
    return failures


def scan(root):
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp"):
                for line, what in check(path.read_text()):
                    found.append(f"{path.relative_to(root)}:{line}: co_await {what}: "
                                 "name the result first, then use it")
    return found


if __name__ == "__main__":
    problems = self_test() if sys.argv[1] == "--self-test" else scan(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
