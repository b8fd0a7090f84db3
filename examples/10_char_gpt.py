"""A GPT that writes characters: digital, with frozen arrays, with TT-v2, AGAD and E-RIDER.

All products with weights are analog. Digital parameters (embeddings, normalisations, biases) are
trained by AdamW in each method. Digital, frozen, TT-v2 and AGAD have three learning rates, of which
the table shows the best; E-RIDER has its defaults. Prints a table and, for each run, some text that
the model writes; the monitor follows E-RIDER's estimates. Writes a picture and all numbers.

    python examples/10_char_gpt.py                               # made-up text, minutes
    python examples/10_char_gpt.py --data-root DIR --steps 330 --devices SB-1200 HfO2 --shifts 0 0.4
    python examples/10_char_gpt.py --data-root DIR --device cuda --width 256 --blocks 6 \
        --length 256 --batch-size 64 --steps 5000                # full size

``DIR`` holds a ``.txt`` or ``.txt.xz`` file, or ``text/`` with one. The same command continues.
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from functools import partial
from typing import Any, Dict, Iterator

import torch
from common.character_models import sample
from common.characters import Text, load_text
from common.comparison import add_arguments
from common.comparison_report import side_by_side
from common.competitors import OURS
from common.gpt_task import add_gpt_arguments, gpt, gpt_settings, gpt_task
from common.runs import Run
from common.tasks import converted
from torch import nn

from aihwkit_dspt import SymmetricPointMonitor

SAMPLED = 160
"""Characters that a trained model writes."""


@contextmanager
def watched(text: Text, length: int, model: nn.Module, run: Run) -> Iterator[Dict[str, Any]]:
    """Follow the estimates of E-RIDER, and let the trained model write."""
    found: Dict[str, Any] = {}
    if run.competitor == OURS:
        with SymmetricPointMonitor(model, every=max(run.steps // 10, 1)) as monitor:
            yield found
        print(monitor.summary())
        names = ("step", "tile", "sp_error_mean", "sp_error_rms")
        found["monitor"] = {name: monitor.history[name] for name in names}
    else:
        yield found
    torch.manual_seed(run.seed)
    found["sample"] = sample(model, text.alphabet, SAMPLED, length)
    print(f"--- {run.key}\n{found['sample']}\n---")


def main() -> None:
    """Run what is missing, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, steps=60, batch_size=8, name="char_gpt")
    add_gpt_arguments(parser)
    args = parser.parse_args()
    text = load_text(args.data_root)
    task = gpt_task(text, args, lambda config: converted(gpt(text, args), config))
    settings = gpt_settings(text, args)
    watch = partial(watched, text, args.length)
    side_by_side("char_gpt", {"char GPT": task}, args, settings, watch)


if __name__ == "__main__":
    main()
