"""The runs of the race: a selection of network x device x shift, all competitors in each."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Sequence, Tuple

from common.competitors import COMPETITORS, DIGITAL, OURS
from common.runs import Run

LRS = (0.03, 0.1, 0.3)

Cell = Tuple[str, str, float]
"""Network, device and shift of the symmetric points."""

BOTH: Dict[str, Tuple[str, ...]] = {
    "digits": ("HfO2", "SB-20", "SB-200", "SB-1200"),
    "table2": ("HfO2", "OM", "SB-200", "SB-1200"),
    "lenet5": ("HfO2", "SB-200", "ReRamSB"),
    "lstm": ("SB-20", "SB-200", "SB-1200"),
    "gpt": ("HfO2", "SB-200", "SB-1200"),
    "resnet": ("OM", "SB-200", "ReRamSB"),
}
"""Network -> devices with and without shift: few, some and many states."""

AS_THEY_COME: Dict[str, Tuple[str, ...]] = {
    "digits": ("Capacitor", "ReRamES"),
    "table2": ("EcRam",),
    "lenet5": ("SB-20", "ReRamES"),
    "lstm": ("HfO2", "Capacitor"),
    "gpt": ("OM", "EcRam"),
    "resnet": ("Capacitor", "ReRamES"),
}
"""Network -> devices without shift: some have no reference."""

SHIFT = 0.4

CELLS: Tuple[Cell, ...] = tuple(
    cell
    for network, devices in BOTH.items()
    for cell in (
        *((network, device, shift) for device in devices for shift in (0.0, SHIFT)),
        *((network, device, 0.0) for device in AS_THEY_COME[network]),
    )
)
"""Every network meets every kind of device with and without shift; every device is met."""

QUICK: Tuple[Cell, ...] = (
    ("digits", "HfO2", 0.0),
    ("digits", "SB-20", 0.0),
    ("digits", "SB-20", SHIFT),
    ("digits", "SB-1200", 0.0),
    ("digits", "SB-1200", SHIFT),
    ("table2", "HfO2", SHIFT),
    ("gpt", "SB-1200", SHIFT),
)
"""Some cells, at one learning rate."""

QUICK_LR = 0.1


def runs_of(
    cells: Iterable[Cell],
    steps: Dict[str, int],
    lrs: Sequence[float] = LRS,
    seeds: Sequence[int] = (1,),
    competitors: Sequence[str] = COMPETITORS,
    changes: Dict[str, Any] | None = None,
) -> List[Run]:
    """Return the runs of cells.

    A digital network has no device: it runs once for all cells of a network.

    Args:
        cells: the cells.
        steps: network -> steps.
        lrs: learning rates.
        seeds: of weights, batches and devices.
        competitors: who runs.
        changes: what differs from E-RIDER's defaults.
    """
    runs = [
        Run(
            network,
            "-" if competitor == DIGITAL else device,
            0.0 if competitor == DIGITAL else shift,
            competitor,
            lr,
            seed,
            steps[network],
            dict(changes or {}) if competitor == OURS else {},
        )
        for network, device, shift in cells
        for seed in seeds
        for lr in lrs
        for competitor in competitors
    ]
    return list({run.key: run for run in runs}.values())
