"""What the field added to the baseline, as small parts; `trainer.features.gpt` puts them together as a configuration asks."""
