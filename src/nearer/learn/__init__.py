"""From judgments to a model: examples, hard negatives, the loss, training, and a lint for settings that cannot work."""
