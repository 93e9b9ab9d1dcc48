"""Training: the loop, the optimizer, augmentation, checkpoints, devices. Knows `Task`, never a task."""

import os

# Threads that wait for each other sleep instead of spinning, unless the user says otherwise: as soon as another program
# runs on the same cores, a spinning thread burns the time that the awaited one needs. Read once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
