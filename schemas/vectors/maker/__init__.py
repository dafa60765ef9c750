"""What `make.py` makes the testkit with: a second implementation of docs/PROTOCOL.md, which can also do it wrong."""
