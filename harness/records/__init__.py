"""What lies in a hole's folder: names, intent, notes, attempts, records, curves and decisions. Knows no course and no comparison."""
