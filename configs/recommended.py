"""What to use on posters of your own: a linear probe on pooled CLIP features, the best head of README.md's table.

    posterfusion train --table=labels.csv --images=DIR

The label set is that of the data (data.labels). Loss, learning rate and monitor are those of the linear probe in the tables;
use the tuned thresholds of the results, as 0.5 suits few labels.
"""

from posterfusion_jax.config import defaults


def get_config():
    config = defaults.get_config()
    config.model.name = "linear_probe"
    config.loss.preset = "bce"
    config.train.learning_rate = 1e-3
    config.train.monitor = "f1_macro"
    return config
