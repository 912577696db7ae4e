"""m3ser: how was it said? Emotion in speech, from audio and text.

>>> import m3ser
>>> recogniser = m3ser.load()                                            # doctest: +SKIP
>>> recogniser.predict("clip.wav", text="I'm fine.").label               # doctest: +SKIP
'angry'
"""

__version__ = "0.1.0"
