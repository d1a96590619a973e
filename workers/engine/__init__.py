"""The engine: a process of its own that owns the OpenVINO pipeline.

`step()` and `add_request()` hold Python's GIL as long as they run (openvino-genai 2026.4), so inside a
worker's process they would stop everything else; a process also contains a driver's crash or hang.
"""
