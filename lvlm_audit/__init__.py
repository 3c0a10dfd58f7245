"""pytest for the inside of a vision-language model.

The public names are resolved on first use (PEP 562), so that importing the package costs nothing:
no torch, no NumPy.
"""

from __future__ import annotations

__version__ = "0.1.0"
