"""The words on pages: copy, voices, and what a hole's facts let them say."""
