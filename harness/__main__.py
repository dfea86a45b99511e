"""``python -m harness`` is the console command ``harness``."""

if __name__ == "__main__":
    import sys
    from pathlib import Path

    # python -m looks into the current folder first: what is called harness there stands before an editable install of ours.
    sys.modules.pop("harness")
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from harness.shadows import look_here_last

    del sys.path[0]
    if not sys.flags.safe_path:
        look_here_last()
    from harness.cli import main

    main()
