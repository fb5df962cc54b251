"""Print the reference page of the data model."""

import sys

from rawdata.datamodel import render

if __name__ == "__main__":
    sys.stdout.write(render())
