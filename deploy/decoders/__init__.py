"""The decoders that ship with Latentmill: a folder each, imported as `service.bundled_decoders`."""
