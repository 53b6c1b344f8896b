"""What is wrong with a machine, its data, the season or a plan, before it costs anything."""
