"""What the page is told of a graph is what the graph holds."""

import json

import numpy as np

from core.compiler.graph import Graph, Node, Tensor, check
from core.compiler.story import graph_story


def test_nodes_point_at_those_they_read_and_constants_are_left_out():
    tensors = {name: Tensor(name, (1, 4)) for name in ("x", "a", "b", "y")}
    nodes = (Node("Dense", ("x", "w"), ("a",), {"activation": "relu"}, ("fc", "<script>")), Node("Map", ("a", "x"), ("b",)), Node("Map", ("b", "a"), ("y",)))
    told = graph_story(check(Graph("g", ("x",), ("y",), tensors, {"w": np.zeros((4, 4), np.float32)}, nodes)), {0: "gemv 8"})
    assert [n["inputs"] for n in told["nodes"]] == [[-1], [-1, 0], [0, 1]] and told["of"] == 3
    assert told["nodes"][0] == dict(op="Dense", inputs=[-1], shape=[1, 4], origins=["fc", "<script>"], detail="weights 4 × 4, relu", variant="gemv 8")
    assert json.loads(json.dumps(told)) == told
