"""Run the peer's simplified trainer, which is what its GUI and its notebook do, on any recording.

python -m benchmarking.peer_simplified INPUT TARGET FOLDER EPOCHS
"""

from __future__ import annotations

import sys
from typing import Any

from nam.train import core
from nam.train._version import Version


def main() -> None:
    """Train and export with the GUI's defaults, but without windows."""
    input_path, target_path, folder, epochs = sys.argv[1:]
    accept_any_recording()
    output = core.train(
        input_path,
        target_path,
        folder,
        epochs=int(epochs),
        latency=0,
        save_plot=True,
        silent=True,
        ignore_checks=True,
        local=True,
    )
    assert output is not None
    assert output.model is not None
    output.model.net.export(folder)


def accept_any_recording() -> None:
    """Have every input taken for the peer's own.

    It refuses inputs that it does not know by their checksum. Of its own one, version 3, it leaves
    out the first 10 s, validates on the last 9 s, and checks that silence precedes either cut.
    """
    version, own_config = Version(3, 0, 0), core._get_data_config

    def data_config(**arguments: Any) -> dict[str, Any]:
        config = own_config(**arguments)
        config["common"]["require_input_pre_silence"] = None
        return config

    core._detect_input_version = lambda path: (version, True)
    core._get_data_config = data_config


if __name__ == "__main__":
    main()
