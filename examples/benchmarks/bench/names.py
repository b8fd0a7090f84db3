"""Names of what is compared, without importing any of it."""

BASELINE = "C++ AGAD"
OURS = "E-RIDER, gamma=0.1"
