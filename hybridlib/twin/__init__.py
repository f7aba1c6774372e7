"""The Amazon twin: real geography, stochastic weather, a hidden truth, its observations."""
