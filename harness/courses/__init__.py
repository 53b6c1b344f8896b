"""What is being predicted: courses, their shards, and how their data is fetched or prepared."""
