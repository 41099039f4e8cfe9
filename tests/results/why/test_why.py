"""What the costs of a request are read as: sums, phases, differences, sentences and pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from loopbench.results.__main__ import cli
from loopbench.results.errors import UnknownName
from loopbench.results.report.blocks import Drawing, Table
from loopbench.results.schema import COST_TOTALS, CostKind, read_table
from loopbench.results.why import flame
from loopbench.results.why.callers import neighbours
from loopbench.results.why.costs import Costs, Function, Node, chosen, find, read
from loopbench.results.why.groups import Difference, differences, grouped
from loopbench.results.why.phases import (
    CONTEXT,
    HANDLER,
    LOOP,
    READING,
    ROUTING,
    THREADS,
    UNKNOWN,
    WRITING,
    by_phase,
    phase_of,
)
from loopbench.results.why.sentences import of_case, of_equality
from tests.results.examples import report_folder
from tests.results.examples.folders import put
from tests.results.report.reports import made
from tests.results.why import cost_folder

SLOW, FAST = ("slow", "async"), ("fast", "async")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return cost_folder.write(tmp_path / "costs")


@pytest.fixture
def costs(folder: Path) -> Costs:
    return read(folder)


def test_sums_add_up_to_the_request(costs: Costs) -> None:
    """By whatever they are taken, the dearest first; what belongs to nobody is a row."""
    assert grouped(costs, SLOW, "package") == {
        "h11": 4000,
        "<b>": 2900,
        "loopbench": 2000,
        "asyncio": 1000,
        "(nobody's)": 100,
    }
    for by in ("package", "module", "function", "kind", "phase"):
        assert sum(grouped(costs, SLOW, by).values()) == 10_000
        assert sum(grouped(costs, FAST, by).values()) == 2_000


def test_a_phase_is_that_of_the_nearest_function_that_has_one(costs: Costs) -> None:
    """h11's events serve who reads; a function that the table does not know is unknown, and so
    is what belongs to nobody."""
    assert by_phase(costs.trees[SLOW]) == {READING: 6900, HANDLER: 2000, LOOP: 1000, UNKNOWN: 100}
    assert by_phase(costs.trees[FAST]) == {READING: 500, HANDLER: 200, LOOP: 1000, UNKNOWN: 300}


@pytest.mark.parametrize(
    ("package", "module", "name", "phase"),
    [
        ("h11", "h11._events", "Request.__init__", None),
        ("standard library", "json.encoder", "JSONEncoder.encode", None),
        ("asyncio", "asyncio.selector_events", "_SelectorSocketTransport._read_ready", READING),
        ("asyncio", "asyncio.base_events", "BaseEventLoop._run_once", LOOP),
        ("quart", "quart.ctx", "RequestContext.push", CONTEXT),
        ("granian", "granian._futures", "_cbsched_aioschedule.<locals>._run", LOOP),
        ("granian", "granian._granian", "(native code)", UNKNOWN),
        ("standard library", "threading", "Semaphore.release", THREADS),
        ("gunicorn", "gunicorn.http2.negotiation", "upgrade_allowed", READING),
        ("fastapi", "fastapi.routing", "APIRoute.handle", UNKNOWN),
        ("quart", "quart.views", "View.dispatch_request", UNKNOWN),
        ("starlette", "starlette.routing", "Router.app", ROUTING),
        ("starlette", "starlette.responses", "Response.__call__", WRITING),
        ("starlette", "starlette.templating", "Jinja2Templates.TemplateResponse", UNKNOWN),
    ],
)
def test_the_table_of_phases_says_what_it_does_not_know(
    package: str, module: str, name: str, phase: str | None
) -> None:
    """None: it serves its caller."""
    assert phase_of(Function(CostKind.PYTHON, package, module, name)) == phase


@pytest.mark.parametrize(("module", "name"), [("shop.views", "home"), ("app", "Quart.helper")])
def test_a_persons_own_application_is_the_handler(module: str, name: str) -> None:
    """Whatever its modules are called."""
    own = Function(CostKind.APPLICATION, module.partition(".")[0], module, name)
    assert phase_of(own) == HANDLER


def test_differences_come_by_size_and_add_up(costs: Costs) -> None:
    """Whatever one side has none of is 0 there."""
    found = differences(costs, SLOW, FAST, "package")
    assert found[0] == Difference("h11", 4000, 0)
    assert [abs(one.more) for one in found] == sorted(
        (abs(one.more) for one in found), reverse=True
    )
    assert sum(one.more for one in found) == 8_000


def test_callers_and_callees_of_one_function(costs: Costs) -> None:
    """With what the function cost for the one, and the other for it."""
    reading = Function(CostKind.PYTHON, *cost_folder.READ[1:])
    found = neighbours(costs.trees[SLOW], reading)
    assert [(one.name, value) for one, value in found.callers] == [("Handle._run", 6900)]
    assert [(one.name, value) for one, value in found.callees] == [("Request.__init__", 2900)]


def test_sentences_say_what_the_rows_say(costs: Costs) -> None:
    """The cheaper stack first, then what the other has more of."""
    assert list(of_case(costs, "async")) == [
        (
            "fast, async: of 2,000 instructions 1,000 are in asyncio, 500 are in httptools and "
            "300 are in strange; the suite's own code has 10.0%. Without trampolines the request "
            "costs 1,600."
        ),
        (
            "slow, async: of 10,000 instructions 4,000 are in h11, 2,900 are in <b> and 2,000 are "
            "in loopbench; the suite's own code has 20.0%. Without trampolines the request costs "
            "8,000."
        ),
        (
            "async: slow spends 8,000 more than fast (5.00 times as much), most of it in reading "
            "and parsing (6,900 for 500) and handler (2,000 for 200)."
        ),
    ]


def test_what_others_make_up_for_is_not_most_of_a_difference(tmp_path: Path) -> None:
    """Of 1,000 more the handler has 1,800, since reading takes 600 less."""
    *_, said = of_case(read(cost_folder.write(tmp_path, {"on_url": 7000})), "async")
    assert said.endswith(
        "(5.00 times as much): more in handler (2,000 for 200), and less in reading and parsing "
        "(6,900 for 7,500)."
    )


def test_what_equality_costs_is_told_by_the_plain_counts(costs: Costs) -> None:
    """Which stacks belong together stands in the rows."""
    assert list(of_equality(costs)) == [
        (
            "async: equal answers cost slow +6,400 instructions (+400.0%): 8,000, where fast, the "
            "application of the framework's documentation, takes 1,600."
        )
    ]


def test_a_flame_graph_is_as_wide_as_its_costs(costs: Costs) -> None:
    """Children lie under their parent, within its width; every box says its figures."""
    root = ElementTree.fromstring(_whole(flame.flame(costs.trees[SLOW], "slow", "x")))
    boxes = {}
    for group in root.iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rect is not None
        boxes[title.text.partition(" (")[0]] = tuple(
            float(rect.attrib[key]) for key in ("x", "width", "y")
        )
    assert boxes["asyncio.events.Handle._run"] == (9.6, 950.4, 0)
    assert boxes["h11._connection.Connection.next_event"] == (9.6, 662.4, flame.ROW)
    assert boxes["h11._events.Request.__init__"] == (9.6, 278.4, 2 * flame.ROW)
    assert boxes["loopbench.servers.apps.asgi_app.async_"] == (672.0, 192.0, flame.ROW)


def test_a_stack_that_takes_as_much_is_said_to(costs: Costs) -> None:
    """Half a per cent is what the same code differs by from one sitting to another."""
    for instructions, spends in ((2004.0, False), (2020.0, True)):
        totals = {
            (FAST[0], "async"): replace(costs.totals[FAST], instructions=2000.0),
            (SLOW[0], "async"): replace(costs.totals[SLOW], instructions=instructions),
        }
        said = "\n".join(of_case(replace(costs, totals=totals), "async"))
        assert ("slow takes as much as fast, within 0.5%." in said) is not spends
        assert ("slow spends" in said) is spends


def test_a_narrow_box_of_a_version_that_gcc_made_has_a_name() -> None:
    """Of `a.b.isra.0` the last part of the name itself is written, and not the number."""
    other = Node(Function(CostKind.PYTHON, "p", "m", "other"), 900.0, 1.0, (), 900.0)
    for name in (
        "long_module.serialize.isra.0",
        "serialize.constprop.0.cold",
        "ALongClass.serialize",
    ):
        function = Function(CostKind.EXTENSION, "p", "a_long_module", name)
        text = flame.flame([Node(function, 100.0, 1.0, (), 100.0), other], "x", "x")
        written = re.findall(r"<text [^>]*>([^<]*)</text>", text)
        assert written == ["serialize", "m.other"]


def test_a_differential_graph_shows_both_sides_of_a_box(costs: Costs) -> None:
    """The hatched part is as wide as the first side's share of both."""
    text = _whole(flame.differential(costs.trees[SLOW], costs.trees[FAST], "both", "x"))
    root = ElementTree.fromstring(text)
    found = {}
    for group in root.iter(f"{SVG}g"):
        title, rects = group.find(f"{SVG}title"), group.findall(f"{SVG}rect")
        assert title is not None and title.text is not None
        widths = [float(rect.attrib["width"]) for rect in rects]
        found[title.text.partition(":")[0]] = widths[1] / widths[0] if len(widths) > 1 else 0.0
    assert found["a request"] == pytest.approx(10 / 12, abs=1e-4)
    assert found[READING] == pytest.approx(6900 / 7400, abs=1e-4)
    assert found[f"{UNKNOWN} > strange"] == 0.0
    assert "6,900 : 500 (+6,400)" in text


def test_pictures_hold_no_markup_of_a_name(costs: Costs) -> None:
    """A package may be called as it likes; nothing is loaded and nothing runs."""
    for text in (
        flame.flame(costs.trees[SLOW], "<i>", "x"),
        flame.differential(costs.trees[SLOW], costs.trees[FAST], "<i>", "x"),
    ):
        assert "<b>" not in text and "<i>" not in text
        assert not re.search(r"<script|href|\bon\w+=|https?:", text)
    assert "&lt;b&gt;" in flame.differential(costs.trees[SLOW], costs.trees[FAST], "x", "x")


def _whole(svg: str) -> str:
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def test_the_command_shows_tables_and_writes_the_page(folder: Path) -> None:
    """Nothing on the page is loaded; a name from the rows stays text."""
    done = CliRunner().invoke(cli, ["why", str(folder), "--by", "function"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert re.search(r"^slow +async +3\.12\.1 +10,000 +0\.100% +8,000 +99\.0% +20\.0%$", lines[2])
    assert any(
        re.search(
            r"^h11\._connection\.Connection\.next_event +Python +3\.0 +4,000 +6,900 +40\.0%", one
        )
        for one in lines
    )
    assert [line.split() for line in lines if line.startswith("unknown ")] == [
        ["unknown", "100"],
        ["unknown", "300"],
    ]
    page = (folder / "why.html").read_text()
    assert "<b>" not in page
    assert "Fifteen questions" not in page
    assert page.count("<script") == 1
    assert not re.search(r"src=|@import|url\((?!#)", page)


def test_two_stacks_side_by_side(folder: Path) -> None:
    """The largest difference first, the whole request last."""
    words = ["why", str(folder), "--between", "slow", "fast", "--no-page"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert re.fullmatch(r"h11 +4,000 +0 +\+4,000", lines[2])
    assert re.fullmatch(r"a request +10,000 +2,000 +\+8,000", lines[-5])
    assert not (folder / "why.html").exists()


def test_a_function_that_grew_since_another_run_is_named_first(tmp_path: Path) -> None:
    """Stack by stack, on two runs of the same names."""
    before = cost_folder.write(tmp_path / "old")
    after = cost_folder.write(tmp_path / "new", grown={"Request.__init__": 60})
    words = ["why", str(after), "--against", str(before), "--by", "function"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "async: instructions of a request by function"
    assert re.fullmatch(r"function +slow \(new\) +slow \(old\) +more", lines[1])
    assert re.fullmatch(r"h11\._events\.Request\.__init__ +2,960 +2,900 +\+60", lines[2])
    page = (after / "why-against.html").read_text()
    assert "slow (new) and slow (old), async: where they differ" in page
    assert "slow (new) and fast (old)" not in page
    same = CliRunner().invoke(cli, ["why", str(after), "--against", str(after)])
    assert same.exit_code != 0


def test_what_differs_between_the_runs_is_named_above_the_functions(tmp_path: Path) -> None:
    """Another interpreter changes what a function costs, and so does another version of what it
    calls."""
    folders = [cost_folder.write(tmp_path / name) for name in ("old", "new")]
    for path, python, h11 in zip(folders, ("3.12.1", "3.13.0"), ("0.14.0", "0.16.0"), strict=True):
        rows = [
            {**row, "python": python, "versions": f"h11 {h11}, wsproto 1.2.0"}
            for row in read_table(path, COST_TOTALS)
        ]
        put(path, COST_TOTALS, rows)
    words = ["why", str(folders[1]), "--against", str(folders[0]), "--no-page"]
    lines = CliRunner().invoke(cli, words).output.splitlines()
    assert lines[:4] == [
        "Python 3.12.1, now 3.13.0",
        "Packages that differ: h11 0.14.0, now 0.16.0",
        "",
        "async: instructions of a request by package",
    ]


def test_one_phase_by_its_functions(folder: Path) -> None:
    """On each stack, the dearest first; a phase that there is none of is refused."""
    done = CliRunner().invoke(cli, ["why", str(folder), "--phase", "handler", "--no-page"])
    assert [re.sub(" +", " ", line) for line in done.output.splitlines()] == [
        "async, handler",
        "stack function calls own",
        "slow loopbench.servers.apps.asgi_app.async_ 2.0 2,000",
        "fast loopbench.servers.apps.asgi_app.async_ 2.0 200",
    ]
    assert CliRunner().invoke(cli, ["why", str(folder), "--phase", "parsing"]).exit_code != 0


def test_what_is_not_there_is_refused(folder: Path, costs: Costs, tmp_path: Path) -> None:
    """With the nearest that is, or with what writes it."""
    with pytest.raises(UnknownName, match="'slo' was not counted here; did you mean 'slow'"):
        chosen(costs, "slo")
    with pytest.raises(UnknownName, match=r"holds no costs\.csv; `make why OUT="):
        find(tmp_path)


def test_the_report_of_a_bench_has_its_section(tmp_path: Path) -> None:
    """Where the tables stand in its folder: sentences, totals, phases, and pictures with their
    tables; and none where they do not."""
    bench = report_folder.write(tmp_path / "bench")
    assert "why" not in [section.anchor for section in made(bench).sections]
    for file in cost_folder.write(tmp_path / "costs").iterdir():
        (bench / file.name).write_bytes(file.read_bytes())
    (why,) = [section for section in made(bench).sections if section.anchor == "why"]
    drawings = [part for part in why.parts if isinstance(part, Drawing)]
    assert [drawing.title for drawing in drawings] == [
        "A request of async on slow",
        "A request of async on fast",
        "slow and fast, async: where they differ",
    ]
    assert drawings[2].table.rows[0] == (
        *("h11._connection.Connection.next_event", "4,000", "0", "+4,000"),
    )
    tables = [part for part in why.parts if isinstance(part, Table)]
    assert tables[0].rows[0][:4] == ("slow", "async", "3.12.1", "10,000")
    opened = next(part for part in tables if part.title.startswith("slow: h11._connection"))
    assert opened.rows == (
        ("called by", "asyncio.events.Handle._run", "6,900"),
        ("itself", "h11._connection.Connection.next_event", "4,000"),
        ("calls", "h11._events.Request.__init__", "2,900"),
    )
