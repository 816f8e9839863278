"""What a training step costs beside hand-written PyTorch and peers; `python -m benchmarks --help`."""
