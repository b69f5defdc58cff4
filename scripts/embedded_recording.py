"""Write the embedded recording as input.wav and target.wav: to listen to it, or to train elsewhere.

python scripts/embedded_recording.py DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

from namexp.audio.synth import embedded_recording
from namexp.audio.wav import write_wav


def main() -> None:
    """Write both files."""
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/embedded_recording.py DIR")
    folder = Path(sys.argv[1])
    recording = embedded_recording()
    for name, part in (("input.wav", recording.input), ("target.wav", recording.target)):
        write_wav(folder / name, part.samples, part.sample_rate)
        print(folder / name)


if __name__ == "__main__":
    main()
