"""Run aihwkit's own tests on our tile.

aihwkit's sdist ships its tests without their helpers. This script unpacks the tests of the
installed aihwkit version into a folder, adds stand-ins for the helpers (``stand_ins/``) which put
one tile, E-RIDER with ``gamma=0.1``, in the place of every tile that a test is repeated over, and
runs the tests about layers, conversions, optimisers, utilities, simulator tiles and continued
training::

    python tests/aihwkit_suite/run.py
    python tests/aihwkit_suite/run.py --tile agad  # the same on aihwkit's C++ AGAD

Further arguments go to pytest, e.g. ``-k test_remapping``. Tests that C++ AGAD cannot pass either
are left out, see ``not_applicable.py``; ``--all`` runs them too.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, List

import pytest
from recorder import Recorder

HERE = Path(__file__).resolve().parent

SUBSTITUTES: Dict[str, Dict[str, str]] = {
    "test_layer_base.py": {},
    "test_layers.py": {},
    "test_layers_linear.py": {"InferenceRPUConfig": "SubstituteRPUConfig"},
    "test_layers_convolution.py": {"InferenceRPUConfig": "SubstituteRPUConfig"},
    "test_layers_mapped.py": {},
    "test_layers_rnn.py": {},
    "test_conversions.py": {
        "FloatingPointRPUConfig": "SubstituteRPUConfig",
        "InferenceRPUConfig": "SecondSubstituteRPUConfig",
    },
    "test_optimizers.py": {},
    "test_utils.py": {"InferenceRPUConfig": "SubstituteRPUConfig"},
    "test_calibration.py": {"InferenceRPUConfig": "SubstituteRPUConfig"},
    "test_simulator_tiles.py": {},
    "test_continue_training.py": {"TorchInferenceRPUConfig": "SubstituteRPUConfig"},
    # Only aihwkit 1.2 has this one.
    "test_analog_ctx.py": {
        "FloatingPointRPUConfig": "SubstituteRPUConfig",
        "InferenceRPUConfig": "SubstituteRPUConfig",
        "SingleRPUConfig": "SubstituteRPUConfig",
        "TorchInferenceRPUConfig": "SubstituteRPUConfig",
    },
}
"""The test files, and the configuration classes that they name themselves: those are replaced by
one of the tile under test, so that these tests, too, run on it."""


TILE_CLASSES = "TILE_CLASSES = {"
"""Beginning of aihwkit's table of what each class of simulator tile is on a GPU; it lacks ours."""

OWN_TILE_CLASS = """
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile
TILE_CLASSES[TrackingSimulatorTile] = TrackingSimulatorTile
"""

PRINTED = (
    "versions",
    "tile",
    "passed",
    "failed",
    "skipped",
    "not_applicable",
    "left_out_without_torchvision",
    "failures",
)
"""What is printed of the result; the JSON file has all."""


def download_sdist(aihwkit_version: str, folder: Path) -> Path:
    """Download the sdist with pip and return its path.

    pip asks the sdist for its metadata, which takes scikit-build and setuptools; they go to a
    folder of their own.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    tools = folder / "tools"
    subprocess.run(
        [*pip, "install", "-q", "--target", str(tools), "scikit-build", "setuptools>=77"],
        check=True,
    )
    arguments = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder)]
    subprocess.run(
        [*pip, "download", "-q", *arguments, f"aihwkit=={aihwkit_version}"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(tools)},
    )
    return folder / f"aihwkit-{aihwkit_version}.tar.gz"


def can_import(module: str) -> bool:
    """Return whether a module can be imported, in a process of its own."""
    command = [sys.executable, "-c", f"import {module}"]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0


def unpack_tests(sdist: Path, folder: Path) -> List[str]:
    """Unpack the test files that are to run, with the helpers; return their paths in ``folder``."""
    tests = folder / "tests"
    tests.mkdir(parents=True, exist_ok=True)
    (tests / "__init__.py").touch()
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HERE / "stand_ins", tests / "helpers", ignore=ignored, dirs_exist_ok=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "parameterized.py").write_text(
        "from tests.helpers.decorators import parameterized_class  # noqa: F401\n"
    )
    found = []
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            path = Path(member.name)
            if path.parent.name == "tests" and path.name in SUBSTITUTES:
                source = archive.extractfile(member)
                assert source is not None
                text = substituted(source.read().decode(), SUBSTITUTES[path.name])
                text += OWN_TILE_CLASS if TILE_CLASSES in text else ""
                (tests / path.name).write_text(text)
                found.append(f"tests/{path.name}")
    return sorted(found)


def substituted(text: str, names: Dict[str, str]) -> str:
    """Import the substitutes under the given names after the imports of a test file."""
    lines = text.splitlines()
    imports = [
        node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    wanted = [f"from .helpers.configs import {new} as {old}" for old, new in names.items()]
    end = imports[-1].end_lineno
    return "\n".join([*lines[:end], *wanted, *lines[end:]]) + "\n"


def parse() -> Any:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sdist", type=Path, help="aihwkit's sdist; downloaded by default")
    parser.add_argument("--workdir", type=Path, help="where to unpack; a temporary folder")
    parser.add_argument("--tile", choices=["tracking", "agad"], default="tracking")
    parser.add_argument("--all", action="store_true", help="also what C++ AGAD cannot pass")
    parser.add_argument("--json", type=Path, help="where to write the counts")
    return parser.parse_known_args()


def main() -> int:
    """Run the tests; return pytest's exit status."""
    arguments, pytest_arguments = parse()
    json_path = arguments.json.resolve() if arguments.json else None
    aihwkit_version = version("aihwkit")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.workdir or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        sdist = arguments.sdist or download_sdist(aihwkit_version, folder)
        if f"aihwkit-{aihwkit_version}" not in sdist.name:
            sys.exit(f"{sdist.name} is not the sdist of the installed aihwkit {aihwkit_version}")
        files = unpack_tests(sdist.resolve(), folder)
        left_out = []
        if not can_import("torchvision"):
            # It imports torchvision, which does not work beside every torch.
            left_out = [name for name in files if name.endswith("test_conversions.py")]
            files = [name for name in files if name not in left_out]
        os.environ["AIHWKIT_SUITE_TILE"] = arguments.tile
        recorder = Recorder(arguments.tile, arguments.all)
        os.chdir(folder)
        # Also for what the tests themselves start; aihwkit_dspt may be installed from a checkout
        # that has a "tests" of its own.
        sys.path.insert(0, str(folder))
        status = pytest.main(
            [
                "-q",
                "--no-header",
                "--tb=short",
                "-p",
                "no:cacheprovider",
                "-W",
                "ignore",
                f"--rootdir={folder}",
                *files,
                *pytest_arguments,
            ],
            plugins=[recorder],
        )
        os.chdir(HERE)
    result = {
        "command": " ".join(["python", "tests/aihwkit_suite/run.py", *sys.argv[1:]]),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("aihwkit", "torch", "aihwkit-dspt")},
        },
        "tile": arguments.tile,
        "left_out_without_torchvision": left_out,
        **recorder.result(),
    }
    print("\n".join(f"{key}: {result[key]}" for key in PRINTED))
    if json_path is not None:
        json_path.write_text(json.dumps(result, indent=1) + "\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
