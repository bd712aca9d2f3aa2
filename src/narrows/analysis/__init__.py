"""What a store and a result show when they are looked into: figures for reports, in plain values."""
