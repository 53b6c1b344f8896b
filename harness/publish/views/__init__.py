"""View models: each number of a page becomes a string here, a file a page."""
