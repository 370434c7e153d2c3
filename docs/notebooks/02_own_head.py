# %% [markdown]
# # A head of your own
#
# Write a Flax module over the features of picture and words, register it, and train it like the built-in heads. More recipes:
# the page "Extending".

# %%
import os
import pathlib

import jax
import jax.numpy as jnp
from flax import linen as nn

import posterfusion_jax as pf
from posterfusion_jax.models import HeadInputs, as_tokens, masked_mean

work = pathlib.Path(os.environ.get("POSTERFUSION_NOTEBOOKS", "runs/notebooks"))
posters = {"data.posters_dir": work / "posters"}

# %% [markdown]
# ## The head
#
# It gates each modality by the other. Its field `labels` is set to the number of labels of the dataset. A classmethod
# `from_config`, which is optional, may take widths and the like from the config.


# %%
class CrossGate(nn.Module):
    labels: int
    width: int = 32

    @classmethod
    def from_config(cls, model, *, labels):
        return cls(labels=labels, width=model.dim)

    @nn.compact
    def __call__(self, inputs: HeadInputs, train: bool = False):
        image = nn.Dense(self.width)(masked_mean(*as_tokens(inputs.image, inputs.image_mask)))
        text = nn.Dense(self.width)(masked_mean(*as_tokens(inputs.text, inputs.text_mask)))
        both = jnp.concatenate([image * nn.sigmoid(text), text * nn.sigmoid(image)], axis=-1)
        return nn.Dense(self.labels)(nn.relu(both))


pf.models.register("cross_gate", CrossGate)

# %% [markdown]
# ## Train and evaluate

# %%
run = pf.resolve(pf.load_config("quickstart:tiny", {**posters, "model.name": "cross_gate"}), work / "own_head")
results = pf.pipeline.run_all(run)
low, high = results["test"]["intervals"]["metrics"]["f1_macro"]
print(f"test macro F1: {results['test']['metrics']['f1_macro']:.3f} [{low:.3f}, {high:.3f}]")

# %% [markdown]
# A run stores the head's name. In another process, register the head before `pf.load`, or name it "package.module:CrossGate" in
# the config, so that it is found by itself.

# %%
model = pf.load(run.paths.workdir)
sizes = jax.tree.map(jnp.shape, model.params["head"])
print(model.about)
print(sizes["Dense_2"])
