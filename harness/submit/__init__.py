"""A hole or a folder before the referee, and as the folder that is handed in."""
