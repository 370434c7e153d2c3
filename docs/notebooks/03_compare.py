# %% [markdown]
# # Compare two models
#
# Train two heads on the same posters, and test whether their difference is more than chance: the same films are
# resampled for both.

# %%
import os
import pathlib

import numpy as np

import posterfusion_jax as pf

work = pathlib.Path(os.environ.get("POSTERFUSION_NOTEBOOKS", "runs/notebooks"))
posters = {"data.posters_dir": work / "posters"}

# %%
runs = {}
for name in ("fusion", "image_only"):
    config = pf.load_config("quickstart:tiny", {**posters, "model.name": name})
    runs[name] = pf.resolve(config, work / f"compare_{name}")
    pf.pipeline.run_all(runs[name])

# %% [markdown]
# ## Metrics with their intervals

# %%
results = {name: pf.pipeline.evaluate(run)["test"] for name, run in runs.items()}  # found, nothing is computed again
for name, result in results.items():
    low, high = result["intervals"]["metrics"]["f1_macro"]
    print(f"{name:<12} macro F1 {result['metrics']['f1_macro']:.3f} [{low:.3f}, {high:.3f}]")

# %% [markdown]
# ## Paired difference
#
# Scores and labels are beside the results. The interval of the difference is narrower than the two intervals suggest, because
# both models are tested on the same films.

# %%
arrays = {name: np.load(run.paths.results / "test_scores.npz") for name, run in runs.items()}
a, b = arrays["fusion"], arrays["image_only"]
difference = pf.metrics.paired_difference(
    a["scores"], b["scores"], a["labels"], [str(film) for film in a["film_ids"]], resamples=1000, seed=0
)["mean_average_precision"]
print(f"mAP: {difference.difference:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}], p = {difference.p_value:.3f}")

# %% [markdown]
# ## A metric of your own

# %%


def one_error(scores, labels):
    return float(1 - labels[np.arange(len(labels)), scores.argmax(axis=1)].mean())


pf.metrics.register("one_error", one_error)
config = pf.load_config("quickstart:tiny", {**posters, "model.name": "fusion", "evaluate.metrics": ("one_error",)})
again = pf.pipeline.evaluate(pf.resolve(config, runs["fusion"].paths.workdir))["test"]
print(again["metrics"]["one_error"], again["intervals"]["metrics"]["one_error"])
