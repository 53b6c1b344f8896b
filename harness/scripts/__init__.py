"""A training script read without running it: its knobs, its local files, its constants; and our own as one file."""
