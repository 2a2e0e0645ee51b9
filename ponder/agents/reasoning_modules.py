"""Kinds of reasoning that a plan can be made of, each as an instruction.

Zhou et al. 2024 (Self-Discover, https://arxiv.org/abs/2402.03620) use 39 modules taken
from Fernando et al. 2023 (https://arxiv.org/abs/2309.16797). These cover the same kinds
of reasoning in words of our own; several of theirs that ask for the same are one here.
"""

MODULES: tuple[str, ...] = (
    "Take small steps, and write down the result of each before the next.",
    "Break the problem into parts that can be solved one after the other.",
    "List what is given and what is asked, with all numbers, names and units.",
    "Name the unknown quantities, and write equations between them.",
    "Keep a table of every object and its state, and update it event by event.",
    "Order the events or items in time, in space or by size.",
    "Start from the goal, and ask what must hold just before it.",
    "Simplify the problem first, solve that, then put back what was left out.",
    "Recall a similar problem, and use the way in which it was solved.",
    "Go through all cases or options, and rule out those that break a condition.",
    "Find the rule or pattern behind the examples, and test it on each of them.",
    "Name the rules, definitions or facts that decide the matter, and apply them.",
    "Separate what is stated from what is only assumed, and question the assumptions.",
    "Look for the premise that matters most, and what follows if it is false.",
    "Weigh the evidence for and against each claim.",
    "Find the cause: what led to this, and what would have prevented it.",
    "Take the view of each person involved: what they know, want and would do.",
    "Look at the problem as a whole: how its parts act on each other.",
    "Think of several different solutions before choosing one.",
    "Try something unusual: turn the problem round, or drop a habit of thought.",
    "Estimate the size or form of the answer before working it out.",
    "Say which knowledge or information is missing, and how to get it.",
    "Compare costs, risks and benefits of the choices.",
    "Make a plan with measurable steps, and follow it.",
    "Say what could go wrong, and how you would notice.",
    "Translate the words into symbols, a diagram or a list.",
    "Read the wording closely: negations, conditions, and words with two meanings.",
    "Check the result by another way, or by putting it back into the problem.",
    "Look for mistakes in the reasoning so far, and correct them.",
)
