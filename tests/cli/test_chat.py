from collections.abc import Callable
from typing import Any

from ponder.errors import ModelUnreachable
from ponder.models.base import Model
from ponder.models.scripted import ScriptedModel

Cli = Callable[..., Any]
Use = Callable[[Model], None]


def typed(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_a_conversation_over_a_pipe_keeps_its_history(cli: Cli, use_model: Use) -> None:
    model = ScriptedModel(["Hello Ada.", "You are Ada."])
    use_model(model)
    done = cli("chat", input=typed("I am Ada.", "", "Who am I?", "/quit", "never"))
    assert (done.code, done.out) == (0, "Hello Ada.\nYou are Ada.\n")
    second = [(m.role, m.content) for m in model.calls[1].messages]
    assert second == [
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
    ]
    assert done.err.count("1 call · ") == 2
    assert "\x1b" not in done.err


def test_the_end_of_input_ends_the_chat(cli: Cli) -> None:
    done = cli("chat", "-m", "simulated", input="")
    assert (done.code, done.out) == (0, "")


def test_the_strategy_can_be_changed(cli: Cli, use_model: Use) -> None:
    model = ScriptedModel(["\\boxed{1}"] * 3)
    use_model(model)
    lines = typed(
        "/strategy",
        "/strategy self_consistency n=3 criterion=none",
        "How many?",
        "/strategy self_consistency m=3",
        "/strategy slf_consistency",
    )
    done = cli("chat", input=lines)
    assert done.code == 0
    assert "Strategy: direct\n" in done.out
    assert 'Strategy: self_consistency{"criterion": "none", "n": 3}\n' in done.out
    assert len(model.calls) == 3
    assert "Unknown parameter of self_consistency 'm'" in done.err
    assert "Did you mean self_consistency" in done.err


def test_a_strategy_of_the_settings_or_an_option_wins(
    cli: Cli, monkeypatch: Any
) -> None:
    arguments = ("chat", "-m", "simulated")
    assert "direct over" in cli(*arguments, input="").err
    monkeypatch.setenv("PONDER_STRATEGY", "best_of_n")
    assert "best_of_n over" in cli(*arguments, input="").err
    done = cli(*arguments, "-s", "chain_of_thought", input="")
    assert "chain_of_thought over" in done.err


def test_the_model_can_be_changed(cli: Cli) -> None:
    done = cli(
        "chat", "-m", "simulated", input=typed("/model", "/model locl/x", "/model a b")
    )
    assert "Model: simulated\n" in done.out
    assert "Error: Unknown model 'locl/x'." in done.err
    assert "Error: Give one model: /model NAME" in done.err


def test_the_budget_is_of_each_turn(cli: Cli) -> None:
    lines = typed(
        "/budget",
        "/budget tokens=3 seconds=9.5",
        "How many?",
        "/budget tokens=none calls=4",
        "How many?",
        "/budget token=3",
        "/budget calls=few",
        "/budget calls=-1",
        "/budget calls",
    )
    done = cli("chat", "-m", "simulated", input=lines)
    assert "Budget of a turn: no limit\n" in done.out
    assert "Budget of a turn: tokens 3, seconds 9.5\n" in done.out
    assert "Budget of a turn: seconds 9.5, calls 4\n" in done.out
    assert done.err.count("No answer could be found") == 1
    assert done.err.count("1 call · ") == 1
    assert "Unknown limit 'token'. Did you mean tokens?" in done.err
    assert "The limit calls=few cannot be used" in done.err
    assert "The limit calls=-1 cannot be used" in done.err
    assert "'calls' is not of the form NAME=VALUE. Write it like: /budget" in done.err


def test_the_cost_counts_failed_turns_too(cli: Cli, use_model: Use) -> None:
    use_model(ScriptedModel([ModelUnreachable("gone"), "Here again."]))
    done = cli("chat", input=typed("One?", "Two?", "/cost"))
    assert done.code == 0
    assert "Error: gone" in done.err
    assert "Here again." in done.out
    assert "Turn 1: 1 call · 0 tokens" in done.out
    assert "Turn 2: 1 call · 3 tokens (1 in, 2 out)" in done.out
    assert "Total: 2 calls · 3 tokens" in done.out


def test_commands_are_helped_with(cli: Cli) -> None:
    done = cli("chat", "-m", "simulated", input=typed("/help", "/budgte", "/cost 'x"))
    for command in ("/strategy", "/model", "/budget", "/cost", "/help", "/quit"):
        assert command in done.out
    assert "Unknown command '/budgte'. Did you mean /budget" in done.err
    assert "Cannot read '/cost 'x'" in done.err


def test_a_wrong_model_ends_the_chat_at_once(cli: Cli) -> None:
    done = cli("chat", "-m", "nope/x", input=typed("hello"))
    assert (done.code, done.out) == (2, "")
    assert "Unknown model 'nope/x'" in done.err
