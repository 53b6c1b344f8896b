"""From a command to a record: plan, play, capture, result. Knows nothing of pages."""
