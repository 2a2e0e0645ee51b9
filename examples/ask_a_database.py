"""Answer a question by SQL: try queries, look at their rows, go back from what fails.

Run with a local model: python examples/ask_a_database.py --model local
"""

import random
import sys

from ponder import Budget, Request, ScriptedModel, solve
from ponder.graphs.environment_search import EnvironmentSearch
from ponder.tools.sql import SqlDatabase, gives_rows_of

SHOP = """
CREATE TABLE customer (id INTEGER, name TEXT, town TEXT);
CREATE TABLE purchase (customer_id INTEGER, item TEXT, euros REAL);
INSERT INTO customer VALUES (1, 'Ada', 'Ulm'), (2, 'Ben', 'Jena'), (3, 'Cleo', 'Ulm');
INSERT INTO purchase VALUES (1, 'lamp', 30), (2, 'desk', 120), (2, 'pen', 2),
    (3, 'chair', 80), (1, 'rug', 45);
"""
QUESTION = "In which town did customers spend the most in all?"
JOIN = "SELECT town FROM customer JOIN purchase ON id = customer_id"
RIGHT = f"{JOIN} GROUP BY town ORDER BY SUM(euros) DESC LIMIT 1"
DRAFTS = ["SELECT city FROM customer", f"{JOIN} ORDER BY euros DESC LIMIT 1", RIGHT]


def guess(request: Request) -> str:
    """Stand in for a model: submit one of three queries, and like all that runs."""
    asked = request.messages[-1].content
    if "What is the next action?" in asked:
        return f"Action: SUBMIT {random.choice(DRAFTS)}"
    return f"Status: {'failure' if 'Error' in asked else 'success'}"


def main(model: str | None) -> None:
    search = EnvironmentSearch(environment=lambda: SqlDatabase(SHOP), samples=8, b=3)
    result = solve(
        QUESTION,
        strategy=search,
        model=model or ScriptedModel(rules=[("", guess)]),
        verifier=gives_rows_of(SHOP, RIGHT),
        budget=Budget(tokens=200_000, seconds=600),
    )
    print(result.answer, result.stop_reason, f"ponder show {result.run_id}", sep="\n")


if __name__ == "__main__":
    main(sys.argv[2] if sys.argv[1:2] == ["--model"] else None)
