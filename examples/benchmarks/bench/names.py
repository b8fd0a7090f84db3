"""Names of what is compared, without importing any of it."""

BASELINE = "C++ AGAD"
CHOPPED = "C++ ChoppedTransfer, gamma=0.1"
TORCH_TRANSFER = "TorchTransferTile"
SGD = "analog SGD, one device"
OURS = "E-RIDER, gamma=0.1"
OURS_WITHOUT_GAMMA = "E-RIDER, gamma=0"

COMPETITORS = (BASELINE, CHOPPED, TORCH_TRANSFER, SGD, OURS, OURS_WITHOUT_GAMMA)

MAY_REFUSE = (CHOPPED, TORCH_TRANSFER)
"""Those of which aihwkit says that they support only a part of its settings and layers."""
