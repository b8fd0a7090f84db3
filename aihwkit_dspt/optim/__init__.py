"""What torch's training tools see of analog arrays: gradients, optimizers, averages, states."""
