"""All holes, compared: with par, with the field of their day, with each other."""
