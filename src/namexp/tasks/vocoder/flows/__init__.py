"""Flows that synthesise: WaveFlow, NanoFlow, and what shares less or more."""
