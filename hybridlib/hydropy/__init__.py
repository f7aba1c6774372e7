"""HydroPy 1.0, written once, in TensorFlow: parameters, processes, routing and one day."""
