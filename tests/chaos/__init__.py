"""A whole fleet hurt at random while clients use it: `python -m tests.chaos`, or `make chaos`."""
