"""Training: the loop, the optimizer, augmentation, checkpoints, devices. Knows `Task`, never a task."""
