"""What lies in a hole's folder: names, intent, notes, attempts, records, curves, decisions.

Knows no course and no comparison.
"""
