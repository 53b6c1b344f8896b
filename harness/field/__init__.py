"""Other people's logs and records: how they are read, and the entries of the season made of them."""
