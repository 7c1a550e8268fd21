"""Make teds.json: scores by the official TEDS of PubTabNet (src/metric.py, IBM, Apache-2.0: its costs and tokeniser as they stand) with APTED 1.0.3 and lxml.

Run by hand in an environment with `apted==1.0.3 lxml==6.1.3 Distance==0.1.3`:  python tests/golden/make_teds.py DATA/tables tests/golden/teds.json
"""

import gzip
import json
import random
import sys

import distance
from apted import APTED, Config
from apted.helpers import Tree
from lxml import html

ABOUT = ("Scores by the official TEDS code with APTED 1.0.3, made by make_teds.py. Texts: tables of English Wikipedia by way of WikiTableQuestions, CC BY-SA 4.0 "
         "(origin 'wikitables ...'), some spoiled at random; and PubTabNet annotations, CDLA-Permissive-1.0 (origin 'pubtabnet ...').")


class TableTree(Tree):
    def __init__(self, tag, colspan=None, rowspan=None, content=None):
        self.tag, self.colspan, self.rowspan, self.content, self.children = tag, colspan, rowspan, content, []


class Costs(Config):
    def rename(self, node1, node2):
        if node1.tag != node2.tag or node1.colspan != node2.colspan or node1.rowspan != node2.rowspan:
            return 1.0
        if node1.tag == "td" and (node1.content or node2.content):
            return float(distance.levenshtein(node1.content, node2.content)) / max(len(node1.content), len(node2.content))
        return 0.0


def tokenize(node, tokens):
    tokens.append(f"<{node.tag}>")
    tokens += list(node.text or "")
    for child in node.getchildren():
        tokenize(child, tokens)
    if node.tag != "unk":
        tokens.append(f"</{node.tag}>")
    if node.tag != "td":
        tokens += list(node.tail or "")
    return tokens


def load_tree(node, structure_only):
    if node.tag == "td":
        content = [] if structure_only else tokenize(node, [])[1:-1]
        return TableTree("td", int(node.attrib.get("colspan", "1")), int(node.attrib.get("rowspan", "1")), content)
    tree = TableTree(node.tag)
    tree.children = [load_tree(child, structure_only) for child in node.getchildren()]
    return tree


def official_teds(pred, true, structure_only=False):
    parser = html.HTMLParser(remove_comments=True, encoding="utf-8")
    pages = [html.fromstring(text.encode("utf8"), parser=parser).xpath("body/table") for text in (pred, true)]
    if not all(pages):
        return 0.0
    tables = [page[0] for page in pages]
    nodes = max(len(table.xpath(".//*")) for table in tables)
    return 1.0 - float(APTED(*(load_tree(table, structure_only) for table in tables), Costs()).compute_edit_distance()) / nodes


def escape(text):
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def grid_of(record, rows, rng):
    """Rows of [text, attributes], cut to the first rows; some texts set in bold."""
    grid = [[] for _ in range(rows)]
    for cell in record["cells"]:
        if cell["row"] < rows:
            height = min(cell["rs"], rows - cell["row"])
            attributes = (f' rowspan="{height}"' if height > 1 else "") + (f' colspan="{cell["cs"]}"' if cell["cs"] > 1 else "")
            text = escape(cell["text"])
            grid[cell["row"]].append([f"<b>{text}</b>" if text and rng.random() < 0.1 else text, attributes])
    return grid


def spoil(grid, rng):
    """One to five faults: a row lost or doubled, a cell lost, added, misread or widened."""
    grid = [[list(cell) for cell in row] for row in grid]
    for _ in range(rng.randint(1, 5)):
        fault, r = rng.randrange(6), rng.randrange(len(grid))
        if fault == 0 and len(grid) > 1:
            grid.pop(r)
        elif fault == 1:
            grid.insert(r, [list(cell) for cell in grid[r]])
        elif fault == 2 and grid[r]:
            grid[r].pop(rng.randrange(len(grid[r])))
        elif fault == 3:
            grid[r].insert(rng.randint(0, len(grid[r])), ["new", ""])
        elif fault == 4 and grid[r]:
            cell = rng.choice(grid[r])
            cell[0] = "x" + cell[0][1:] if cell[0] and not set("<&") & set(cell[0]) else "abc"
        elif fault == 5 and grid[r]:
            rng.choice(grid[r])[1] = ' colspan="2"'
    return grid


def render(grid, head):
    rows = ["<tr>" + "".join(f"<td{attributes}>{text}</td>" for text, attributes in row) + "</tr>" for row in grid]
    inner = f"<thead>{''.join(rows[:head])}</thead><tbody>{''.join(rows[head:])}</tbody>" if head else "".join(rows)
    return f"<html><body><table>{inner}</table></body></html>"


def wiki_pairs(folder, rng):
    with gzip.open(f"{folder}/wikitables.jsonl.gz", "rt", encoding="utf8") as lines:
        records = [r for r in map(json.loads, lines) if r["complete"] and r["n_cols"] <= 9 and r["n_rows"] >= 4]
    rng.shuffle(records)
    for k, record in enumerate(records[:44]):
        grid = grid_of(record, min(record["n_rows"], rng.randint(3, 8)), rng)
        head = rng.choice([0, 0, 1])
        other = grid_of(records[100 + k], 4, rng) if k % 11 == 0 else spoil(grid, rng)
        yield f"wikitables {record['id']}", render(other, rng.choice([head, 0, 1])), render(grid, head)


def pubtabnet_pairs(folder):
    with open(f"{folder}/pubtabnet/cells.jsonl", encoding="utf8") as lines:
        records = [r for r in map(json.loads, lines) if len(r["html"]) < 4000][:9]
    for one, other in zip(records, records[1:]):
        yield f"pubtabnet {one['id']} / {other['id']}", *(text if "<body" in text else f"<html><body>{text}</body></html>" for text in (one["html"], other["html"]))


def main(folder, target):
    pairs = [*wiki_pairs(folder, random.Random(1)), *pubtabnet_pairs(folder)]
    rows = [dict(origin=origin, pred=pred, true=true, teds=official_teds(pred, true), teds_struct=official_teds(pred, true, True)) for origin, pred, true in pairs]
    with open(target, "w", encoding="utf8") as out:
        json.dump(dict(about=ABOUT, pairs=rows), out, ensure_ascii=False, indent=0)
        out.write("\n")
    print(f"{len(rows)} pairs, TEDS {min(r['teds'] for r in rows):.3f} to {max(r['teds'] for r in rows):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
