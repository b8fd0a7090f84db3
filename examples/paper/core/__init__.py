"""One small experiment core for the paper's tables and figures."""
