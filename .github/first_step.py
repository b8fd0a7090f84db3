"""One training step with the package as it is installed."""

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD

from aihwkit_dspt import ERIDEREcRamPreset

model = convert_to_analog(torch.nn.Sequential(torch.nn.Linear(4, 2)), ERIDEREcRamPreset())
model(torch.rand(8, 4)).square().mean().backward()
AnalogSGD(model.parameters(), lr=0.1).step()
print(model)
