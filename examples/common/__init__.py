"""What the examples share: data, networks, methods and the training loop."""
