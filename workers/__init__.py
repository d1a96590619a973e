"""What answers: engine and decoder processes, and the feeder that keeps them busy."""
