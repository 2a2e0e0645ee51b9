"""Ways to tell whether an answer is right, shared by benchmarks."""
