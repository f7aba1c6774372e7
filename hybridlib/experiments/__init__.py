"""Many runs: the matrix, its results, several basins with one network."""
