"""The rules of the referee, one function each: a case in, findings out. `harness.submit.referee` calls them
all.
"""
