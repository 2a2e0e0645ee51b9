"""Plan a trip by PlanGEN, with a verifier that is a plain Python function.

Run with a local model: python examples/plan_a_trip.py --model local
"""

import random
import re
import sys

from ponder import Budget, Candidate, Request, ScriptedModel, Task, Verdict, solve

QUESTION = """Plan 7 days in Italy: Rome for 3, Florence for 2, Venice for 2. The train
from Venice goes to Florence, and the flight home leaves Rome. Finish with the cities in
order, each with its first and last day: \\boxed{City 1-2, City 3-5, City 6-7}"""
STAYS = {"Rome": 3, "Florence": 2, "Venice": 2}


def guess(request: Request) -> str:
    """Stand in for a model: name the cities in any order."""
    days = ["1-2", "3-4", "5-7"]
    order = random.sample(list(STAYS), 3)
    return f"\\boxed{{{', '.join(map(' '.join, zip(order, days, strict=True)))}}}"


def fits(task: Task, candidate: Candidate) -> Verdict:
    """Say what is wrong with a plan."""
    stays = re.findall(r"(\w+) (\d)-(\d)", candidate.answer or "")
    days = {city: int(last) - int(first) + 1 for city, first, last in stays}
    wrong = [f"Stay {n} days in {c}." for c, n in STAYS.items() if days.get(c) != n]
    if "Venice Florence" not in " ".join(days) or [*days][-1:] != ["Rome"]:
        wrong.append("Go from Venice to Florence, and end in Rome.")
    return Verdict(score=1 / (1 + len(wrong)), passed=not wrong, feedback=str(wrong))


if __name__ == "__main__":
    model = sys.argv[2] if sys.argv[1:2] == ["--model"] else None
    used, most = model or ScriptedModel(rules=[("", guess)]), Budget(tokens=20_000)
    result = solve(QUESTION, strategy="plangen", model=used, verifier=fits, budget=most)
    print(result.answer, result.stop_reason, f"ponder show {result.run_id}", sep="\n")
