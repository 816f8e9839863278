"""Named models as equations with small networks. Imports the face, and what is below it.

| model | equation |
| --- | --- |
| `vae` | the evidence lower bound of a variational autoencoder |
"""

from symdgm.zoo.networks import GaussianNetwork, network
from symdgm.zoo.vae import vae

__all__ = ["GaussianNetwork", "network", "vae"]
