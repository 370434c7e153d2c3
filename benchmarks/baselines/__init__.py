"""What a user would write instead of this package; imported by the benchmarks alone."""
