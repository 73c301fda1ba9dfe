"""What bench_bus measures: our daemon, and others that promise the same, under the same load."""
