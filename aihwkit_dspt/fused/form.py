"""What all fused forms have: a name and a kind of device."""

from __future__ import annotations

from torch import device as torch_device

from aihwkit_dspt.fused.gpu.support import gpu_kernels


class FusedForm:
    """An optimisation that equals the plain stages or the plain product that it names."""

    NAME: str
    """The name by which a tile tells that this is used."""

    DEVICE: str
    """Type of the devices on which it works: ``"cpu"`` by Numba, ``"cuda"`` by Triton."""

    @classmethod
    def works_on(cls, device: torch_device) -> bool:
        """Return whether it works on a device of this machine."""
        return device.type == cls.DEVICE and (device.type == "cpu" or gpu_kernels() is not None)
