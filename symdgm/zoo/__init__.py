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
| `m2` | images with few labels: known labels, and the sum over unknown ones |
| `vib` | a classifier through an information bottleneck |
| `iwae` | the logarithm of a mean of weights, of several draws |
| `beta_vae`, `beta_tcvae`, `factor_vae` | the bound with more weight on the divergence, or on a part |
| `info_vae`, `wae`, `adversarial_autoencoder` | codes that together have the law of the prior |
| `vq_vae` | codes from a codebook, straight through |
| `discrete_vae` | binary latent variables, under any estimator |
| `wake_sleep`, `reweighted_wake_sleep` | two players, each of whom learns from the other's draws |
| `gan`, `wgan_gp`, `lsgan` | a generator against a critic |
| `hidden_markov` | sequences with a chain of finite states, by their exact likelihood |
| `deep_markov` | sequences with a chain of latent states |
| `srnn` | the same chain on top of a recurrent network, with an inference network that smooths |
| `td_vae` | jumps from what is believed at one step to a later one |
| `vrnn` | sequences with an autoencoder of each step, given all steps before |
| `action_markov` | a chain of latent states that actions move |
| `linear_dynamics`, `kalman_vae` | linear-Gaussian chains, exactly; images of one |
| `world_model` | what is seen and earned in an environment under actions |

`network`, `critic`, `GaussianNetwork`, `Beside`, `GatedCell`, `Codebook`, `GatedTransition`, `Combiner` and
`Jump` are their networks.
"""

from symdgm.zoo.action_markov import action_markov
from symdgm.zoo.classifier import classifier
from symdgm.zoo.conditional_vae import conditional_vae
from symdgm.zoo.deep_markov import Combiner, GatedTransition, deep_markov
from symdgm.zoo.discrete_vae import discrete_vae
from symdgm.zoo.disentangling import beta_tcvae, beta_vae, factor_vae
from symdgm.zoo.flows import glow, image_real_nvp, planar_posterior, real_nvp
from symdgm.zoo.gans import gan, lsgan, wgan_gp
from symdgm.zoo.gaussian_mixture import expectation_maximisation, gaussian_mixture
from symdgm.zoo.hidden_markov import hidden_markov
from symdgm.zoo.hierarchical import hierarchical
from symdgm.zoo.iwae import iwae
from symdgm.zoo.kalman_vae import kalman_vae
from symdgm.zoo.linear_dynamics import linear_dynamics
from symdgm.zoo.m2 import m2
from symdgm.zoo.matching import adversarial_autoencoder, info_vae, wae
from symdgm.zoo.multimodal import jmvae, jmvae_poe, mvae
from symdgm.zoo.networks import Beside, GatedCell, GaussianNetwork, critic, network
from symdgm.zoo.srnn import srnn
from symdgm.zoo.td_vae import Jump, td_vae
from symdgm.zoo.vae import vae
from symdgm.zoo.vib import vib
from symdgm.zoo.vq_vae import Codebook, vq_vae
from symdgm.zoo.vrnn import vrnn
from symdgm.zoo.wake_sleep import reweighted_wake_sleep, wake_sleep
from symdgm.zoo.world_model import world_model

__all__ = [
    "Beside",
    "Codebook",
    "Combiner",
    "GatedCell",
    "GatedTransition",
    "GaussianNetwork",
    "Jump",
    "action_markov",
    "adversarial_autoencoder",
    "beta_tcvae",
    "beta_vae",
    "classifier",
    "conditional_vae",
    "critic",
    "deep_markov",
    "discrete_vae",
    "expectation_maximisation",
    "factor_vae",
    "gan",
    "gaussian_mixture",
    "glow",
    "hidden_markov",
    "hierarchical",
    "image_real_nvp",
    "info_vae",
    "iwae",
    "jmvae",
    "jmvae_poe",
    "kalman_vae",
    "linear_dynamics",
    "lsgan",
    "m2",
    "mvae",
    "network",
    "planar_posterior",
    "real_nvp",
    "reweighted_wake_sleep",
    "srnn",
    "td_vae",
    "vae",
    "vib",
    "vq_vae",
    "vrnn",
    "wae",
    "wake_sleep",
    "wgan_gp",
    "world_model",
]
