"""Values of the fields of the configurations around the devices."""

from __future__ import annotations

from math import inf, nan
from typing import Any, List, Sequence, Tuple

from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    PulseType,
    RPUDataType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.pre_post import InputRangeParameter
from aihwkit.simulator.parameters.runtime import RuntimeParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile
from aihwkit.simulator.tiles.array import TileModuleArray
from aihwkit.simulator.tiles.transfer import TorchTransferTile

from aihwkit_dspt import (
    ESTIMATORS,
    Chopper,
    PulseMode,
    ReadMode,
    ReferenceSync,
    ReferenceType,
    SymmetricPointEstimator,
    TransferBuffer,
    TransferScope,
    TransferStart,
)
from tests.fuzz.plan import Table

Values = Tuple[Sequence[Any], Sequence[Any]]


def number(right: List[Any], *wrong: Any) -> Values:
    """Return values of a number; NaN and what is no number are wrong."""
    return right, [*wrong, nan, inf, "1", None]


BOOLEAN: Values = ([False, True], [None, "yes"])

IO: Tuple[Any, Table] = (
    IOParameters,
    {
        "is_perfect": BOOLEAN,
        "mv_type": (
            [
                AnalogMVType.ONE_PASS,
                AnalogMVType.POS_NEG_SEPARATE,
                AnalogMVType.POS_NEG_SEPARATE_DIGITAL_SUM,
            ],
            [*AnalogMVType, None],
        ),
        "inp_bound": number([1.0, 0.5], 0.0, -1.0),
        "inp_noise": number([0.0, 0.05], -1.0),
        "inp_res": number([1 / 126, 0.1, -1.0]),
        "inp_sto_round": BOOLEAN,
        "inp_asymmetry": number([0.0, 0.1]),
        "out_bound": number([12.0, 1.0], 0.0, -1.0),
        "out_noise": number([0.0, 0.06], -1.0),
        "out_noise_std": number([0.0, 0.2]),
        "out_res": number([1 / 510, 0.1, -1.0]),
        "out_sto_round": BOOLEAN,
        "out_scale": number([1.0, 0.5], 0.0),
        "out_asymmetry": number([0.0, 0.1]),
        "bound_management": (
            [kind for kind in BoundManagementType if kind is not BoundManagementType.SHIFT],
            [BoundManagementType.SHIFT, None],
        ),
        "noise_management": (list(NoiseManagementType), [None]),
        "w_noise": number([0.0, 0.02], -1.0),
        "w_noise_type": (list(WeightNoiseType), [None]),
        "ir_drop": number([0.0, 0.5]),
        "ir_drop_g_ratio": number([1 / 0.35 / 5e-6], 0.0),
        "out_nonlinearity": number([0.0, 0.01]),
        "out_nonlinearity_std": number([0.0, 0.01]),
        "slope_calibration": number([0.0, 0.1]),
        "v_offset_std": number([0.0], 0.1),
        "v_offset_w_min": number([-1.0]),
        "r_series": number([0.0], 0.1),
        "w_read_asymmetry_dtod": number([0.0, 0.01]),
        "max_bm_factor": number([1000, 4], 0, -1),
        "max_bm_res": number([0.25, 0.0]),
        "bm_test_negative_bound": BOOLEAN,
        "nm_thres": number([0.0, 0.7], -1.0),
    },
)
UPDATE: Tuple[Any, Table] = (
    UpdateParameters,
    {
        "desired_bl": number([31, 1, 7], 0, -1, 10**6),
        "fixed_bl": BOOLEAN,
        "pulse_type": (
            [kind for kind in PulseType if kind is not PulseType.NONE],
            [PulseType.NONE, None],
        ),
        "res": number([0.0, 0.01]),
        "x_res_implicit": number([0.0, 0.01]),
        "d_res_implicit": number([0.0, 0.01]),
        "d_sparsity": BOOLEAN,
        "sto_round": BOOLEAN,
        "update_bl_management": BOOLEAN,
        "update_management": BOOLEAN,
        "um_grad_scale": number([1.0, 0.5], 0.0, -1.0),
    },
)
MAPPING: Tuple[Any, Table] = (
    MappingParameter,
    {
        "digital_bias": BOOLEAN,
        "weight_scaling_omega": number([0.0, 0.3], -1.0),
        "weight_scaling_columnwise": BOOLEAN,
        "weight_scaling_lr_compensation": BOOLEAN,
        "learn_out_scaling": BOOLEAN,
        "out_scaling_columnwise": BOOLEAN,
        "max_input_size": number([512, 3, 0], -1),
        "max_output_size": number([512, 2, 0], -1),
    },
)
INPUT_RANGE: Tuple[Any, Table] = (
    InputRangeParameter,
    {
        "enable": BOOLEAN,
        "learn_input_range": BOOLEAN,
        "init_value": number([3.0, 0.5]),
        "init_from_data": number([100, 1, 0]),
        "init_std_alpha": number([3.0, 1.0]),
        "decay": number([0.001, 0.0]),
        "input_min_percentage": number([0.95, 0.5]),
        "manage_output_clipping": BOOLEAN,
        "output_min_percentage": number([0.95, 0.5]),
        "gradient_scale": number([1.0, 0.1]),
        "gradient_relative": BOOLEAN,
        "calibration_info": ([None, "by hand"], []),
    },
)
RUNTIME: Tuple[Any, Table] = (
    RuntimeParameter,
    {
        "data_type": ([RPUDataType.FLOAT], [RPUDataType.DOUBLE, RPUDataType.HALF, None, "float"]),
        "on_the_fly_bindings": BOOLEAN,
        "offload_input": BOOLEAN,
        "offload_gradient": BOOLEAN,
    },
)
COMPOUND: Table = {
    "construction_seed": number([0, 11], -1, 2**40),
    "gamma": number([0.1, 0.0, 1.0], -0.1),
    "gamma_vec": ([[]], [[0.1], None]),
    "transfer_every": number([1.0, 0.0, 2.5, 7.0, -1.0]),
    "sweep_every": number([0.0, 0.0, 0.0, 7.0]),
    "anneal_sweeps": number([0.0, 2.0]),
    "start": (list(TransferStart), ["FirstSweep"]),
    "auto_scale_by_batch": BOOLEAN,
    "spread_remainder": BOOLEAN,
    "auto_scale_limit": number([0.0, 0.5, 20.0], -0.1),
    "transfer_lr_follows_schedule": BOOLEAN,
    "no_self_transfer": ([True], [False]),
    "transfer_every_vec": ([[]], [[1.0], None]),
    "units_in_mbatch": BOOLEAN,
    "n_reads_per_transfer": ([1], [2, 0, None]),
    "transfer_columns": BOOLEAN,
    "with_reset_prob": ([0.0], [0.1, None]),
    "random_selection": ([False], [True, None]),
    "fast_lr": number([0.1, 0.0, 1.0], -1.0),
    "transfer_lr": number([0.3, 0.0, 2.0], -1.0),
    "transfer_lr_vec": ([[]], [[1.0], None]),
    "join_sweeps": ([0.0], [-1.0, "1", [1.0]]),
    "scale_transfer_lr": BOOLEAN,
    "scale_fast_lr": BOOLEAN,
    "in_chop_prob": number([0.1, 0.0, 0.5, 1.0], -0.1, 1.5),
    "in_chop_random": BOOLEAN,
    "out_chop_prob": number([0.0, 0.3], -0.1, 1.5),
    "buffer_granularity": number([1.0, 0.0, 0.4], -1.0),
    "auto_granularity": number([0.0, 100.0], -1.0),
    "step": number([1.0, 2.0], 0.0, -1.0),
    "momentum": number([0.0, 0.5], -0.1, 2.0),
    "forget_buffer": BOOLEAN,
    "no_buffer": BOOLEAN,
    "auto_scale": BOOLEAN,
    "auto_momentum": number([0.99, 0.5], -0.1, 2.0),
    "correct_gradient_magnitudes": BOOLEAN,
    "experimental_correct_accumulation": BOOLEAN,
    "buffer_cap": number([0.0, 2.0], -1.0),
    "tail_weightening": number([5.0, 1.0], 0.0, -1.0),
    "estimator": (list(ESTIMATORS.values()), [None, "low-pass", SymmetricPointEstimator, Chopper]),
    "buffer": ([TransferBuffer], [None, Chopper]),
    "chopper": ([Chopper], [None, "regular"]),
    "reference": (list(ReferenceType), [None, "Dynamic"]),
    "reference_sync": (list(ReferenceSync), [None, "EveryRead"]),
    "eta": number([0.05, 1.0], 0.0, 2.0),
    "transfer_scope": (list(TransferScope), [None, "Line"]),
    "pulse_mode": (list(PulseMode), [None, "Cpp"]),
    "read_mode": ([ReadMode.AUTO, ReadMode.CPP, ReadMode.TORCH], [None, "Cpp"]),
}
"""Fields of the compound that are not parts: devices, reads and pulses are drawn beside it."""

CONFIG: Table = {
    "tile_class": ([], [AnalogTile, TorchTransferTile, None]),
    "tile_array_class": ([], [TileModuleArray]),
}
"""Fields of the configuration that are not parts."""
