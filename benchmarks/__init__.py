"""What is fast, and against whom.

Cores become devices as this package is imported, because whatever of it is imported next brings
Jumanji along, which starts JAX with the devices that it has by then.
"""

from systems.training.devices import configure

configure()
