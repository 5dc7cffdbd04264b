"""The process that draws: Vega-Lite specifications as JSON lines in, SVG as JSON lines out, until standard input ends.

Started as a file by ``drawing``, hence without any import of the package: what it loads is the renderer alone.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    import vl_convert

    for line in sys.stdin:
        try:
            told = {"svg": vl_convert.vegalite_to_svg(json.loads(line))}
        except Exception as error:  # whatever the renderer finds wrong with one chart
            told = {"error": " ".join(str(error).split())[:300] or type(error).__name__}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
