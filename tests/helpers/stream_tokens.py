"""Trains on a store of tokens, or loads it all, and prints how far its memory grew; a program of its own for test_streaming.

`python stream_tokens.py stream|load STORE`. Anonymous memory (RssAnon) is what a program holds; pages of memory-mapped files
are left out, because the system drops them when it needs the room.
"""

import dataclasses
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import jax
import numpy as np
from small_training import TRAIN

from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.input_pipeline.sources import BatchSource, stored_loader
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.train.epoch_runner import Epoch, StreamingEpochRunner
from posterfusion_jax.train.step import init_state
from posterfusion_jax.train.trainer import Trainer
from posterfusion_jax.utils.checksums import read_checked_json

BATCH = 32


def first_rows(store, count):
    """The first rows of a store, with labels that mean nothing."""
    ids = store.poster_ids[:count]
    return BatchSource(ids, ids, np.zeros((count, 13), np.uint8), stored_loader(store, ids, encode_empty=False))


def anonymous_bytes():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def grown_by(do):
    """How many bytes anonymous memory grew while `do` ran, at most."""
    start = peak = anonymous_bytes()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    kept = do()
    done.set()
    watcher.join()
    del kept
    return peak - start


def main(how, folder):
    folder = pathlib.Path(folder)
    ids, passport = json.loads((folder / "poster_ids.json").read_text()), read_checked_json(folder / "passport.json", fix="")
    store = FeatureStore(folder, passport, ids)
    width = store.widths[0]
    head = PosterFusion(labels=13, dim=16, heads=2, smsam_layers=1, ffn=(8,))
    classifier = on_features(head, image_width=width, text_width=width, level="tokens")
    options = dataclasses.replace(TRAIN, batch_size=BATCH, max_epochs=1, loader_threads=2)

    def epoch(rows):
        source = first_rows(store, rows)
        trainer = Trainer(classifier, make_loss("asl"), source, source, options)
        state = trainer.parallel.replicate(init_state(classifier, trainer.optimizer, seed=0))
        _, losses = StreamingEpochRunner(trainer, 0)(state, Epoch(1))
        assert np.isfinite(losses).all()
        assert len(losses) == -(-rows // BATCH)

    epoch(2 * BATCH)  # what every training needs whatever the size of its data: compiled programs, buffers, threads
    everything = first_rows(store, len(store))
    work = {"stream": lambda: epoch(len(store)), "load": lambda: jax.device_put(everything.load(np.arange(len(store))))}
    print(json.dumps({"grown": grown_by(work[how])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
