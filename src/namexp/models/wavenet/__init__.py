"""The WaveNet family: ordinary, packed and channel-slicing."""

from namexp.models.wavenet.initialization import keep_variance
from namexp.models.wavenet.packed import PackedWaveNet
from namexp.models.wavenet.slimmable import SlimmableWaveNet
from namexp.models.wavenet.wavenet import WaveNet

__all__ = ["PackedWaveNet", "SlimmableWaveNet", "WaveNet", "keep_variance"]
