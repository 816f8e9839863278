"""What a training step costs, against hand-written PyTorch and against peers; `python -m benchmarks --help`."""
