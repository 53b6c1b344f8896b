"""A running attempt, seen from outside."""
