from __future__ import annotations

import subprocess
import sys


def test_importing_the_room_is_light() -> None:
    heavy = [
        "moonshine_voice",
        "faster_whisper",
        "ctranslate2",
        "onnxruntime",
        "tokenizers",
        "torch",
        "transformers",
        "scipy",
    ]
    code = f"import sys, m3ser.text, m3ser.text.asr; print(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
