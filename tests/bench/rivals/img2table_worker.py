"""img2table behind JSON lines: runs in the rival's own environment, one picture a line, CPU time around the extraction alone."""

import json
import os
import sys
import time
from importlib.metadata import version

answers = os.fdopen(os.dup(1), "w", encoding="utf8")
os.dup2(2, 1)                                   # whatever the library prints must not land among the answers


def content_of(table):
    """Rows of boxes: a merged cell repeats its box over every grid place it covers."""
    return [[[cell.bbox.x1, cell.bbox.y1, cell.bbox.x2, cell.bbox.y2] for cell in row] for row in table.content.values()]


def extract(path, borderless):
    from img2table.document import Image

    document = Image(src=path)
    document.images                             # decode now: only the search for tables is timed
    begun = time.process_time()
    tables = document.extract_tables(implicit_rows=False, implicit_columns=False, borderless_tables=borderless)
    seconds = time.process_time() - begun
    return dict(seconds=seconds, tables=[content_of(table) for table in tables])


def main():
    import cv2

    cv2.setNumThreads(1)
    print(json.dumps(dict(ready=True, versions={name: version(name) for name in ("img2table", "numpy", "opencv-contrib-python")})), file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = extract(question["path"], question["borderless"])
        except Exception as error:              # one picture it cannot read is a result, not the end of the run
            answer = dict(error=f"{type(error).__name__}: {error}")
        print(json.dumps(answer), file=answers, flush=True)


main()
