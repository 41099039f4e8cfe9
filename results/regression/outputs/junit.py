"""junit.xml: a test case a layer, stack and subject, as CI systems show them.

A regression is a failure. What cannot be told is an error, since the check did not come to a
verdict; a layer that was not asked for is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from loopbench.results.regression.finding import EVERY, Finding, Verdict, Weight
from loopbench.results.regression.text_values import visible
from loopbench.results.regression.verdict import Report, brief, headline
from loopbench.results.schema.regression import Layer

_TAGS = {Weight.REGRESSION: "failure", Weight.DOUBT: "error"}


def render(report: Report) -> str:
    """The whole file."""
    root = Element("testsuites", name="regression")
    for layer in Layer:
        _suite(root, report, layer)
    for tag in ("tests", "failures", "errors", "skipped"):
        root.set(tag, str(sum(int(suite.get(tag) or 0) for suite in root)))
    properties = Element("properties")
    SubElement(properties, "property", name="verdict", value=visible(headline(report)))
    root[0].insert(0, properties)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(root: Element, report: Report, layer: Layer) -> None:
    suite = SubElement(root, "testsuite", name=f"regression.{layer}")
    for (stack, subject), findings in _cases(report.of(layer)):
        _case(suite, layer, stack, subject, findings)
    if not report.evidence.layers[layer].asked:
        case = SubElement(suite, "testcase", classname=f"regression.{layer}", name="all", time="0")
        SubElement(case, "skipped", message="not asked for")
    for tag, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(tag, str(len(suite.findall(f"testcase/{name}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", "0")


def _cases(findings: Sequence[Finding]) -> Iterator[tuple[tuple[str, str], list[Finding]]]:
    def key(finding: Finding) -> tuple[str, str]:
        return finding.stack, finding.subject

    for name, group in groupby(sorted(findings, key=key), key=key):
        yield name, list(group)


def _case(
    suite: Element, layer: Layer, stack: str, subject: str, findings: Sequence[Finding]
) -> None:
    owner = f"regression.{layer}" + ("" if stack == EVERY else f".{visible(stack)}")
    name = "all" if subject == EVERY else visible(subject)
    case = SubElement(suite, "testcase", classname=owner, name=name, time="0")
    heaviest = next(
        (w for w in _TAGS if any(finding.weight is w for finding in findings)), Weight.FINE
    )
    if heaviest is not Weight.FINE:
        mine = [finding for finding in findings if finding.weight is heaviest]
        message = "; ".join(visible(brief(finding)) for finding in mine)
        SubElement(
            case, _TAGS[heaviest], message=message, type=str(mine[0].verdict)
        ).text = "\n".join(_whole(finding) for finding in mine)
    elif layer not in (Layer.FACTS, Layer.BEHAVIOUR):
        SubElement(case, "system-out").text = "\n".join(map(_whole, findings))


def _whole(finding: Finding) -> str:
    sides = "" if finding.verdict is Verdict.NOT_RUN else _sides(finding)
    return visible(f"{finding.metric}: {finding.verdict}; {finding.meaning}{sides}")


def _sides(finding: Finding) -> str:
    base, candidate = (
        "nothing" if value is None else visible(value)
        for value in (finding.base, finding.candidate)
    )
    return f"; base {base}; candidate {candidate}"
