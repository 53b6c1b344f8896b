"""The site: from the holes of a season to pages. Begin with `build`; nothing here knows the command line."""
