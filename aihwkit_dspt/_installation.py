"""The installed host library: do aihwkit and torch work together, and what to do if not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import torch
from packaging.specifiers import SpecifierSet

from aihwkit_dspt._origin import Origin, find_aihwkit


@dataclass(frozen=True)
class HostPair:
    """A series of aihwkit's wheels with the torch that it was built for."""

    pythons: Tuple[str, ...]
    """The versions of Python on which the pair was tried."""

    aihwkit: str
    """The versions of aihwkit, wheels or not, that the package is written for."""

    torch: str
    """The versions of torch that they work with."""

    @property
    def requirements(self) -> Tuple[str, str]:
        """The pair as requirements for pip."""
        return f"aihwkit{self.aihwkit}", f"torch{self.torch}"

    @property
    def command(self) -> str:
        """The command that installs the pair."""
        return f"pip install {' '.join(map(repr, self.requirements))}"


HOST_PAIRS = (
    HostPair(("3.10", "3.11"), "==1.1.*", "==2.10.*"),
    HostPair(("3.12", "3.13"), "==1.2.*", ">=2.13,<2.16"),
)
"""The pairs of wheels that work; the extra ``cpu`` installs them."""


def probe() -> None:
    """Build a tiny C++ tile and set its weights: binaries that do not fit fail only here."""
    # pylint: disable=import-outside-toplevel
    from aihwkit.simulator.configs.configs import SingleRPUConfig
    from aihwkit.simulator.configs.devices import ConstantStepDevice
    from aihwkit.simulator.parameters.enums import RPUDataType

    # Without variation of the bounds no cell can clip the weights that are set.
    config = SingleRPUConfig(device=ConstantStepDevice(w_max_dtod=0.0, w_min_dtod=0.0))
    parameters = config.device.as_bindings(RPUDataType.FLOAT)
    tile = config.as_bindings().create_array(2, 3, parameters)
    weights = torch.full((3, 2), 0.25, dtype=torch.float32, device="cpu")
    tile.set_weights(weights)
    read = tile.get_weights()
    if not torch.equal(read, weights):
        raise RuntimeError(f"a weight of 0.25 reads back as {read[0, 0].item()}")


def _all_pairs() -> str:
    """Return the commands that install a pair of wheels, by Python."""
    return "; ".join(
        f"on Python {' or '.join(pair.pythons)}: {pair.command}" for pair in HOST_PAIRS
    )


def _wheel_failure(aihwkit: str, reason: str) -> str:
    """Return one sentence on a wheel that fails: is its torch the wrong one, and what to do?"""
    pair = next(pair for pair in HOST_PAIRS if aihwkit in SpecifierSet(pair.aihwkit))
    start = f"The wheel of aihwkit {aihwkit} does not work with torch {torch.__version__}"
    if SpecifierSet(pair.torch).contains(torch.__version__, prereleases=True):
        return (
            f"{start}, although it was built for torch{pair.torch} ({reason}): one of the two is "
            f"damaged or another build, so install both again, {pair.command} --force-reinstall."
        )
    return (
        f"{start}, for which it was not built ({reason}): install the torch of the wheel, "
        f"{pair.command}, or keep this torch and build aihwkit from its sdist against it "
        "(docs/installation.md)."
    )


_BUILD_FAILURES = {
    Origin.SELF_BUILT: (
        "The self-built aihwkit {} is broken beside torch {} ({}): build it again against this "
        "torch, pip install --no-build-isolation --no-deps --force-reinstall . in the folder of "
        "its sdist, or go back to the torch that it was built with (docs/installation.md)."
    ),
    Origin.CONDA: (
        "Conda's build of aihwkit {} is broken beside torch {} ({}): let conda install aihwkit "
        "and its torch again in one command, without a torch from pip (docs/installation.md)."
    ),
}


def failure(aihwkit: str, origin: Origin, exception: Exception) -> str:
    """Return one sentence: what does not work, which case it is, and what to do."""
    reason = (str(exception).strip() or type(exception).__name__).splitlines()[0].rstrip(".")
    if origin is Origin.WHEEL:
        return _wheel_failure(aihwkit, reason)
    return _BUILD_FAILURES[origin].format(aihwkit, torch.__version__, reason)


def check_host() -> None:
    """Check that the installed aihwkit and torch work together.

    Which versions are installed decides nothing: aihwkit is asked for a tile.

    Raises:
        ImportError: naming what is installed and what to do, if aihwkit is missing, too old or
            too new, a wheel on a torch that it was not built for, or a build that is broken.
    """
    found = find_aihwkit()
    if found is None or not any(found[0] in SpecifierSet(pair.aihwkit) for pair in HOST_PAIRS):
        series = " or ".join(pair.aihwkit for pair in HOST_PAIRS)
        raise ImportError(
            f"aihwkit_dspt needs aihwkit{series}, and {found[0] if found else 'none'} is "
            f"installed: install a pair of wheels, {_all_pairs()}, or build aihwkit from its sdist "
            "against your torch (docs/installation.md)."
        )
    aihwkit, origin = found
    try:
        probe()
    except Exception as exception:  # whatever a pair that does not fit raises
        raise ImportError(failure(aihwkit, origin, exception)) from exception
