"""What the OpenAPI description says of bodies and answers; its examples are real answers, which a test holds."""

from __future__ import annotations

from typing import Any

from m3ser.serving.bodies import LONGEST_TEXT
from m3ser.serving.problems import MEDIA_TYPE

__all__ = ["BATCH", "EMOTIONS", "PREDICTION_EXAMPLE", "PROBLEM_EXAMPLE"]

PREDICTION_EXAMPLE: dict[str, Any] = {
    "file": "1001_DFA_ANG_XX.wav",
    "duration": 2.273,
    "label": "angry",
    "scores": {"angry": 0.92529, "happy": 0.055638, "sad": 0.005304, "neutral": 0.013768},
    "text": "Don't forget a jacket.",
    "text_source": "given",
    "model": "starter@5",
    "segments": [],
}
"""The answer to that clip with that text."""

PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": "urn:m3ser:problem:audio-unreadable",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "notes.wav is not audio (it begins with b'hello'); "
    "expected WAV, FLAC, Ogg, MP3, AIFF, M4A, WebM or the like.",
    "request_id": "example",
}
"""The answer to a file notes.wav that holds "hello", asked for under that X-Request-ID."""

_STRING, _NUMBER = {"type": "string"}, {"type": "number"}
_NULLABLE_STRING = {"type": ["string", "null"]}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SCORES = {
    "type": "object",
    "additionalProperties": _SHARE,
    "description": "Calibrated probability of each class; they sum to 1.",
}
_DIMENSIONS = {
    "valence": {**_SHARE, "description": "Probability of a positive class; of models with all seven basic classes."},
    "arousal": {**_SHARE, "description": "Probability of a class of high arousal; of such models."},
}
_SEGMENT = {
    "type": "object",
    "required": ["start", "end", "text", "label", "scores"],
    "properties": {
        "start": _NUMBER,
        "end": _NUMBER,
        "text": _NULLABLE_STRING,
        "label": _STRING,
        "scores": _SCORES,
        **_DIMENSIONS,
        "note": _STRING,
    },
}
_PREDICTION = {
    "type": "object",
    "required": list(PREDICTION_EXAMPLE),
    "properties": {
        "file": {**_NULLABLE_STRING, "description": "As the client named it, without folders."},
        "duration": {"type": ["number", "null"], "description": "Seconds; null where there was no sound."},
        "label": {**_NULLABLE_STRING, "description": "The most probable class; null where nobody speaks."},
        "scores": _SCORES,
        **_DIMENSIONS,
        "text": _NULLABLE_STRING,
        "text_source": {"type": "string", "enum": ["given", "transcribed", "none"]},
        "model": _STRING,
        "segments": {"type": "array", "items": _SEGMENT, "description": "Of a timeline; else empty."},
        "language": {**_STRING, "description": "Where it was given, or the words are in one that is not read."},
        "note": {**_STRING, "description": "Why words were not used, or nothing was learnt of the recording."},
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {**_STRING, "description": "urn:m3ser:problem: and the cause."},
        "title": _STRING,
        "status": {"type": "integer"},
        "detail": {**_STRING, "description": "One sentence."},
        "request_id": _STRING,
        "file": {**_STRING, "description": "In a batch: the recording that it is about."},
    },
}
_FLAGS = {
    "transcribe": {
        "type": "boolean",
        "description": "Whether words are transcribed where none are given. Left out: they are, where the service can.",
    },
    "language": {"type": "string", "description": "Of the words, as a BCP 47 code.", "examples": ["en"]},
    "profile": {
        "type": "string",
        "description": "How who speaks usually sounds: the name of one of the `profiles` of GET /v1/models.",
        "examples": ["anna"],
    },
}
_OVER_TIME = {
    "timeline": {"type": "boolean", "default": False, "description": "Emotions over time, in `segments`."},
    "adapt": {
        "type": "boolean",
        "default": False,
        "description": "With `timeline`, without `profile`: how it usually sounds is learnt from the recording first.",
    },
    "neutral": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "With `adapt`: how many of its utterances are neutral, about. Left out: all emotions evenly.",
        "examples": [0.7],
    },
    "channels": {
        "type": "string",
        "enum": ["mix", "split"],
        "default": "mix",
        "description": "With `timeline`: split keeps the two channels of a call apart; utterances say theirs.",
    },
}
_TEXT = {"type": "string", "maxLength": LONGEST_TEXT, "description": "What is said."}
_FILE = {"type": "string", "format": "binary", "description": "WAV, FLAC, Ogg, MP3, AIFF, M4A, WebM or the like."}
_NAME = {"type": "string", "description": "What the answer is to call the recording."}


def _form(file: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"schema": {"type": "object", "properties": {"file": file, **others, **_FLAGS}}}


def _answers(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    problem = {"content": {MEDIA_TYPE: {"schema": _PROBLEM, "example": PROBLEM_EXAMPLE}}}
    later = {**problem, "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}}
    meanings = {
        "400": "The request contradicts itself or cannot be read.",
        "401": "An API key is missing or wrong.",
        "408": "The body did not arrive in time.",
        "413": "The body, the recording or the text is too long.",
        "415": "A content type, or a format of sound, that is not taken.",
        "422": "The recording or the text cannot be used.",
        "500": "Something went wrong in the service.",
        "504": "The answer took too long.",
    }
    return {
        "200": {
            "description": "The answer.",
            "content": {"application/json": {"schema": schema, "example": example}},
        },
        **{status: {**problem, "description": meaning} for status, meaning in meanings.items()},
        "503": {**later, "description": "The service is busy."},
    }


EMOTIONS: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "schema": schema, "description": "With a body of audio/* alone."}
        for name, schema in {"name": _NAME, "text": _TEXT, **_FLAGS, **_OVER_TIME}.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _form(_FILE, text=_TEXT, **_OVER_TIME),
            "audio/*": {"schema": _FILE},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": _TEXT, "language": _FLAGS["language"]},
                    "additionalProperties": False,
                },
                "example": {"text": "I am so happy."},
            },
        },
    },
    "responses": _answers(_PREDICTION, PREDICTION_EXAMPLE),
}
"""Of POST /v1/emotions."""

BATCH: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _form(
                {"type": "array", "items": _FILE},
                text={"type": "array", "items": _TEXT, "description": "None, or one for each file, in their order."},
            )
        },
    },
    "responses": _answers(
        {
            "type": "object",
            "required": ["results"],
            "properties": {"results": {"type": "array", "items": {"anyOf": [_PREDICTION, _PROBLEM]}}},
        },
        {"results": [PREDICTION_EXAMPLE, PROBLEM_EXAMPLE | {"file": "notes.wav"}]},
    ),
}
"""Of POST /v1/emotions:batch."""
