"""What the project says of itself: requirements, README, citation, and what .ci/run touches."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from torch import nn

import aihwkit_dspt
from aihwkit_dspt._installation import HOST_PAIRS, HostPair

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it along
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYPROJECT: Dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: Dict[str, Any] = PYPROJECT["project"]
README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PAGE = (ROOT / "docs" / "installation.md").read_text()
REPOSITORY = PROJECT["urls"]["Repository"]
PYTHONS = [(python, pair) for pair in HOST_PAIRS for python in pair.pythons]


def requirements(lines: List[str], python: str = "3.11") -> Dict[str, SpecifierSet]:
    """Return name -> versions of the requirements that hold on a version of Python."""
    environment = {"python_version": python}
    parsed = [Requirement(line) for line in lines]
    return {
        item.name: item.specifier
        for item in parsed
        if item.marker is None or item.marker.evaluate(environment)
    }


@pytest.mark.parametrize(("python", "pair"), PYTHONS, ids=[python for python, _ in PYTHONS])
def test_extra_cpu_is_the_pair(python: str, pair: HostPair) -> None:
    """The extra installs what the error message names, on each Python, and README says so."""
    extra = requirements(PROJECT["optional-dependencies"]["cpu"], python)
    assert extra == {
        "aihwkit": SpecifierSet(pair.aihwkit),
        "torch": SpecifierSet(pair.torch),
    }
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    assert f"{python}.0" in SpecifierSet(PROJECT["requires-python"])
    rows = [line for text in (README, PAGE) for line in text.splitlines() if python in line]
    assert sum(line.startswith("|") for line in rows) >= 2


def test_supported_pythons() -> None:
    """No classifier names a Python without a pair."""
    minors = [re.search(r":: (3\.\d+)$", line) for line in PROJECT["classifiers"]]
    assert [found[1] for found in minors if found] == [python for python, _ in PYTHONS]


def test_requirements_leave_every_host_alone() -> None:
    """Only the extra asks for aihwkit, and nothing else for a version of torch.

    pip reads the requirements of an installed aihwkit, too: where torchvision is missing it takes
    the newest, which replaces torch.
    """
    base = requirements(PROJECT["dependencies"])
    assert base["torch"] == SpecifierSet()
    assert not {"aihwkit", "torchvision"} & set(base)
    for name, lines in PROJECT["optional-dependencies"].items():
        if name != "cpu":
            assert not {"aihwkit", "torch", "torchvision"} & set(requirements(lines))
            assert not any("cpu" in line for line in lines)


def test_readme_commands_install_the_pair() -> None:
    """Both commands make an environment of their own with a pair of wheels."""
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    for command, end in zip(commands, ("python examples/01_quickstart.py", "python -m pytest")):
        extras = re.search(r'pip install "\.\[([a-z,]+)\]" && ', command)
        assert extras is not None
        assert "cpu" in extras[1].split(",")
        assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])
        assert command.endswith(end)


def test_readme_is_a_front_page() -> None:
    """It fits on two screens; its code runs with a model of the reader's."""
    assert len(README.splitlines()) <= 150
    assert len(README.split()) <= 1200
    names = {"model": nn.Sequential(nn.Linear(4, 3))}
    for code in re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
        exec(compile(code, "README.md", "exec"), names)
    assert len(list(names["model"].analog_tiles())) == 1


def long_description() -> str:
    """Return the README as a package index shows it."""
    text = README
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"][
        "substitutions"
    ]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text


def test_the_sdist_has_what_it_needs_and_no_more() -> None:
    """A developer's other files stay out; README, pages, examples and tests go in."""
    shipped = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    assert {"aihwkit_dspt", "README.md", "docs", "examples", "tests"} <= set(shipped)
    assert all((ROOT / name).exists() for name in shipped)
    # The conda recipe is built from it, and tests with this script.
    assert ".github/first_step.py" in shipped
    assert "    - .github/first_step.py\n" in (ROOT / "recipe" / "meta.yaml").read_text()


LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES])
def test_links_lead_to_files(page: str) -> None:
    """Pictures and links of a page are in the repository, headings included."""
    path = ROOT / page
    targets = [found[2] for found in LINK.finditer(CODE.sub("", path.read_text()))]
    for target in targets:
        if target.startswith(("https://", "#aihwkit_dspt.")):  # Sphinx checks the second kind
            continue
        name, _, heading = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if heading:
            lines = linked.read_text().splitlines()
            headings = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
            slugs = [re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in headings]
            assert heading in slugs, target


def test_an_index_shows_the_pictures() -> None:
    """On an index pictures come from the repository's files and links lead there."""
    before, after = (list(LINK.finditer(text)) for text in (README, long_description()))
    assert len(before) == len(after)
    assert sum(found[1] == "!" for found in after) >= 1
    raw = REPOSITORY.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/HEAD/"
    for relative, absolute in zip(before, after):
        if not relative[2].startswith("https://"):
            start = raw if relative[1] else f"{REPOSITORY}/blob/HEAD/"
            assert absolute[2] == start + relative[2]
    # Nothing else is changed, code least of all.
    assert LINK.sub("", README) == LINK.sub("", long_description())


def test_citation_names_the_repository() -> None:
    """Citation, change log, pyproject.toml and recipe agree on repository, version and date."""
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {aihwkit_dspt.__version__}\n" in citation
    recipe = (ROOT / "recipe" / "meta.yaml").read_text()
    assert f'set version = "{aihwkit_dspt.__version__}"' in recipe
    assert f"home: {REPOSITORY}\n" in recipe
    assert f'\nrepository-code: "{REPOSITORY}"\n' in citation
    date = re.search(r"^date-released: (\d{4}-\d\d-\d\d)$", citation, re.MULTILINE)
    assert date is not None
    releases = re.findall(r"^## \[(\d.*)\] - (.*)$", CHANGELOG, re.MULTILINE)
    assert releases[0] == (aihwkit_dspt.__version__, date[1])
    assert all(url.startswith(REPOSITORY) for url in PROJECT["urls"].values())


def test_the_change_log_names_tests() -> None:
    """Each fault that is mended has a test, which is there."""
    rows = [line for line in CHANGELOG.splitlines() if line.startswith("| ")]
    header = "| fault | inputs that it concerned | test |"
    assert header in rows
    for fault in (row for row in rows if row != header):
        named = re.findall(r"`(tests/[^`:]*)(?:::[^`]*)?`", fault.rpartition(" | ")[2])
        assert named, fault
        assert all((ROOT / path).exists() for path in named), fault


STAND_IN = """#!/bin/sh
# Stands for python3, and for all that an environment has: says where and how it was called.
echo "$PWD: $(basename "$0") $*" >>"$CALLS"
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin" && for name in python pip ruff; do cp "$0" "$3/bin/$name"; done
    echo "PATH=\\"$PWD/$3/bin:\\$PATH\\"" >"$3/bin/activate"
fi
case "$*" in
-c*executable*) echo "$0" ;;
*01_quickstart.py) mkdir -p results && echo picture >results/quickstart.png ;;
esac
"""


def copy_of_ci(folder: Path) -> Path:
    """Copy what .ci/run reads, beside a developer's own environment and results."""
    tree = folder / "checkout"
    for name in (".ci/run", "README.md", ".venv/bin/python", "results/mine.json"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file() and not name.startswith((".venv", "results")):
            shutil.copy(ROOT / name, tree / name)
        else:
            (tree / name).write_text("mine")
    return tree


@pytest.mark.skipif(not (ROOT / ".ci" / "run").exists(), reason="an sdist has no .ci")
def test_ci_leaves_a_developers_files_alone(tmp_path: Path) -> None:
    """The README's commands run in a copy, which is gone afterwards."""
    tree = copy_of_ci(tmp_path)
    calls, stand_in, temporary = tmp_path / "calls", tmp_path / "bin", tmp_path / "tmp"
    stand_in.mkdir()
    temporary.mkdir()
    for name in ("python3", "python3.12"):
        (stand_in / name).write_text(STAND_IN)
        (stand_in / name).chmod(0o755)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    environment = {
        **os.environ,
        "PATH": f"{stand_in}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "TMPDIR": str(temporary),
    }
    result = subprocess.run(
        ["bash", str(tree / ".ci" / "run")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before
    assert not list(temporary.iterdir())
    called = calls.read_text().splitlines()
    for command in ("pip install .[cpu,test]", "python -m pytest", "python examples/01_quickstart"):
        ran = [line for line in called if command in line]
        assert ran, command
        assert all(line.startswith(str(temporary)) for line in ran)
    assert sum(line.endswith("python -m pytest") for line in called) == 2
    assert sum("-m pytest -m slow --dist load tests/test_docs.py" in line for line in called) == 1
