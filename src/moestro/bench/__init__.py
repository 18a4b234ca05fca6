"""Benchmarks: medians and ratios within one run, against the machine's own floor."""
