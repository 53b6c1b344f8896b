"""The built-in trainer: the challenge's baseline and its knobs. Start reading at `trainer.train`."""
