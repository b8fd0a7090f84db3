"""Run the scripts of the examples: as a user does, or in this process, which has torch already."""

from __future__ import annotations

import io
import os
import runpy
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import torch

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

from common.data import ENVIRONMENT  # noqa: E402


def run_alone(script: str, *arguments: Any) -> str:
    """Run a script without MNIST in a process of its own and return what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != ENVIRONMENT}
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def run(script: str, *arguments: Any) -> str:
    """Do the same within this process: most of a short run is the import of torch and aihwkit."""
    path, printed, n_threads = EXAMPLES / script, io.StringIO(), torch.get_num_threads()
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", [str(path), *map(str, arguments)]),
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
        warnings.catch_warnings(),
        redirect_stdout(printed),
    ):
        os.environ.pop(ENVIRONMENT, None)
        try:
            runpy.run_path(str(path), run_name="__main__")
        finally:
            torch.set_num_threads(n_threads)
    return printed.getvalue()
