"""symdgm: a symbolic-mathematics-first language for deep generative models."""
