"""Measurements in a process of their own.

The pools of OpenMP and MKL are sized when their libraries are loaded, and the peak of the memory
belongs to a process, so a script starts itself again for each measurement.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict

CHILD = "--child"


def in_child(task: Dict[str, Any], threads: int = 1) -> Dict[str, Any]:
    """Run the ``work`` of the running script (see :func:`run`) in a new process.

    Args:
        task: keyword arguments of ``work``, as JSON types.
        threads: threads of torch, OpenMP and MKL.

    Returns:
        what ``work`` returned.

    Raises:
        SystemExit: if the process failed; it has printed why.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, sys.argv[0], CHILD, json.dumps(task), str(out)]
        if subprocess.run(command, env=environment, check=False).returncode:
            raise SystemExit(f"the measurement of {task} failed, see above")
        result: Dict[str, Any] = json.loads(out.read_text())
        return result


def run(main: Callable[[], None], work: Callable[..., Dict[str, Any]]) -> None:
    """Run ``main``, or ``work`` if this process was started by :func:`in_child`."""
    if sys.argv[1:2] != [CHILD]:
        main()
        return
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    task, out = sys.argv[2:]
    Path(out).write_text(json.dumps(work(**json.loads(task))))
