"""A training script read without running it: its knobs, local files, constants; and ours as one file."""
