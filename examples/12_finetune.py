"""A GPT that is trained digitally, then adapted on arrays: its last block, or low-rank adapters.

What a lab would do first: most weights come from elsewhere and stay. A small GPT learns to write
the text in lower case, digitally. Then it gets the text as it is, and adapts:

* ``--parts block``: its last block and its head are analog and trained, the rest stays;
* ``--parts adapters``: every linear layer stays and gets an adapter of two analog arrays, ``B A x``
  (LoRA), which alone is trained.

Digital, frozen, TT-v2 and AGAD have three learning rates, of which the table shows the best;
E-RIDER has its defaults. Prints a table and writes a picture and all numbers.

    python examples/12_finetune.py                               # made-up text, minutes
    python examples/12_finetune.py --data-root DIR --steps 300 --devices SB-1200 HfO2 --shifts 0 0.4
    python examples/12_finetune.py --data-root DIR --device cuda --width 256 --blocks 6 \
        --length 256 --batch-size 64 --first-steps 10000 --steps 2000    # full size

``DIR`` holds a ``.txt`` or ``.txt.xz`` file, or ``text/`` with one. The same command continues.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Dict, Optional

import torch
from common.adapters import with_adapters
from common.characters import Text, load_text
from common.comparison import add_arguments
from common.comparison_report import side_by_side
from common.gpt_task import add_gpt_arguments, gpt, gpt_settings, gpt_task
from common.steps import take_step
from common.tasks import Task, converted
from torch import nn

RANK, ALPHA = 8, 8.0
"""Of the adapters."""

Adapt = Callable[[nn.Module, Optional[Any]], nn.Module]


def in_lower_case(text: Text) -> Text:
    """Return the text in lower case, in numbers of the same alphabet."""
    lower = [c.lower() if c.lower() in text.alphabet else c for c in text.alphabet]
    numbers = torch.tensor([text.alphabet.index(c) for c in lower])
    return replace(text, train=numbers[text.train], validation=numbers[text.validation])


def pretrained(text: Text, args: argparse.Namespace) -> nn.Module:
    """Return a GPT that was trained digitally on the text in lower case."""
    torch.manual_seed(1)
    model = gpt(text, args).to(args.device)
    task = gpt_task(in_lower_case(text), args, lambda _: model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.first_steps)
    generator = torch.Generator().manual_seed(1)
    for _ in range(args.first_steps):
        take_step(task, model, optimizer, generator)
        scheduler.step()
    print(f"digital, in lower case: loss {task.score(model):.3f}", flush=True)
    return model.cpu()


def with_last_block(model: nn.Module, config: Optional[Any]) -> nn.Module:
    """Freeze a GPT but for its last block, norm and head, and convert these."""
    model.requires_grad_(False)
    trained = [model.blocks[-1], model.norm, model.head]
    for module in trained:
        module.requires_grad_(True)
    first = [f"blocks.{number}" for number in range(len(model.blocks) - 1)]
    return converted(model, config, first)


PARTS: Dict[str, Adapt] = {
    "block": with_last_block,
    "adapters": partial(with_adapters, rank=RANK, alpha=ALPHA),
}
"""Name -> what makes a model that adapts of one that is trained."""


def main() -> None:
    """Run what is missing, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, steps=60, batch_size=8, name="finetune")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--first-steps", type=int, default=100, help="of the digital training")
    add_gpt_arguments(parser)
    args = parser.parse_args()
    text = load_text(args.data_root)
    before = pretrained(text, args)

    def task_of(adapt: Adapt) -> Task:
        return gpt_task(text, args, lambda config: adapt(deepcopy(before), config))

    tasks = {f"GPT, {part}": task_of(PARTS[part]) for part in args.parts}
    settings = {**gpt_settings(text, args), "first_steps": args.first_steps}
    side_by_side("finetune", tasks, args, settings)


if __name__ == "__main__":
    main()
