"""Adapters on disk: saved in one deterministic order of parameters, loaded strictly, with digests and a probe."""

from tasks.adapter.adapter import Adapter, base_fingerprint, read_adapter, save_adapter, write_weights
from tasks.adapter.adapter_manifest import AdapterManifest, read_adapter_manifest
from tasks.adapter.checksums import base_checksums
from tasks.adapter.load import load_adapter
from tasks.adapter.probe import Probe, read_probe, record_probe
from tasks.lora.attach import adapter_parameters

__all__ = [
    "Adapter",
    "AdapterManifest",
    "Probe",
    "adapter_parameters",
    "base_checksums",
    "base_fingerprint",
    "load_adapter",
    "read_adapter",
    "read_adapter_manifest",
    "read_probe",
    "record_probe",
    "save_adapter",
    "write_weights",
]
