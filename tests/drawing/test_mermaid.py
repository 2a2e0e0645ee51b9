import re

from hypothesis import given

from ponder.drawing import label_lines, mermaid_chart
from ponder.thoughts import ThoughtGraph
from tests.support.thoughts import AWKWARD, family, single


def test_mermaid_has_a_shape_for_each_kind_and_marks_failures() -> None:
    assert mermaid_chart(family()).splitlines() == [
        "flowchart TD",
        '    n0(["How many?"])',
        '    n1["sample/0<br/>72"]',
        '    n2["sample/1<br/>timeout"]',
        '    n3{{"sample/0/verdict<br/>0.91 passed"}}',
        '    n4[["72"]]',
        "    n0 --> n1",
        "    n0 --> n2",
        "    n1 --> n3",
        "    n1 --> n4",
        "    n2 --> n4",
        "    classDef failed stroke-dasharray: 5 5",
        "    class n2 failed",
    ]


@given(AWKWARD, AWKWARD.filter(bool))
def test_mermaid_labels_read_back_as_they_were(label: str, id: str) -> None:
    graph, thought = single(label, id)
    head, node = mermaid_chart(graph).split("\n")
    assert head == "flowchart TD"
    match = re.fullmatch(r'    n0\["([^"]*)"\]', node)
    assert match is not None
    lines = match[1].split("<br/>")
    # Nothing of the format is left but the codes, not even a % of a directive.
    for line in lines:
        assert not re.search(r"[<>`%&{}\[\]|\\]", line)
    decoded = [re.sub(r"#(\d+);", lambda m: chr(int(m[1])), line) for line in lines]
    assert decoded == label_lines(thought)


def test_a_label_is_no_markdown() -> None:
    labels = ["1. stop", "- a - b", "*bold*", "a_b 0.91 x-y"]
    labels += ["1) see (a)", "at http://x.org"]
    charts = [mermaid_chart(single(label)[0]).splitlines()[1] for label in labels]
    drawn = [chart.partition('"')[2].rpartition('"')[0] for chart in charts]
    assert [text.rpartition("<br/>")[2] for text in drawn] == [
        "1#46; stop",
        "#45; a #45; b",
        "#42;bold#42;",
        "a#95;b 0.91 x-y",
        "1#41; see (a)",
        "at http#58;//x.org",
    ]


def test_an_empty_graph_is_an_empty_chart() -> None:
    assert mermaid_chart(ThoughtGraph()) == "flowchart TD"
