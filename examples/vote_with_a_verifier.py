"""Sixteen attempts, judged by a plain Python function, under one budget.

Run with a local model: python examples/vote_with_a_verifier.py local
"""

import sys

from ponder import Budget, Candidate, Task, solve

QUESTION = (
    "Use the numbers 4, 7, 8 and 8 once each, with + - * / and brackets, to make 24. "
    "Give the expression."
)


def makes_24(task: Task, candidate: Candidate) -> bool:
    """Accept an expression of exactly these numbers that comes to 24."""
    text = (candidate.answer or "").replace("\\times", "*").partition("=")[0]
    if not text or set(text) - set("0123456789+-*/() "):
        return False
    numbers = sorted(
        int(n) for n in "".join(c if c.isdigit() else " " for c in text).split()
    )
    try:
        return numbers == [4, 7, 8, 8] and abs(eval(text) - 24) < 1e-9
    except (SyntaxError, ZeroDivisionError, TypeError):
        return False


def main(model: str) -> None:
    result = solve(
        QUESTION,
        strategy="repeated_sampling",
        parameters={"k": 16},
        model=model,
        verifier=makes_24,
        budget=Budget(tokens=20_000, seconds=300),
    )
    print(result.answer, result.stop_reason, f"{result.usage.total_tokens} tokens")
    print(f"ponder show {result.run_id}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "simulated")
