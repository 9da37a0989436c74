"""What pytest does not look into here: PyTorch is no dependency of this project."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["torch_side.py"]
