"""Load tests of Headwater, each beside its peers in the same run. See `python -m benchmarks --help`."""
