"""From a trained model to a bundle: graphs, how their weights are stored, whole-number arithmetic, what it changed."""

from m3ser.training.exporting.graphs import export_audio_encoder, export_fusion, export_text_encoder
from m3ser.training.exporting.storage import store_as_fp16, store_as_int8

__all__ = ["export_audio_encoder", "export_fusion", "export_text_encoder", "store_as_fp16", "store_as_int8"]
