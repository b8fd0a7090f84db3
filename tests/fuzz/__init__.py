"""Random configurations, and what users do with them; see ``python -m tests.fuzz.run --help``."""
