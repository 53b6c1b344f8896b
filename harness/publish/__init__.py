"""The site: from the holes of a season to pages. `build` tells the story; nothing here knows the command line."""
