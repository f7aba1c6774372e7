"""What learns: schemes, their networks, the loss, and the training of a run."""
