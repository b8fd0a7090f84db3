"""The methods of the paper's tables by name, with the paper's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from aihwkit.simulator.configs.compounds import TransferCompound
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from common.methods import agad, aihwkit_config, hfo2, io_parameters, ttv2

from aihwkit_dspt import PAPER_SETTINGS, build_config

if TYPE_CHECKING:
    from core.run import Run

LENET5: Dict[str, Dict[str, Any]] = {
    "TT-v2": {"fast_lr": 0.005, "transfer_lr": 0.005},
    "c-TTv2": {"fast_lr": 0.005, "transfer_lr": 0.005},
    "AGAD": {"fast_lr": 0.01, "transfer_lr": 0.2},
}
"""Table 1's settings where they are not those of Table 2."""


def _analog_sgd(device: Any, mapping: MappingParameter, desired_bl: int) -> Any:
    return SingleRPUConfig(
        device=device,
        forward=io_parameters(),
        backward=io_parameters(),
        update=UpdateParameters(desired_bl=desired_bl),
        mapping=mapping,
    )


def _ttv1(device: Any, mapping: MappingParameter, desired_bl: int, **settings: Any) -> Any:
    compound = TransferCompound(
        unit_cell_devices=[device, device],
        transfer_every=1.0,
        units_in_mbatch=True,
        **{"fast_lr": 0.03, "transfer_lr": 0.01, **settings},
    )
    return aihwkit_config(compound, mapping, desired_bl)


def _chopped(*arguments: Any, **settings: Any) -> Any:
    return ttv2(*arguments, **{"in_chop_prob": 0.1, "in_chop_random": False, **settings})


def _tracking(algorithm: str, **paper: Any) -> Callable[..., Any]:
    def make(device: Any, mapping: MappingParameter, desired_bl: int, **settings: Any) -> Any:
        return build_config(
            algorithm,
            device,
            io_parameters=io_parameters(),
            update=UpdateParameters(desired_bl=desired_bl),
            mapping=mapping,
            **{**PAPER_SETTINGS, **paper, **settings},
        )

    return make


METHODS: Dict[str, Optional[Callable[..., Any]]] = {
    "digital SGD": None,
    "analog SGD": _analog_sgd,
    "TT-v1": _ttv1,
    "TT-v2": ttv2,
    "c-TTv2": _chopped,
    "AGAD": agad,
    "residual": _tracking("residual"),
    "two-stage": _tracking("two-stage"),
    "RIDER": _tracking("rider", in_chop_prob=0.0, eta=0.05),
    "E-RIDER": _tracking("e-rider", in_chop_prob=0.05, tail_weightening=5.0),
}
"""Method -> function of device, mapping, desired_bl and fields; ``None``: not analog."""


def rpu_config(run: Run) -> Any:
    """Return the RPU configuration of a run, ``None`` for digital training."""
    method = METHODS[run.method]
    if method is None:
        return None
    if run.dw_min is None:
        device: Any = hfo2(run.reference_mean, run.reference_std)
    else:
        device = SoftBoundsReferenceDevice(
            dw_min=run.dw_min,
            w_min=-1.0,
            w_max=1.0,
            subtract_symmetry_point=True,
            reference_mean=run.reference_mean,
            reference_std=run.reference_std,
        )
    mapping = MappingParameter(
        max_input_size=run.max_input_size, max_output_size=run.max_input_size
    )
    if run.weight_scaling_omega > 0.0:
        mapping = MappingParameter(
            max_input_size=run.max_input_size,
            max_output_size=run.max_input_size,
            weight_scaling_omega=run.weight_scaling_omega,
            weight_scaling_columnwise=True,
            learn_out_scaling=True,
            out_scaling_columnwise=True,
        )
    own = LENET5.get(run.method, {}) if run.network == "lenet5" else {}
    return method(device, mapping, run.desired_bl, **{**own, **run.settings})
