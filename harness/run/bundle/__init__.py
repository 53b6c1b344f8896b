"""A run for another machine, and back."""
