"""A file -> findings: which pieces are worth parsing, which visitors walk them, and where what they say stands."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from safecall_lint.finding import Finding, Label, Span
from safecall_lint.rulebook import rulebook
from safecall_lint.semantics import Project, Semantics, SyntaxProblem
from safecall_lint.semantics.marks import Marks, Needs
from safecall_lint.semantics.model import Module, Scope
from safecall_lint.semantics.project import forget, heavy
from safecall_lint.visiting.loading import RuleCrash, visitors_of

if TYPE_CHECKING:
    from safecall_lint.source import Source
    from safecall_lint.visiting.slices import Slice, Unit
    from safecall_lint.visiting.visitor import Place, Report, Visitor


def check(
    source: Source, project: Project, rules: Collection[str], lenient: frozenset[str] = frozenset()
) -> list[Finding]:
    """The findings of `rules` (by name) in one file, unsorted, before suppressions and settings. Strict findings of the
    rules in `lenient` may be missing: nobody is going to see them.

    Raises:
        SyntaxProblem: the file does not parse.
        RuleCrash: a rule failed, or cannot be imported.
    """
    semantics = _model(project)
    if not semantics.triage.matters(source):
        return []
    module = project.open(source)
    wanted = visitors_of(frozenset(rules))
    findings: dict[tuple[Span, str], Finding] = {}
    for unit, classes in _suspects(module, semantics, wanted, lenient):
        for finding in _visit(module, unit, semantics, classes):
            findings.setdefault((finding.span, finding.code), finding)
    return list(findings.values())


def _model(project: Project) -> Semantics:
    """The project's semantic model; a new one when the modules it holds have grown heavy, which bounds memory."""
    if heavy():
        forget()
    return Semantics.of(project)


def _suspects(
    module: Module, semantics: Semantics, wanted: tuple[type[Visitor], ...], lenient: frozenset[str]
) -> list[tuple[Unit, list[type[Visitor]]]]:
    from safecall_lint.visiting.slices import units

    found: list[tuple[Unit, list[type[Visitor]]]] = []
    needs = _needs(wanted)
    pieces = units(module)
    for unit, inner in zip(pieces, _inner_scopes(module, pieces), strict=True):
        seen = Marks([unit.scope, *inner], unit.first, unit.last, semantics.evaluator)
        fitting = [wanted[number] for number in seen.fitting(needs)]
        classes = [cls for cls in fitting if _worth(cls, semantics, inner, unit, cls.rule in lenient)]
        if classes:
            found.append((unit, classes))
    return found


@lru_cache(maxsize=8)
def _needs(wanted: tuple[type[Visitor], ...]) -> Needs:
    return Needs(cls.needs for cls in wanted)


def _worth(cls: type[Visitor], semantics: Semantics, scopes: Sequence[Scope], unit: Unit, lenient: bool) -> bool:
    try:
        return cls.worth(semantics, scopes) and not (lenient and cls.strict_at_most(semantics, scopes))
    except Exception as error:
        raise RuleCrash(cls.rule, unit.first, error) from error


def _inner_scopes(module: Module, pieces: Sequence[Unit]) -> list[list[Scope]]:
    """For each unit, the scopes that start inside it."""
    order = sorted(range(len(pieces)), key=lambda index: pieces[index].first)
    starts = [pieces[index].first for index in order]
    found: list[list[Scope]] = [[] for _ in pieces]
    for scope in module.scopes:
        if isinstance(scope, Module):
            continue
        at = bisect_right(starts, scope.node.lineno) - 1
        if at >= 0 and pieces[order[at]].last >= scope.node.lineno and pieces[order[at]].scope is not scope:
            found[order[at]].append(scope)
    return found


def _visit(module: Module, unit: Unit, semantics: Semantics, classes: Sequence[type[Visitor]]) -> list[Finding]:
    from libcst import ParserSyntaxError

    from safecall_lint.visiting.slices import Slice
    from safecall_lint.visiting.walker import walk

    try:
        piece = Slice(module, unit)
        reports = walk(piece, semantics, classes)
    except (ParserSyntaxError, RecursionError):
        raise SyntaxProblem("LibCST cannot parse this code, so it was not analysed", unit.first, 1) from None
    return [_finding(report, piece, semantics.project) for report in _once(reports)]


def _once(reports: list[Report]) -> Iterator[Report]:
    """The reports without those whose cause a rule with a lower code has reported."""
    speaker: dict[object, str] = {}
    for report in sorted(reports, key=lambda report: rulebook()[report.rule].code):
        if report.cause is None or speaker.setdefault(report.cause, report.rule) == report.rule:
            yield report


def _finding(report: Report, piece: Slice, project: Project) -> Finding:
    from safecall_lint.visiting.drafts import fix_of, span_of

    rule = rulebook()[report.rule]
    try:
        span = span_of(report.node, piece)
        return Finding(
            path=piece.module.path,
            span=span,
            code=rule.code,
            name=rule.name,
            severity=report.severity or rule.severity,
            confidence=report.confidence,
            message=report.message,
            label=report.label,
            help=report.help,
            labels=tuple(_label(place, text, piece) for place, text in report.labels),
            notes=report.notes,
            fix=fix_of(report.fix, piece, project) if report.fix else None,
            where=_statement_lines(piece.module.tree, span.line),
            strict=report.strict,
        )
    except Exception as error:
        raise RuleCrash(report.rule, piece.unit.first, error) from error


def _label(place: Place, text: str, piece: Slice) -> Label:
    from safecall_lint.semantics.values import Site
    from safecall_lint.visiting.drafts import span_of

    path = place.module.path if isinstance(place, Site) else piece.module.path
    return Label(path, span_of(place, piece), text)


def _statement_lines(tree: ast.Module, line: int) -> tuple[int, int]:
    """First and last line of the innermost simple statement, or compound statement's header, at a line."""
    best = (line, line)
    body: list[ast.AST] = list(tree.body)
    while body:
        inside = next((node for node in body if _first(node) <= line <= (getattr(node, "end_lineno", 0) or 0)), None)
        if inside is None:
            return best
        body = list(_inner_statements(inside))
        last = min(map(_first, body)) - 1 if body else getattr(inside, "end_lineno", line)
        best = (_first(inside), max(_first(inside), last))
    return best


def _inner_statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield child
        elif isinstance(child, ast.match_case):
            yield from child.body


def _first(node: ast.AST) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    line: int = getattr(node, "lineno", 0)
    return min([line, *(item.lineno for item in decorators)])
