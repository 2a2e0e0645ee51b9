import ponder


def test_all_is_sorted_and_complete() -> None:
    public = [n for n in vars(ponder) if not n.startswith("_")]
    modules = [n for n in public if type(vars(ponder)[n]).__name__ == "module"]
    # `ponder.strategy`, `ponder.verifier` are functions; submodules are no exports.
    assert sorted(set(public) - set(modules)) == ponder.__all__
    assert ponder.__all__ == sorted(ponder.__all__)
