"""A model that answers the questions of backward and forward chaining without error.

It understands statements ``X is w`` and ``X is not w``, and rules ``If A and B, then
C``; nothing else.
"""

import json
import re

from ponder import Capabilities, Completion, Request, ScriptedModel
from tests.support.places import spread

ABLE = Capabilities(n=True, seed=True, logprobs=True, prefill=True, output_schema=True)


def plain(statement: str) -> str:
    return statement.strip().rstrip(".").replace(" is not ", " is ")


def denied(statement: str) -> bool:
    return " is not " in statement


def rule(text: str) -> tuple[list[str], str]:
    """Return conditions and conclusion."""
    match = re.fullmatch(r"If (.+), then (.+?)\.?", text.strip())
    assert match, text
    return match[1].split(" and "), match[2]


def lines(prompt: str, after: str) -> list[str]:
    """Return the numbered lines below a heading."""
    block = prompt.split(after, 1)[1].lstrip("\n").split("\n\n")[0]
    return [re.sub(r"^\d+\. ", "", line) for line in block.splitlines()]


def after(prompt: str, label: str) -> str:
    match = re.search(rf"^{label}: (.+)$", prompt, re.MULTILINE)
    assert match, prompt
    return match[1]


def said(prompt: str) -> str | Completion:
    if prompt.startswith("Facts:"):
        goal, facts = after(prompt, "Statement"), lines(prompt, "Facts:")
        same = [i for i, f in enumerate(facts, 1) if plain(f) == plain(goal)]
        return json.dumps({"fact": same[0] if same else 0})
    if prompt.startswith("Fact:"):
        fact, goal = after(prompt, "Fact"), after(prompt, "Statement")
        if plain(fact) != plain(goal):
            return word("Neither")
        return word("True" if denied(fact) == denied(goal) else "False")
    if "What the rules conclude" in prompt:
        goal = after(prompt, "Statement")
        ends = lines(prompt, "What the rules conclude:")
        fit = [i for i, end in enumerate(ends, 1) if plain(end) == plain(goal)]
        return json.dumps({"rules": fit})
    if "Someone wants to use the rule" in prompt:
        return json.dumps({"conditions": rule(after(prompt, "Rule"))[0]})
    if "conclude its opposite" in prompt:
        end, goal = rule(after(prompt, "Rule"))[1], after(prompt, "Statement")
        return word("Yes" if denied(end) == denied(goal) else "No")
    raise AssertionError(f"The logician does not understand: {prompt}")


def kinds(prompt: str) -> str:
    """Tell facts from rules by their form, which is certain here."""
    given = lines("Known:\n" + prompt, "Known:\n")
    told = ["rule" if s.startswith("If ") else "fact" for s in given]
    return json.dumps({str(i): kind for i, kind in enumerate(told, 1)})


def rules_in(statements: list[str]) -> list[tuple[int, list[str], str]]:
    found = [(i, s) for i, s in enumerate(statements, 1) if s.startswith("If ")]
    return [(i, *rule(s)) for i, s in found]


def selected(prompt: str) -> str:
    """Select the first rule that fires and gives something new."""
    statements = lines("Known:\n" + prompt, "Known:\n")
    known = {s.rstrip("."): i for i, s in enumerate(statements, 1)}
    for number, conditions, end in rules_in(statements):
        if end not in known and all(c in known for c in conditions):
            return json.dumps({"selection": [number, *(known[c] for c in conditions)]})
    return json.dumps({"selection": [1]})


def inferred(prompt: str) -> str:
    """Infer from the selection alone."""
    statements = prompt.split("\n\n")[0].splitlines()
    known = {s.rstrip(".") for s in statements}
    for _, conditions, end in rules_in(statements):
        if all(c in known for c in conditions):
            return f"{end}."
    return statements[0]


def goal_of(question: str) -> str:
    match = re.search(r"Does it follow that (.+?)\?", question)
    assert match, question
    return match[1]


def answered(question: str) -> str:
    derived = question.rpartition("in the order of its derivation:")[2]
    follows = goal_of(question) in {x[2:].rstrip(".") for x in derived.splitlines()}
    return f"So it is \\boxed{{{'yes' if follows else 'no'}}}"


def halted(prompt: str) -> Completion:
    known = prompt.split("\n\n")[0].splitlines()[1:]
    there = goal_of(prompt) in {s.rstrip(".") for s in known}
    return word("Yes" if there else "No")


def word(text: str) -> Completion:
    others = {"Yes": "No", "No": "Yes", "True": "False", "False": "True"}
    return spread({text: -0.1, others.get(text, "True"): -2.4})


def reply(request: Request) -> str | Completion:
    prompt = request.messages[-1].content
    if "whether it is a fact or a rule" in prompt:
        return kinds(prompt)
    if "Which of the numbered statements" in prompt:
        return selected(prompt)
    if "What follows from these statements" in prompt:
        return inferred(prompt)
    if "already hold the answer" in prompt:
        return halted(prompt)
    if request.messages[0].role == "system":
        return answered(prompt)
    return said(prompt)


def logician() -> ScriptedModel:
    return ScriptedModel(
        rules=[(lambda request: True, reply)], capabilities=ABLE, name="logician"
    )
