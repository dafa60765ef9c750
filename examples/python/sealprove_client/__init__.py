"""A sealprove client, to copy. `client.Client` is where to begin; `../prove.py` uses all of it."""
