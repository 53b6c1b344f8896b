"""The referee's rules, a function each: a case in, findings out. `harness.submit.referee` calls them."""
