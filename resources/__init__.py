"""Everything that touches the world: storage, landing areas, models, processes, the environment."""

import os

# Before torch loads OpenMP: waiting threads sleep instead of spinning. On two cores with a third busy process, matrix
# products with two threads ran at 17 to 21 a second spinning and at 122 to 124 sleeping (8 s each, two rounds).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
