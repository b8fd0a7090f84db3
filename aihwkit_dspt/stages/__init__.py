"""The stages of a transfer and of the mixed weight, each in plain torch: its definition."""
