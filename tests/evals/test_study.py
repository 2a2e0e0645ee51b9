"""A whole study with a simulated model: run, killed, resumed, reported."""

import asyncio
import json
from pathlib import Path

import pytest

pytest.importorskip("inspect_ai", reason="pip install 'ponder[evals]'")

from ponder.agents.answers import extract
from ponder.errors import InvalidInput, InvalidParameter, ModelError, UnknownName
from ponder.evals.benchmark import benchmark
from ponder.evals.harness import benchmark_task
from ponder.evals.plan import StudyPlan, cells, load_plan, make_plan
from ponder.evals.record import Cell
from ponder.evals.sealed import count_sealed_read
from ponder.evals.study import Progress, Study
from ponder.evals.verifiers import exact_verifier
from ponder.messages import Completion, OnDelta, Request
from ponder.models.simulated import Problem as Known
from ponder.models.simulated import SimulatedModel


def plan_of(**fields: object) -> StudyPlan:
    given = {
        "tasks": ("aiw",),
        "strategies": ('best_of_n{"n": 3}',),
        "verifiers": ("exact",),
        "model": "simulated",
        "budget_tokens": (300, 600),
        "limit": 4,
    }
    return make_plan({**given, **fields}, "this test")


def bare(reference: str) -> str:
    return extract(reference) or reference


class Counted(SimulatedModel):
    """Knows the answers, counts its calls, and can be told to die."""

    def __init__(self, plan: StudyPlan, dies_at: int | None = None) -> None:
        problems = benchmark(plan.tasks[0])[0].problems(seed=0, limit=plan.limit)
        known = {p.question: Known(truth=bare(p.reference)) for p in problems}
        super().__init__(problems=known, accuracy=0.6)
        self.calls, self.dies_at = 0, dies_at

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        self.calls += 1
        if self.dies_at is not None and self.calls > self.dies_at:
            raise ModelError("the server is gone")
        return await super().generate(
            request, on_delta=on_delta, max_seconds=max_seconds
        )


def test_baselines_run_unasked_and_a_random_control_with_every_verifier() -> None:
    found = [(c.strategy.partition("{")[0], c.verifier, c.budget_tokens)
             for c in cells(plan_of())]  # fmt: skip
    assert found == [
        ("self_consistency", None, 600),
        ("self_consistency", None, 300),
        ("direct", None, 600),
        ("chain_of_thought", None, 600),
        ("best_of_n", "exact", 600),
        ("best_of_n", "exact", 300),
        ("best_of_n", "random", 600),
        ("best_of_n", "random", 300),
    ]


def test_defaults_reach_those_who_have_them_and_leave_greedy_ones_greedy() -> None:
    made = cells(plan_of(defaults={"temperature": 0.9, "max_tokens": 99}))
    by_name = {c.strategy.partition("{")[0]: c.strategy for c in made}
    assert '"temperature": 0.9' in by_name["best_of_n"]
    assert '"temperature"' not in by_name["chain_of_thought"]
    assert all('"max_tokens": 99' in spec for spec in by_name.values())


async def test_a_study_measures_every_cell_and_shares_its_samples(
    tmp_path: Path,
) -> None:
    plan = plan_of()
    model, told = Counted(plan), list[Progress]()
    study = Study(plan, tmp_path, model=model, on_progress=told.append)
    found = await study.run()

    assert all(len(c.records) == 4 for c in found)
    assert all(r.error is None for c in found for r in c.records)
    first, smaller = found[:2]
    for more, less in zip(first.records, smaller.records, strict=True):
        shared = [a.answer for a in less.attempts]
        assert [a.answer for a in more.attempts][: len(shared)] == shared
        assert less.usage.total_tokens <= 300 < more.usage.total_tokens <= 600
    exact = next(c for c in found if c.verifier == "exact")
    for record in exact.records:
        hit = any(a.correct for a in record.attempts)
        assert record.grade.correct is hit
        assert record.roles.keys() == {"generator"}
    paid = sum(r.usage.calls for c in found for r in c.records)
    assert model.calls < 0.6 * paid
    assert told[-1].done == told[-1].total

    again = Counted(plan)
    assert await Study(plan, tmp_path, model=again).run() == found
    assert again.calls == 0


async def test_a_study_leaves_asyncio_as_it_was(tmp_path: Path) -> None:
    await Study(plan_of(), tmp_path).run()
    again = await Study(plan_of(), tmp_path).run()

    assert again
    # What inspect-ai would put there neither cancels what is left nor closes the loop.
    assert asyncio.run.__module__ == "asyncio.runners"
    assert not hasattr(asyncio, "_nest_patched")


async def test_after_a_dead_server_only_what_is_missing_is_paid(tmp_path: Path) -> None:
    plan = plan_of(strategies=())
    whole = Counted(plan)
    wanted = await Study(plan, tmp_path / "whole", model=whole).run()
    dying = Counted(plan, dies_at=9)
    broken = await Study(plan, tmp_path / "cut", model=dying).run()
    failed = [r for c in broken for r in c.records if r.error]
    assert failed and "the server is gone" in str(failed[0].error)
    assert all(r.grade.correct is None for r in failed)

    again = Counted(plan)
    resumed = await Study(plan, tmp_path / "cut", model=again).run()
    assert [_essence(c) for c in resumed] == [_essence(c) for c in wanted]
    assert again.calls == whole.calls - 9


def _essence(cell: Cell) -> list[object]:
    return [(r.problem, r.grade, r.attempts) for r in cell.records]


async def test_a_log_of_another_version_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(strategies=(), budget_tokens=(300,), limit=1)
    await Study(plan, tmp_path, model=Counted(plan)).run()
    monkeypatch.setattr("ponder.evals.logs.RECORD_VERSION", 99)
    with pytest.raises(InvalidInput, match=r"\.eval was written by another version"):
        await Study(plan, tmp_path, model=Counted(plan)).run()


async def test_a_damaged_log_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.eval").write_text("nothing")
    with pytest.raises(InvalidInput, match=r"x\.eval cannot be read .* Move it away"):
        await Study(plan_of(), tmp_path, model=Counted(plan_of())).run()


async def test_the_sweep_chooses_on_a_split_of_its_own(tmp_path: Path) -> None:
    plan = plan_of(
        strategies=(), sweep={"temperatures": [0.0, 0.5], "limit": 3}, limit=2
    )
    chosen, notes = await Study(plan, tmp_path, model=SimulatedModel()).swept()
    assert chosen.sweep is None
    assert chosen.defaults["temperature"] in (0.0, 0.5)
    assert "aiw" in notes[0] and "`tune` split" in notes[0]
    asked = benchmark("aiw")[0].problems(seed=0, limit=3, split="tune")
    logged = json.dumps([p.question for p in asked])
    assert len(logged) > 0 and not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"tasks": ()}, InvalidInput, "tasks"),
        ({"tasks": ("calender",)}, UnknownName, "Did you mean calendar"),
        ({"strategies": ("best_of",)}, UnknownName, "Did you mean best_of_n"),
        ({"verifiers": ("nobody",)}, InvalidInput, "verifiers"),
        ({"budget_tokens": (0,)}, InvalidParameter, "A budget of 0 tokens"),
        ({"limitt": 3}, InvalidInput, "limitt"),
    ],
)
def test_what_no_plan_can_hold_is_named(
    fields: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        plan_of(**fields)


def test_a_plan_is_read_from_a_file_and_options_win(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('tasks = ["aiw"]\nlimit = 3\nmodel = "simulated"')
    assert load_plan(path, limit=5).limit == 5
    path.write_text("tasks = [")
    with pytest.raises(InvalidInput, match=r"study\.toml cannot be read"):
        load_plan(path)


def test_the_configuration_of_the_published_baselines_is_a_plan() -> None:
    root = Path(__file__).parents[2]
    plan = load_plan(root / "docs" / "results" / "baselines" / "baselines.toml")
    assert len(plan.tasks) == 6 and plan.sweep is not None


def test_sealed_reads_are_counted_and_a_broken_count_stops(tmp_path: Path) -> None:
    assert count_sealed_read(tmp_path, ["aiw"]) == 1
    assert count_sealed_read(tmp_path, ["aiw", "sat"]) == 2
    (tmp_path / "sealed.json").write_text("[")
    with pytest.raises(InvalidInput, match=r"sealed\.json cannot be kept"):
        count_sealed_read(tmp_path, ["aiw"])


def test_every_problem_of_a_benchmark_is_a_sample_of_inspect() -> None:
    made = benchmark_task("calendar:people=2,seed=5", limit=3)
    problems = benchmark("calendar:people=2")[0].problems(seed=5, limit=3)
    assert [s.input for s in made.dataset] == [p.question for p in problems]
    assert [s.target for s in made.dataset] == [p.reference for p in problems]
    assert made.name == "calendar:people=2,seed=5"


async def test_the_exact_verifier_passes_what_the_grader_accepts() -> None:
    import ponder

    made, _ = benchmark("aiw")
    (problem,) = made.problems(limit=1)
    # The last reply: asked for the box that it forgot, the model still has no idea.
    texts = ["no idea", "\\boxed{999}", problem.reference, ""]
    result = await ponder.asolve(
        problem.question,
        strategy='best_of_n{"n": 3}',
        model=ponder.ScriptedModel(texts),
        verifier=exact_verifier(made, problem),
    )
    verdicts = [(v.score, v.passed) for c in result.candidates if (v := c.verdict)]
    assert verdicts == [(None, None), (0.0, False), (1.0, True)]
    assert result.answer == bare(problem.reference)


def test_a_strategy_with_a_verifier_of_its_own_runs_with_that_for_the_judge() -> None:
    plan = make_plan(
        {
            "tasks": ("aiw",),
            "strategies": ("plangen", "best_of_n"),
            "verifiers": ("judge", "exact"),
            "control": False,
        },
        "test",
    )
    found = [
        (c.strategy.partition("{")[0], c.verifier)
        for c in cells(plan)
        if c.strategy.startswith(("plangen", "best_of_n"))
    ]
    assert found == [
        ("plangen", None), ("plangen", "exact"),
        ("best_of_n", "judge"), ("best_of_n", "exact"),
    ]  # fmt: skip


async def test_with_computed_tokens_the_budget_limits_the_output(
    tmp_path: Path,
) -> None:
    plan = plan_of(count="computed", budget_tokens=(120,), strategies=(), limit=2)
    found = await Study(plan, tmp_path, model=Counted(plan)).run()
    for cell in found:
        assert cell.count == "computed"
        for record in cell.records:
            assert 0 < record.usage.output_tokens <= 120
    assert any(r.usage.total_tokens > 120 for c in found for r in c.records)


async def test_support_is_counted_over_what_a_run_has_found(tmp_path: Path) -> None:
    rows = [
        {
            "_id": str(i),
            "question": f"Where was drummer{i} born?",
            "answer": f"town{i}",
            "context": [[f"Drummer {i}", [f"drummer{i} was born in town{i}."]]],
            "supporting_facts": [[f"Drummer {i}", 0]],
        }
        for i in range(12)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    plan = plan_of(
        tasks=(f"hotpotqa:path={path},closed_book=true",),
        strategies=('rag{"k": 1}',),
        limit=2,
    )
    found = await Study(plan, tmp_path / "study").run()
    support = {c.strategy[:3]: {r.support for r in c.records} for c in found}
    assert support["rag"] == {1.0}
    assert support["dir"] == {0.0}
