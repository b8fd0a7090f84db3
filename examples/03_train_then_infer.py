"""Train with E-RIDER, then infer: accuracy over a day of drift.

The network of the quick start is trained on ReRAM devices with shifted symmetric points. Its
weights are then programmed, with errors, onto PCM-like inference devices that drift. Prints a
table and writes a picture and the numbers behind it.

    python examples/03_train_then_infer.py                      # scikit-learn's digits
    python examples/03_train_then_infer.py --data-root mnist    # MNIST from IDX files
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from statistics import mean, pstdev
from typing import Any, Dict, List

import torch
from aihwkit.inference import GlobalDriftCompensation, PCMLikeNoiseModel
from aihwkit.nn.conversion import convert_to_digital
from aihwkit.simulator.configs import InferenceRPUConfig
from aihwkit.simulator.parameters.mapping import MappingParameter
from common.data import Images, load_images
from common.methods import erider, hfo2, io_parameters
from common.networks import fcn
from common.report import pyplot, write_json
from common.train import accuracy, train
from torch import nn

from aihwkit_dspt import to_inference

TIMES = {"1 s": 1.0, "1 min": 60.0, "1 h": 3600.0, "1 day": 86400.0}
"""Time after programming, in seconds."""

COMPENSATIONS = {"compensated": GlobalDriftCompensation(), "not compensated": None}
"""With and without a factor per tile that undoes the mean drift."""


def train_model(images: Images, args: argparse.Namespace) -> nn.Module:
    """Return the network trained with E-RIDER."""
    models: Dict[int, nn.Module] = {}
    train(
        fcn(images.size),
        erider(hfo2(args.reference_mean, args.reference_std), MappingParameter(), desired_bl=5),
        images,
        args.epochs,
        args.lr,
        label="E-RIDER",
        on_epoch=lambda model, epoch: models.update({epoch: model}),
    )
    return models[args.epochs]


def inference_config(compensation: Any) -> InferenceRPUConfig:
    """Return PCM-like devices behind the paper's converters."""
    return InferenceRPUConfig(
        forward=io_parameters(),
        noise_model=PCMLikeNoiseModel(g_max=25.0),
        drift_compensation=compensation,
        # The largest weight of each tile gets the largest conductance.
        mapping=MappingParameter(weight_scaling_omega=1.0),
    )


def infer(model: nn.Module, images: Images, repeats: int) -> Dict[str, Dict[str, List[float]]]:
    """Return the test accuracies of each compensation and time, one per programming."""
    results: Dict[str, Dict[str, List[float]]] = {}
    for name, compensation in COMPENSATIONS.items():
        analog = to_inference(model, inference_config(compensation))
        results[name] = {time: [] for time in TIMES}
        for _ in range(repeats):
            analog.eval()
            analog.program_analog_weights()
            for time, seconds in TIMES.items():
                analog.eval()
                analog.drift_analog_weights(seconds)
                results[name][time].append(accuracy(analog, images.test_x, images.test_y))
    return results


def table(before: Dict[str, float], results: Dict[str, Dict[str, List[float]]]) -> str:
    """Return the table; mean and standard deviation over the programmings."""
    lines = [f"{'test accuracy [%]':<24}" + "".join(f"{name:>20}" for name in results), "-" * 64]
    lines += [f"{name:<24}{value:>20.1f}" for name, value in before.items()]
    for time in TIMES:
        cells = [f"{mean(runs[time]):.1f} ± {pstdev(runs[time]):.1f}" for runs in results.values()]
        lines.append(
            f"{time + ' after programming':<24}" + "".join(f"{cell:>20}" for cell in cells)
        )
    return "\n".join(lines)


def draw(
    before: Dict[str, float], results: Dict[str, Dict[str, List[float]]], title: str, path: Path
) -> None:
    """Write the picture: accuracy against time, with the spread over the programmings."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
    for (name, runs), colour, marker in zip(results.items(), ("#009E73", "#E69F00"), "os"):
        means, spreads = zip(*((mean(values), pstdev(values)) for values in runs.values()))
        axes.errorbar(
            list(TIMES.values()), means, spreads, label=name, color=colour, marker=marker, capsize=4
        )
    for (name, value), style in zip(before.items(), ("-", "--")):
        axes.axhline(value, color="black", linewidth=1, linestyle=style, label=name)
    axes.set(title=title, xlabel="time after programming", ylabel="test accuracy [%]", xscale="log")
    axes.set_xticks(list(TIMES.values()), list(TIMES))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train, program and drift; print the table, write the picture and the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--epochs", type=int, help="default: 200 on digits, 5 on MNIST")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate of AnalogSGD")
    parser.add_argument("--repeats", type=int, default=10, help="how often weights are programmed")
    parser.add_argument("--reference-mean", type=float, default=0.4)
    parser.add_argument("--reference-std", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the output")
    args = parser.parse_args()

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    images = load_images(args.data_root)
    args.epochs = args.epochs or (200 if images.name == "digits" else 5)
    model = train_model(images, args)
    before = {
        "while training": accuracy(model, images.test_x, images.test_y),
        "same weights, digital": accuracy(convert_to_digital(model), images.test_x, images.test_y),
    }
    results = infer(model, images, args.repeats)
    print(table(before, results))
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "train_then_infer"
    title = f"{images.name}: trained with E-RIDER, inference on PCM"
    draw(before, results, title, path.with_suffix(".png"))
    write_json(path.with_suffix(".json"), {"before": before, "inference": results})
    print(f"\nwritten: {path}.png, {path}.json")


if __name__ == "__main__":
    main()
