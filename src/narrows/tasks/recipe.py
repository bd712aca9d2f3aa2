"""What `adopt` does unless told otherwise; apart from it, so that reading these imports nothing."""

DENSITY, EPOCHS, LEARNING_RATE = 0.1, 8, 3e-3
