"""How far apart two answers of the bundled model to one question may be."""

ROUNDING = 0.03
"""Of a probability. The model rounds to int8: where the last digit of float32 differs (in a batch of another shape, on
another processor), a number may be rounded the other way. On one machine answers are mostly equal; noise of 2e-7 in a
recording was seen to change them by 0.015 at most. Different recordings are further apart.
"""
