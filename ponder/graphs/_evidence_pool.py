"""The two kinds of evidence of RetroRAG: keeping, checking and taking back."""

import re
from collections.abc import Mapping, Sequence

from ponder.agents.attribution import attribute
from ponder.agents.evidence_judge import relevance
from ponder.agents.inference_writer import Inference, same_statement
from ponder.context import RunContext
from ponder.passages import Citation, Passage
from ponder.result import Candidate, Task
from ponder.thoughts import Thought

_MARK = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def knowing(task: Task, inferences: Sequence[Inference]) -> Task:
    """Return a task whose question tells what is known so far.

    A passage about the second step of a question is relevant only to who knows what
    came out of the first.
    """
    if not inferences:
        return task
    known = "\n".join(f"- {inference.statement}" for inference in inferences)
    question = f"{task.question}\nKnown so far:\n{known}"
    return task.model_copy(update={"question": question})


def collated(
    pool: Sequence[Passage],
    chances: Mapping[str, float | None],
    k: int,
    theta: float,
) -> list[Passage]:
    """Return the passages to hold, the most relevant first.

    Args:
        pool: Passages held and found.
        chances: P(relevant) by id; ``None`` where it is not known.
        k: Most that are held.
        theta: Below it a passage is dropped; if that holds for all, the best one stays.

    Returns:
        At most k. Those of unknown relevance come behind those that are relevant.
    """
    known = [p for p in pool if chances.get(p.id) is not None]
    ranked = sorted(known, key=lambda p: -(chances[p.id] or 0.0))
    relevant = [p for p in ranked if (chances[p.id] or 0.0) >= theta]
    unknown = [p for p in pool if chances.get(p.id) is None]
    return [*relevant, *unknown][:k] or ranked[:1]


def rooted(
    inferences: Sequence[Inference], sources: Sequence[Passage]
) -> list[Inference]:
    """Return the conclusions of which all passages are among the sources."""
    ids = {passage.id for passage in sources}
    return [
        one
        for one in inferences
        if one.sources and all(passage.id in ids for passage in one.sources)
    ]


async def attributed(
    drawn: Sequence[Inference],
    held: Sequence[Inference],
    theta: float,
    context: RunContext,
) -> list[Inference]:
    """Return the conclusions that the passages they were drawn from support.

    One held before, with the same passages, keeps its verdict; every other is checked
    against all its passages together.

    Args:
        drawn: All conclusions that were written now.
        held: Conclusions held before.
        theta: P(supported) from which one is kept; of unknown support one is kept too.
        context: The place of the checks.
    """
    before = {(same_statement(one), one.sources): one for one in held}
    known = [before.get((same_statement(one), one.sources)) for one in drawn]
    new = [one for one, old in zip(drawn, known, strict=True) if old is None]
    claims = [Citation(claim=one.statement, passage=_joined(one)) for one in new]
    checks = iter(await attribute(claims, context, threshold=theta))
    kept = []
    for one, old in zip(drawn, known, strict=True):
        if old is not None:
            kept.append(old)
            continue
        check = next(checks)
        if check.supported is not False:
            kept.append(one.model_copy(update={"support": check.score}))
    return kept


async def helpful(
    task: Task,
    drawn: Sequence[Inference],
    held: Sequence[Inference],
    theta: float,
    context: RunContext,
) -> list[Inference]:
    """Return the conclusions that help to answer; those held before were judged.

    Args:
        task: The question.
        drawn: Conclusions.
        held: Those among them that were held before stay.
        theta: P(it helps) from which one is kept; one that is not judged is kept too.
        context: The place of the judgements.
    """
    known = {same_statement(one) for one in held}
    new = [one.statement for one in drawn if same_statement(one) not in known]
    chances = dict(zip(new, await relevance(task, new, context), strict=True))
    return [
        one
        for one in drawn
        if (chance := chances.get(one.statement)) is None or chance >= theta
    ]


def _joined(inference: Inference) -> Passage:
    """Return the passages of a conclusion as one: it may need all of them."""
    first, *others = inference.sources
    if not others:
        return first
    texts = [f"{p.title}: {p.text}" if p.title else p.text for p in inference.sources]
    ids = "+".join(passage.id for passage in inference.sources)
    return Passage(id=ids, text="\n\n".join(texts), source=first.source)


def as_passages(
    inferences: Sequence[Inference], sources: Sequence[Passage]
) -> list[Passage]:
    """Return conclusions as a reader sees them, with the numbers of their passages."""
    numbers = {passage.id: i for i, passage in enumerate(sources, 1)}
    return [
        Passage(
            id=f"inference:{same_statement(one)}",
            text=one.statement,
            title="Conclusion from "
            + " and ".join(f"passage {numbers[p.id]}" for p in one.sources),
        )
        for one in inferences
    ]


def by_sources(
    text: str, sources: Sequence[Passage], inferences: Sequence[Inference]
) -> str:
    """Return a text whose citations of conclusions name their passages instead.

    Args:
        text: Cites passages and, by higher numbers, conclusions.
        sources: Numbered from 1.
        inferences: Numbered behind them.
    """
    numbers = {passage.id: i for i, passage in enumerate(sources, 1)}

    def resolved(match: re.Match[str]) -> str:
        named: dict[int, None] = {}
        for number in map(int, match[1].split(",")):
            at = number - len(sources) - 1
            if 0 <= at < len(inferences):
                named |= dict.fromkeys(numbers[p.id] for p in inferences[at].sources)
            else:
                named[number] = None
        return f"[{', '.join(map(str, named))}]"

    return _MARK.sub(resolved, text)


def best_of(pool: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that the evidence shows best.

    One with an answer comes before one without, a judged one before one that is not;
    among equals the later one, which was read from more.
    """

    def rank(at: int) -> tuple[bool, bool, float, int]:
        verdict = pool[at].verdict
        score = verdict.score if verdict else None
        return pool[at].answer is not None, score is not None, score or 0.0, at

    return pool[max(range(len(pool)), key=rank)] if pool else None


def tell(
    kind: str,
    before: Mapping[str, str],
    now: Mapping[str, str],
    context: RunContext,
    parents: tuple[str, ...],
) -> None:
    """Put a revision of evidence into the run's graph.

    Args:
        kind: What was revised, in the plural.
        before: The texts held before, by what tells them apart.
        now: The texts held now.
        context: The place of the thought.
        parents: What it comes from.
    """
    added = [text for key, text in now.items() if key not in before]
    removed = [text for key, text in before.items() if key not in now]
    kept = len(now) - len(added)
    label = f"{kind}: {len(added)} new, {kept} kept, {len(removed)} taken back"
    data = {"held": list(now.values()), "added": added, "removed": removed}
    thought = Thought(id=context.id, kind="evidence", label=label, data=data)
    context.think(thought, parents)
