"""What a training run depends on: plain values, which make one JSON line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Dict, Optional


@dataclass(frozen=True)
class Run:
    """Everything that a training depends on, but for random pulses."""

    method: str
    """Name of the method, see :mod:`core.methods`."""

    network: str
    """``"fcn"`` (Table 2) or ``"lenet5"`` (Table 1)."""

    reference_mean: float
    """Mean of the references of the devices: the effective symmetric points have the opposite."""

    reference_std: float
    """Their standard deviation over the cells."""

    seed: int
    """Seed of the weights, the order of the images and the chopper (aihwkit's pulses have none)."""

    epochs: int
    """Passes over the training images."""

    lr: float
    """Learning rate of ``AnalogSGD``."""

    lr_steps: Dict[str, float] = field(default_factory=dict)
    """Finished epochs -> factor on the learning rate from then on."""

    batch_size: int = 10
    """Images per update."""

    desired_bl: int = 5
    """Length of the gradient pulse trains."""

    weight_scaling_omega: float = 0.3
    """Largest weight after mapping, with learned column-wise output scales; 0 for no scales."""

    max_input_size: int = 512
    """Largest array; wider layers are split. aihwkit's default, 0 for layers that are not split."""

    settings: Dict[str, Any] = field(default_factory=dict)
    """Fields of the compound that differ from the method's own."""

    dw_min: Optional[float] = None
    """Pulse size of a soft-bounds device on [-1, 1]; ``None`` for the HfO2 preset."""

    calibration_pulses: int = 0
    """Pulses of zero-shifting before the training (two-stage method)."""

    target_loss: float = 0.0
    """Stop at the first epoch whose mean training loss is not larger; 0 for all epochs."""

    validation: bool = False
    """Whether to test on the last 10,000 training images, which are then not trained on."""

    @classmethod
    def from_result(cls, result: Dict[str, Any]) -> Run:
        """Return the run of a stored result; fields that it does not have yet have their default.

        Raises:
            ValueError: if the result has a field that is not known here.
        """
        known = {item.name for item in fields(cls)}
        for name, value in result["run"].items():
            if name not in known:
                raise ValueError(
                    f"a stored run has {name}={value!r}, which this version does not know: use the "
                    f"version that made it (revision {result.get('revision', 'unknown')})"
                )
        return cls(**result["run"])

    @property
    def key(self) -> str:
        """Name that is equal for equal runs only.

        It changes when a field is added. A result is therefore found by the key of
        :meth:`from_result`, not by the one that was written with it.
        """
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """Short readable name."""
        cell = f"({self.reference_mean:g}, {self.reference_std:g})"
        return f"{self.method} {self.network} {cell} seed {self.seed}"


def scaled_steps(steps: Dict[str, float], epochs: int, of: int) -> Dict[str, float]:
    """Return the steps of a training of ``of`` epochs for one of ``epochs`` epochs.

    They stay at the same share of the training, but not before the end of the first epoch.
    """
    return {str(max(1, int(at) * epochs // of)): factor for at, factor in steps.items()}
