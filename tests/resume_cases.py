"""What the resume tests train, in their own process and in a new one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogLinearMapped, AnalogRNN, AnalogSequential
from aihwkit.nn.modules.rnn.cells import AnalogLSTMCell
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt import (
    ESTIMATORS,
    LowPassFilter,
    TrackingTile,
    TransferScope,
    TransferStart,
    load_checkpoint,
)
from tests.helpers import quiet_config, quiet_device
from tests.table import METHODS, Settings

N_STEPS = 24
"""Steps before the checkpoint, and after it."""

SETTINGS: Dict[str, Settings] = {
    **METHODS,
    "E-RIDER-random": {
        **METHODS["E-RIDER"],
        "in_chop_random": True,
        "out_chop_prob": 0.3,
        "auto_scale": True,
    },
    "E-RIDER-rows": {**METHODS["E-RIDER"], "transfer_columns": False, "transfer_every": 2.5},
    "E-RIDER-reference_device": {
        **METHODS["E-RIDER"],
        "reference_device": quiet_device(dw_min=0.02),
    },
    "E-RIDER-first sweep": {
        **METHODS["E-RIDER"],
        "in_chop_prob": 0.05,
        "transfer_every": 1.0,
        "start": TransferStart.FIRST_SWEEP,
        "auto_scale": True,
        "spread_remainder": True,
    },
    "E-RIDER-array": {**METHODS["E-RIDER"], "transfer_scope": TransferScope.ARRAY},
    **{
        f"E-RIDER-{name}": {**METHODS["E-RIDER"], "estimator": kind, "transfer_every": 1.0}
        for name, kind in ESTIMATORS.items()
        if kind is not LowPassFilter
    },
    "E-RIDER-three arrays": {
        **METHODS["E-RIDER"],
        "unit_cell_devices": [quiet_device() for _ in range(3)],
        "transfer_every_vec": [1.0, 2.0],
        "reference_device": quiet_device(dw_min=0.02),
        "in_chop_random": True,
        "out_chop_prob": 0.3,
    },
    "E-RIDER-warm start": {
        **METHODS["E-RIDER"],
        "unit_cell_devices": [quiet_device() for _ in range(4)],
        "transfer_lr_vec": [0.3, 0.0, 0.0],
        "join_sweeps": [2, 8],
        "anneal_sweeps": 1.0,
    },
}


class Recurrent(nn.Module):
    """An LSTM that returns its last output."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.lstm = AnalogRNN(AnalogLSTMCell, 3, 4, bias=True, rpu_config=config)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last output for ``[time, batch, 3]`` inputs."""
        return self.lstm(x)[0][-1]


LAYERS: Dict[str, Tuple[Callable[[Any], nn.Module], Tuple[int, ...]]] = {
    "linear": (
        lambda c: AnalogSequential(
            AnalogLinear(6, 5, rpu_config=c), nn.BatchNorm1d(5), AnalogLinear(5, 4, rpu_config=c)
        ),
        (3, 6),
    ),
    "conv-indexed": (
        lambda c: AnalogSequential(
            AnalogConv2d(1, 4, 2, use_indexed=True, rpu_config=c), nn.Flatten()
        ),
        (3, 1, 3, 2),
    ),
    "mapped": (lambda c: AnalogLinearMapped(6, 4, rpu_config=c), (3, 6)),
    "lstm": (Recurrent, (3, 2, 3)),
}
"""Network and shape of one batch."""


def make(layer: str, settings: str) -> Tuple[nn.Module, Any, Any]:
    """Return model, optimizer and scheduler of a case; nothing in their training is random."""
    config = quiet_config(**SETTINGS[settings])
    config.mapping.learn_out_scaling = True
    config.mapping.weight_scaling_omega = 0.3
    if layer == "mapped":
        config.mapping.max_input_size = config.mapping.max_output_size = 3
    model = LAYERS[layer][0](config)
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 17, 0.5)


def train(layer: str, model: nn.Module, optimizer: Any, scheduler: Any) -> None:
    """Train with data from torch's generator."""
    shape = LAYERS[layer][1]
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        output = model(torch.rand(shape))
        nn.functional.mse_loss(output, torch.randn(output.shape)).backward()
        optimizer.step()
        scheduler.step()


def everything(model: nn.Module, optimizer: Any, scheduler: Any) -> Dict[str, Any]:
    """Return all that a training consists of."""
    digital = {k: v for k, v in model.state_dict().items() if "analog_" not in k}
    tiles = {n: t for n, t in model.named_modules() if isinstance(t, TrackingTile)}
    assert tiles
    return {
        "digital": digital,
        "tiles": {name: tile.tile.dump_extra() for name, tile in tiles.items()},
        "mixed": {name: tile.tile.get_weights() for name, tile in tiles.items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "random": torch.get_rng_state(),
    }


def main(folder: Path) -> None:
    """Continue the checkpoint of every case in the folder and write what comes out."""
    results = {}
    for path in sorted(folder.glob("*.pt")):
        layer, settings = path.stem.split(",")
        parts = make(layer, settings)
        load_checkpoint(path, *parts)
        train(layer, *parts)
        results[path.stem] = everything(*parts)
    torch.save(results, folder / "results")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
