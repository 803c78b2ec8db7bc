"""A new argument stands as the call's own arguments do, and a comment stays with the argument that it stands at."""

from __future__ import annotations

import libcst as cst
import pytest

from safecall_lint.visiting.rewriting import expression, with_first, with_keyword


def call(code: str) -> cst.Call:
    node = expression(code)
    assert isinstance(node, cst.Call)
    return node


def code(node: cst.Call) -> str:
    return cst.Module([]).code_for_node(node)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f()", "f(t=1)"),
        ("f(\n)", "f(t=1)"),
        ("f(\n    # why\n)", "f(\n    # why\n    t=1\n)"),
        ("f(a)", "f(a, t=1)"),
        ("f(a,)", "f(a, t=1,)"),
        ("f(\n    a\n)", "f(\n    a,\n    t=1\n)"),
        ("f(\n    a,\n)", "f(\n    a,\n    t=1,\n)"),
        ("f(\n    a,\n    b\n)", "f(\n    a,\n    b,\n    t=1\n)"),
        ("f(\n    a,  # one\n    b  # two\n)", "f(\n    a,  # one\n    b,  # two\n    t=1\n)"),
        ("f(\n    a  # one\n)", "f(\n    a,  # one\n    t=1\n)"),
        ("f(\n    a, b\n)", "f(\n    a, b, t=1\n)"),
        ("f(\n    a, b  # two\n)", "f(\n    a, b, t=1  # two\n)"),
        ("f(\n    a, b,\n    c, d,\n)", "f(\n    a, b,\n    c, d,\n    t=1,\n)"),
        ("f(a,\n  b)", "f(a,\n  b,\n  t=1)"),
        ("f(a, b={\n    1: 2,\n})", "f(a, b={\n    1: 2,\n}, t=1)"),
        ("f(\n    **k\n)", "f(\n    t=1,\n    **k\n)"),
        ("f(\n    a,  # one\n    **k,\n)", "f(\n    a,  # one\n    t=1,\n    **k,\n)"),
        ("f(a, **k)", "f(a, t=1, **k)"),
    ],
)
def test_a_keyword_goes_last(before: str, after: str) -> None:
    assert code(with_keyword(call(before), "t", "1")) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f()", "f(t)"),
        ("f(a, b)", "f(t, a, b)"),
        ("f(\n    a, b\n)", "f(\n    t, a, b\n)"),
        ("f(\n    a,\n)", "f(\n    t,\n    a,\n)"),
        ("f(\n    a,  # one\n    b=2,\n)", "f(\n    t,\n    a,  # one\n    b=2,\n)"),
        ("f(\n    # why\n    a,\n    b,\n)", "f(\n    t,\n    # why\n    a,\n    b,\n)"),
        ("f(a={\n    1: 2,\n})", "f(t, a={\n    1: 2,\n})"),
    ],
)
def test_a_positional_one_goes_first(before: str, after: str) -> None:
    assert code(with_first(call(before), expression("t"))) == after
