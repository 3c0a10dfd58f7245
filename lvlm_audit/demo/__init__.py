"""The demo model: drawn scenes with known truth, the adapter trained on them, and its assembly.

`scenes`, `drawing`, `questions` and `probes` need NumPy and Pillow only; `assemble.demo_folder`
needs neither. torch is imported by training, assembly and evaluation alone.
"""
