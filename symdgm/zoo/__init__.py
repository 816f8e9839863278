"""Named models as equations with small networks. Imports the face, and what is below it.

| model | equation |
| --- | --- |
| `vae` | the evidence lower bound of a variational autoencoder |
| `conditional_vae` | the same of images whose label is known |
| `hierarchical` | two layers of latent variables |
| `jmvae`, `jmvae_poe`, `mvae` | images and labels from one latent variable, with encoders for each alone |
| `gaussian_mixture` | the likelihood of a mixture, for `expectation_maximisation` or by gradient |
| `real_nvp`, `image_real_nvp`, `glow` | the likelihood of a flow |
| `planar_posterior` | a flow that is fitted to an unnormalised density |
| `classifier` | the likelihood of labels |

`network`, `GaussianNetwork` and `Beside` are their networks.
"""

from symdgm.zoo.classifier import classifier
from symdgm.zoo.conditional_vae import conditional_vae
from symdgm.zoo.flows import glow, image_real_nvp, planar_posterior, real_nvp
from symdgm.zoo.gaussian_mixture import expectation_maximisation, gaussian_mixture
from symdgm.zoo.hierarchical import hierarchical
from symdgm.zoo.multimodal import jmvae, jmvae_poe, mvae
from symdgm.zoo.networks import Beside, GaussianNetwork, network
from symdgm.zoo.vae import vae

__all__ = [
    "Beside",
    "GaussianNetwork",
    "classifier",
    "conditional_vae",
    "expectation_maximisation",
    "gaussian_mixture",
    "glow",
    "hierarchical",
    "image_real_nvp",
    "jmvae",
    "jmvae_poe",
    "mvae",
    "network",
    "planar_posterior",
    "real_nvp",
    "vae",
]
