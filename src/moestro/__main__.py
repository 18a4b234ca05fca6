"""python -m moestro"""

from .cli import main

main()
