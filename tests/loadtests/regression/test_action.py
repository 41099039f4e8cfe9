"""The GitHub Action: its steps run as a runner runs them, with a plain shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
_INPUT = re.compile(r"\$\{\{ inputs\.(\w+) \}\}")


@dataclass(frozen=True)
class Done:
    """A step that has run. outputs: what it handed on; summary: of the step, for a person."""

    status: int
    outputs: dict[str, str]
    summary: str
    errors: str


def _run(step: str, suite: Path, temporary: Path, inputs: Mapping[str, str]) -> Done:
    """Run a step's commands as a runner does: `bash --noprofile --norc -eo pipefail`, inputs in
    place of their expressions, which stand nowhere but in `env`."""
    given = {**{name: one["default"] for name, one in ACTION["inputs"].items()}, **inputs}
    script = temporary / "step.sh"
    script.write_text(STEPS[step]["run"], encoding="utf-8")
    variables = {
        name: _INPUT.sub(lambda match: given[match.group(1)], value)
        for name, value in STEPS[step].get("env", {}).items()
    }
    output, summary = temporary / "output", temporary / "summary"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=temporary,
        env={
            **os.environ,
            **variables,
            "GITHUB_ACTION_PATH": str(suite),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(temporary),
        },
        capture_output=True,
        text=True,
    )
    lines = output.read_text().splitlines() if output.exists() else []
    return Done(
        done.returncode,
        dict(line.split("=", 1) for line in lines),
        summary.read_text() if summary.exists() else "",
        done.stderr,
    )


def _stand_in(folder: Path, status: int) -> Path:
    """A suite whose interpreter says what it was called with, and ends so."""
    python = folder / "suite" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >'{folder}/called'\nexit {status}\n")
    python.chmod(0o755)
    return folder / "suite"


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_the_status_of_the_check_is_the_steps(tmp_path: Path, status: int) -> None:
    """It is an output, too, and the folder is named before anything can go wrong."""
    done = _run("Base against candidate", _stand_in(tmp_path, status), tmp_path, {})
    assert done.status == status
    assert done.outputs["status"] == str(status)
    assert Path(done.outputs["folder"]).parent.is_dir()


def test_inputs_become_options(tmp_path: Path) -> None:
    """Each as one word, whatever stands in it; what was not given is not passed on."""
    inputs = {
        "base": "aiohttp==3.13.0 yarl==1.20.0",
        "candidate": "$(touch never); 'x",
        "layers": "facts time",
        "stacks": "aiohttp",
    }
    suite = _stand_in(tmp_path, 0)
    done = _run("Base against candidate", suite, tmp_path, inputs)
    assert (tmp_path / "called").read_text().splitlines() == [
        *("-m", "loadtests", "regression", "--out", done.outputs["folder"]),
        *("--layer", "facts", "--layer", "time", "--stack", "aiohttp"),
        *("--base", "aiohttp==3.13.0 yarl==1.20.0", "--candidate", "$(touch never); 'x"),
    ]
    assert not (tmp_path / "never").exists()
    _run("Base against candidate", suite, tmp_path, {})
    assert (tmp_path / "called").read_text().splitlines()[5:] == [
        *("--layer", "facts", "--layer", "instructions"),
        *("--stack", "aiohttp", "--stack", "quart-hypercorn"),
    ]


def test_a_real_check(tmp_path: Path) -> None:
    """Facts against the baseline: a folder with tables and files, and the same verdict in the
    summary of the step."""
    done = _run(
        "Base against candidate",
        ROOT,
        tmp_path,
        {"base": "baseline", "layers": "facts", "stacks": "aiohttp"},
    )
    folder = Path(done.outputs["folder"])
    assert done.outputs["status"] == str(done.status)
    assert done.summary.startswith("## Regression check\n")
    assert done.summary.rstrip() == (folder / "regression.md").read_text().rstrip()
    assert {"sides.json", "facts.csv", "regression.csv", "junit.xml"} <= {
        path.name for path in folder.iterdir()
    }
    beginning = {0: "**NO REGRESSION", 1: "**REGRESSION", 2: "**CANNOT TELL"}[done.status]
    assert done.summary.splitlines()[2].startswith(beginning)


def test_a_base_that_is_not_there_is_broken(tmp_path: Path) -> None:
    """Status 3, with the reason, and nothing in the summary that looks like a verdict."""
    done = _run("Base against candidate", ROOT, tmp_path, {"base": "no-such-ref"})
    assert (done.status, done.outputs["status"], done.summary) == (3, "3", "")
    assert "there is no git ref 'no-such-ref'" in done.errors


def test_valgrind_is_installed_where_it_is_missing(tmp_path: Path) -> None:
    """By the distribution's package, and not where it is there already."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    bash = shutil.which("bash")
    assert bash is not None
    (tools / "bash").symlink_to(bash)
    sudo = tools / "sudo"
    sudo.write_text(f"#!{bash}\necho \"$*\" >>'{calls}'\n")
    sudo.chmod(0o755)
    script = tmp_path / "step.sh"
    script.write_text(STEPS["Install valgrind"]["run"], encoding="utf-8")

    def install() -> list[str]:
        calls.unlink(missing_ok=True)
        command = [bash, "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        subprocess.run(command, env={"PATH": str(tools)}, check=True)
        return calls.read_text().splitlines() if calls.exists() else []

    assert install() == [
        "apt-get update -qq",
        "apt-get install -qq --yes --no-install-recommends valgrind",
    ]
    (tools / "valgrind").symlink_to(bash)
    assert install() == []


def test_a_set_up_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """The suite's own make target, called from a folder that is not the suite's."""
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "Makefile").write_text("setup:\n\t@echo '$(PYTHON) $(STACKS)' >made\n")
    for inputs, made in (
        ({}, "python3 aiohttp quart-hypercorn\n"),
        (
            {"python": "python3.13", "stacks": "quart-uvicorn"},
            "python3.13 quart-uvicorn\n",
        ),
    ):
        assert _run("Set the suite up", suite, tmp_path, inputs).status == 0
        assert (suite / "made").read_text() == made


def test_what_the_runner_itself_has_to_do() -> None:
    """Every step has its shell, as composite actions demand; inputs reach scripts as variables
    only; the folder is kept whatever came out, by an action of a pinned version."""
    kept = STEPS["Keep the folder"]
    assert kept["uses"] == "actions/upload-artifact@v5"
    assert kept["if"] == "${{ always() && steps.check.outputs.folder != '' }}"
    assert kept["with"]["path"] == "${{ steps.check.outputs.folder }}"
    assert ACTION["runs"]["using"] == "composite"
    for name, step in STEPS.items():
        assert ("uses" in step) == (name == "Keep the folder")
        assert step.get("shell") == (None if "uses" in step else "bash")
        assert "${{" not in step.get("run", "")
    assert {"base", "candidate", "layers", "stacks"} <= ACTION["inputs"].keys()
    outputs = {name: one["value"] for name, one in ACTION["outputs"].items()}
    assert outputs == {
        "status": "${{ steps.check.outputs.status }}",
        "folder": "${{ steps.check.outputs.folder }}",
    }
