"""What a store and a result say, worked out from their files: no terminal, no pictures, nothing is changed.

Each figure is a frozen dataclass of plain values whose docstring names the file and key it comes from. What is not
there gives None or nothing, and never an error; damage does.
"""
