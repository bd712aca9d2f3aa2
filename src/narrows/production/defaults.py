"""What `learn` does unless told otherwise; apart from it, so that reading these imports nothing."""

EPOCHS, BATCH_SIZE, DENSITY = 10, 64, 0.04
