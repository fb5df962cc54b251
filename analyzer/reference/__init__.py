"""What the kernels do, said in plain NumPy: slow, easy to read, and the oracle of their tests."""
