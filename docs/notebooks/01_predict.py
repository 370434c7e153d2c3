# %% [markdown]
# # Predict genres
#
# Draw posters, train a model on them, and predict from Python. Nothing is downloaded. **A model that was trained on drawn
# posters is of no use on real posters**; for those, train on your own with the config `paper`.

# %%
import os
import pathlib

from PIL import Image

import posterfusion_jax as pf

work = pathlib.Path(os.environ.get("POSTERFUSION_NOTEBOOKS", "runs/notebooks"))
posters = {"data.posters_dir": work / "posters"}

# %% [markdown]
# ## Train
#
# `run_all` runs every stage that is missing: draw, read the words, build the dataset, encode, train, evaluate, report. Run the
# cell again, and it finds everything done.

# %%
run = pf.resolve(pf.load_config("quickstart:tiny", {**posters, "features.level": "tokens"}), work / "predict")
results = pf.pipeline.run_all(run)
print(f"test macro F1: {results['test']['metrics']['f1_macro']:.3f}")

# %% [markdown]
# ## Predict
#
# The model stays in memory. Images are files, PIL images or arrays; their words are read by OCR unless you give them.

# %%
model = pf.load(run.paths.workdir)
print(model.about)

files = sorted((run.paths.posters / "images").glob("*.jpg"))[:3]
for prediction in model.predict(files):
    print(prediction.file, prediction.genres, repr(prediction.text))

# %%
prediction = model.predict(Image.open(files[0]), texts="THE HAUNTED HOUSE", threshold="tuned_per_genre")[0]
best = max(prediction.probabilities, key=prediction.probabilities.get)
print(best, f"{prediction.probabilities[best]:.2f}")

# %% [markdown]
# A file that cannot be used has an error in its place, and the others are predicted.

# %%
for prediction in model.predict(["missing.jpg", files[0]], texts=["", ""]):
    print(prediction.file, prediction.error or prediction.genres)

# %% [markdown]
# ## Features and attention
#
# `embed` gives pooled features, and `attention` how the words' attention is spread over the picture's patches.

# %%
features = model.embed(files, texts=["", "ONE", "TWO"])
print({name: values.shape for name, values in features.items()})
print(model.attention(files, texts=["", "ONE", "TWO"]).shape)
