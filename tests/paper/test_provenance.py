"""What is written down of the command."""

from __future__ import annotations

import pytest
from common.provenance import command_line

from tests.paper import PAPER


@pytest.mark.parametrize("root", [["--data-root", "/data/m"], ["--data-root=/data/m"]])
def test_command_without_private_paths(root: list[str]) -> None:
    """The command is the one to type at the root of a checkout."""
    line = command_line([str(PAPER / "table2.py"), *root, "--jobs", "2"])
    assert line.startswith("python examples/paper/table2.py --data-root")
    assert "/data" not in line
    assert line.endswith("mnist --jobs 2")


@pytest.mark.parametrize("out", [["--out", "/tmp/x/numbers.json"], ["--out=/tmp/x/numbers.json"]])
def test_files_have_no_folder(out: list[str]) -> None:
    """Nor do names with spaces fall apart."""
    line = command_line([str(PAPER / "table2.py"), *out, "--competitors", "C++ AGAD"])
    assert "/tmp" not in line
    assert line.endswith("numbers.json --competitors 'C++ AGAD'")


def test_command_from_elsewhere() -> None:
    """A script outside of the checkout is named without its folder."""
    assert command_line(["/somewhere/mine.py"]) == "python mine.py"
