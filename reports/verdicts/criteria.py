"""The success criteria, one declaration each. Another one is added by one more, here or in a plug-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.families import has_twin
from harness.registry import Registry, check_name
from reports.reading.cells import Cell
from reports.reading.kinds import is_network
from reports.reading.targets import target
from reports.verdicts import curve_rules, equation_rules, pruning_rules, record_rules, rules
from reports.verdicts.family_verdicts import (
    best_family_is_exact,
    every_family_learns,
    some_family_learns,
    spectral_bias,
)
from reports.verdicts.need import network_wins_by_a_decade
from reports.verdicts.problem_verdicts import Decide, every_run, median_seed


@dataclass(frozen=True)
class Criterion:
    """A success criterion. ``rule``, ``threshold`` and ``evidence`` are for the reader; ``decide`` is the rule itself."""

    id: str
    group: str
    """Heading that it stands under."""
    sentence: str
    """What it asks for, in the words of the document it comes from."""
    rule: str
    threshold: str
    evidence: str
    """Metrics, tags and artifacts that it is read from."""
    decide: Decide
    applies: Callable[[Cell], bool] = lambda cell: True
    """Which cells it is about."""
    about: Callable[[Cell], bool] = lambda cell: True
    """Which cells it could be about, whatever their model: where a report has none of these it is N/A, and not untried."""
    elsewhere: str = ""
    """Why it is N/A there."""
    all_presets: bool = False
    """Whether it is a rule over presets: decided once, from the cells of all of them."""
    bound: float | None = None
    """The threshold as a number, where figures can be drawn beside it."""

    def __post_init__(self) -> None:
        check_name("criterion", self.id)


CRITERIA: Registry[Criterion] = Registry("criterion", "harness.criteria", Criterion)


def register(criterion: Criterion) -> Criterion:
    """Make a criterion known under its id. Raises BadInput when the id is taken."""
    return CRITERIA.register(criterion.id, criterion)


def _of(model: str, *problems: str) -> Callable[[Cell], bool]:
    return lambda cell: cell.model == model and (not problems or cell.problem in problems)


def _has_twin(cell: Cell) -> bool:
    return has_twin(cell.model)


def _is_2d(cell: Cell) -> bool:
    known = target(cell)
    if known is None:
        return cell.metric("final/roughness_ratio") is not None
    return known.on_grid and known.dimension == 2


def _is_clean_formula(cell: Cell) -> bool:
    known = target(cell)
    return known is None or (known.kind == "formula" and not cell.noise)


def _is_smooth(cell: Cell) -> bool:
    known = target(cell)
    return known is not None and known.smooth and _is_clean_formula(cell)


def _is_original(cell: Cell) -> bool:
    """Whether its problem is one of the sixteen of the original, without noise."""
    known = target(cell)
    return known is None or (not ORIGINAL.isdisjoint(known.sections) and not cell.noise)


def _is_fit_beyond(cell: Cell) -> bool:
    return not _is_original(cell) and not _is_equation(cell)


def _is_of_rows(cell: Cell) -> bool:
    known = target(cell)
    return known is not None and known.of_rows


def _is_equation(cell: Cell) -> bool:
    known = target(cell)
    return known is not None and known.is_equation


def _is_smooth_equation(cell: Cell) -> bool:
    known = target(cell)
    return known is not None and known.is_equation and known.smooth


def _is_equation_in_2d(cell: Cell) -> bool:
    known = target(cell)
    return known is not None and known.is_equation and known.dimension == 2


def _network(about: Callable[[Cell], bool]) -> Callable[[Cell], bool]:
    """The same, of networks alone: a classical solver is what they are held against."""
    return lambda cell: is_network(cell.model) and about(cell)


OF_ORIGINAL = "no problem here is one of the original's"
NO_EQUATION = "no problem here is an equation"


SIMPLE = ("poisson_2d_sin", "poisson_2d_poly")
ORIGINAL = frozenset({"section1_1", "section1_2", "section1_3"})
"""The sections of the original's problems."""
HIGH = ("poisson_1d_highfreq", "poisson_2d_highfreq")
SPEC = "solve_2d_spec"
"""P2: the problem of the KAN paper (section 3.4), with the forcing and the boundary values given."""

for _declared in (
    Criterion(
        "S1",
        "SIREN",
        "Smooth 2D heatmaps (no noise)",
        "RMS of the 5-point discrete Laplacian of the prediction on the 101 x 101 grid, in relation to the target's; "
        "only where NMSE <= 0.5, else nothing was learned",
        "<= 1.5",
        "final/roughness_ratio, final/dense_nmse",
        median_seed(rules.of_something_learned(rules.metric_at_most("final/roughness_ratio", 1.5))),
        lambda cell: cell.model == "siren" and _is_2d(cell),
        bound=1.5,
        about=lambda cell: _is_original(cell) or _is_2d(cell),
        elsewhere=OF_ORIGINAL,
    ),
    Criterion(
        "S2",
        "SIREN",
        "MSE < 10 for simple functions",
        "dense MSE on poisson_2d_sin and poisson_2d_poly",
        "< 10",
        "final/dense_mse",
        median_seed(rules.metric_below("final/dense_mse", 10.0)),
        _of("siren", *SIMPLE),
        bound=10.0,
        about=_is_original,
        elsewhere=OF_ORIGINAL,
    ),
    Criterion(
        "S2+",
        "SIREN",
        "MSE < 1.0 for simple functions (Problem 1's outcome)",
        "dense MSE on poisson_2d_sin and poisson_2d_poly",
        "< 1",
        "final/dense_mse",
        median_seed(rules.metric_below("final/dense_mse", 1.0)),
        _of("siren", *SIMPLE),
        bound=1.0,
        about=_is_original,
        elsewhere=OF_ORIGINAL,
    ),
    Criterion(
        "S3",
        "SIREN",
        "Loss curves monotonically decreasing",
        "medians of train/mse, of an equation train/residual, over 20 equal windows: none exceeds the one before by more than "
        "5% (+ floor); only where NMSE <= 0.5, else nothing was learned",
        "<= 1.05",
        "history.parquet: train/mse, train/residual; final/dense_nmse",
        median_seed(curve_rules.falls_monotonically),
        _of("siren"),
        bound=1.05,
    ),
    Criterion(
        "S4",
        "SIREN",
        "Learning rate transitions visible in logs",
        "base rate in the first half of the epochs, base x 0.1 in the second, nothing else; the figure counts other epochs",
        "0",
        "history.parquet: lr; cfg/lr",
        median_seed(curve_rules.changes_rate_once),
        _of("siren"),
    ),
    Criterion(
        "K1",
        "KAN + pruning",
        "No dramatic loss spikes (> 10x)",
        "(loss + floor) / (least loss before in the stage + floor), every stage; after retraining to before the cut, on the "
        "grid of the cut; each refinement, from end to end. The largest jump of all is told beside it. The loss is the MSE, of "
        "an equation the residual",
        "<= 10",
        "history.parquet: train/mse, train/residual, stage, kan/grid",
        median_seed(curve_rules.has_no_spike),
        _has_twin,
        bound=10.0,
    ),
    Criterion(
        "K2",
        "KAN + pruning",
        "Pruned network within 2x of base KAN",
        "(dense MSE + floor) / (dense MSE of the unpruned twin + floor), same total epochs and seed; beside it the raw ratio, "
        "and whether it decided or the floor",
        "<= 2",
        "prune/mse_final, prune/base_dense_mse",
        median_seed(pruning_rules.is_near_its_twin),
        _has_twin,
        bound=2.0,
    ),
    Criterion(
        "K3",
        "KAN + pruning",
        "Three stages visible (sparsify, prune, retrain)",
        "the stages are there in this order, each with its own steps, times and metrics",
        "in order",
        "tag stages; history.parquet",
        median_seed(pruning_rules.has_three_stages),
        _has_twin,
    ),
    Criterion(
        "K4",
        "KAN + pruning",
        "20-50% fewer parameters",
        "part of the active parameters (live edges x numbers of an edge: grid + k + 2 of a spline) that is gone; more than 50% "
        "is marked beyond; "
        "a greedy cut stops where it was told to, so its figure is no finding about how far one could cut",
        ">= 0.20",
        "prune/reduction; cfg/prune_mode, cfg/reduction",
        median_seed(pruning_rules.is_reduced, larger_is_worse=False),
        _has_twin,
        bound=0.2,
    ),
    Criterion(
        "E1",
        "Error handling",
        "All errors logged with clear messages",
        "every run that is not completed has outcome and reason, and on exceptions type, message and traceback",
        "every run",
        "tags outcome, outcome.reason, error.*; error/traceback.txt",
        every_run(record_rules.says_why_it_failed),
    ),
    Criterion(
        "E2",
        "Error handling",
        "No silent failures",
        "every planned cell has a run that is over; none is RUNNING, none is missing",
        "every cell",
        "plan.json; status and outcome of the runs",
        every_run(record_rules.is_accounted_for),
    ),
    Criterion(
        "E3",
        "Error handling",
        "Partial results saved when training fails",
        "every run that is not completed and made a step has its history, a last finite checkpoint and a loss figure",
        "every run",
        "history.parquet, checkpoint/, figures/loss.png",
        every_run(record_rules.keeps_what_it_had),
    ),
    Criterion(
        "O1",
        "Overall",
        "All models complete training",
        "every planned cell is completed",
        "every cell",
        "tag outcome",
        every_run(record_rules.completes),
    ),
    Criterion(
        "O2",
        "Overall",
        "All visualizations generate",
        "every figure that the contract names is there, decodes, and is not blank",
        "every run",
        "figures/*.png",
        every_run(record_rules.has_its_pictures),
    ),
    Criterion(
        "O3",
        "Overall",
        "No NaN or Inf in any results",
        "nan/count = inf/count = 0 and every final metric is finite, of an equation the residual's too",
        "0",
        "nan/count, inf/count, final/*",
        every_run(record_rules.is_finite_throughout),
    ),
    Criterion(
        "X1",
        "Expected",
        "MLPs fail on high frequency (Problem 5)",
        "median dense NMSE of mlp on the high-frequency problems, beside the other families; where it is no larger the MLP "
        "does not fail: NOT OBSERVED; shown, not judged",
        "> 0.01",
        "final/dense_nmse",
        spectral_bias,
        _network(lambda cell: cell.problem in HIGH),
        about=_is_original,
        elsewhere=OF_ORIGINAL,
    ),
    Criterion(
        "X2",
        "Expected",
        "Small values are not a bug (Problem 6)",
        "the figure of poisson_1d_poly is drawn on the target's scale, with the residual in its own panel: "
        "neither panel is more than twice as high as what it has to show",
        "<= 2, every run",
        "figures/fit.png and what it says of its axes; dense.parquet",
        every_run(record_rules.shows_small_values),
        lambda cell: cell.problem == "poisson_1d_poly",
        about=_is_original,
        elsewhere=OF_ORIGINAL,
    ),
    Criterion(
        "B1",
        "Beyond",
        "Every family learns every smooth problem",
        "every family of networks has a preset whose median NMSE of 5 seeds is within 1e-4; the figure is the worst family's. "
        "The five of the document are asked for, others where they were run",
        "<= 1e-4",
        "final/dense_nmse, all presets",
        every_family_learns,
        _network(_is_smooth),
        about=_is_clean_formula,
        elsewhere="no problem here is a formula without noise",
        all_presets=True,
        bound=1e-4,
    ),
    Criterion(
        "B2",
        "Beyond",
        "The best family is exact on high frequency",
        "the median NMSE of 5 seeds of the best family of networks under its best preset",
        "<= 1e-8",
        "final/dense_nmse, all presets",
        best_family_is_exact,
        _network(lambda cell: cell.problem in HIGH),
        all_presets=True,
        bound=1e-8,
        about=_is_original,
        elsewhere=OF_ORIGINAL,
    ),
    Criterion(
        "C1",
        "Competitors",
        "Networks win against classical methods",
        "NMSE of the best classical method over that of the best network, each with the floor added, median seed; both chosen by "
        "their error at held-out points, over all presets, and no network whose shape knows the target. Whether a problem needs "
        "a network: yes where at least 95% of the seeds say that it is better, no where at most 5% do, else a toss-up; shown, "
        "not judged",
        ">= 10",
        "final/dense_nmse, val/mse, val/residual, val/best_mse, val/best_residual, all presets",
        network_wins_by_a_decade,
        all_presets=True,
        bound=10.0,
    ),
    Criterion(
        "D1",
        "Your data",
        "Every problem has a family that learns it",
        "at each noise the median NMSE of the best family under its best preset, over what is allowed: 1e-4, or 1.1 times the "
        "floor of the noise where that is more. The floor is the square of the noise that was put on a formula; of the rows of a "
        "file the variance among rows of equal inputs over that of the output. Rows without such a floor that are not learned "
        "to 1e-4 are N/A",
        "<= 1",
        "final/dense_nmse, all presets; cfg/target_noise; tag problem.facts",
        some_family_learns,
        _is_fit_beyond,
        about=_is_fit_beyond,
        elsewhere="every problem here is one of the original's, without noise, or an equation",
        all_presets=True,
        bound=1.0,
    ),
    Criterion(
        "D2",
        "Your data",
        "Held-out rows are predicted as well as training rows",
        "(error on held-out rows + floor) / (error on training rows + floor), at the epoch that was taken; above it "
        "the fit is flagged as over-fitted",
        "<= 2",
        "test/mse, train/mse, val/best_epoch, history.parquet",
        median_seed(record_rules.generalises),
        _is_of_rows,
        about=_is_of_rows,
        elsewhere="no problem here is the rows of a file",
        bound=2.0,
    ),
    Criterion(
        "P1",
        "Equations",
        "Every family solves the smooth equations",
        "relative L2 error of u, median seed, of every family of networks; the figure is the worst family's. The five of the "
        "document are asked for, others where they were run",
        "<= 1e-5",
        "final/rel_l2",
        equation_rules.each_family(rules.metric_at_most("final/rel_l2", 1e-5), absent_too=True),
        _network(_is_smooth_equation),
        about=_is_smooth_equation,
        elsewhere="no problem here is a smooth equation",
        bound=1e-5,
    ),
    Criterion(
        "P2",
        "Equations",
        "A small network solves solve_2d_spec well",
        "relative L2 error of u on solve_2d_spec, median seed of the best network of at most 300 active parameters under its "
        "best preset",
        "<= 1e-6",
        "final/rel_l2, model/active_params, all presets",
        equation_rules.small_network_is_accurate,
        _network(lambda cell: cell.problem == SPEC),
        about=lambda cell: cell.problem == SPEC,
        elsewhere=f"no problem here is {SPEC}",
        all_presets=True,
        bound=1e-6,
    ),
    Criterion(
        "P3",
        "Equations",
        "The residual tells the truth",
        "Spearman's rank correlation, over the epochs of a run, of the residual at held-out points and the MSE of u on the "
        "test points, which no training knows; median seed of every family of networks, at least 20 epochs; the figure is the "
        "worst family's",
        ">= 0.8",
        "history.parquet: val/residual, test/mse",
        equation_rules.each_family(equation_rules.residual_tells_the_error, larger_is_worse=False),
        _network(_is_equation),
        about=_is_equation,
        elsewhere=NO_EQUATION,
        bound=0.8,
    ),
    Criterion(
        "P4",
        "Equations",
        "A pruned KAN solves as well as its twin",
        "relative L2 error of u over that of the unpruned twin, without a floor: the root of the ratio of their dense MSE; and "
        "at least 20% of the active parameters gone, else it fails",
        "<= 2",
        "prune/mse_final, prune/base_dense_mse, prune/reduction",
        median_seed(pruning_rules.keeps_the_solution),
        lambda cell: _has_twin(cell) and _is_equation(cell),
        about=_is_equation,
        elsewhere=NO_EQUATION,
        bound=2.0,
    ),
    Criterion(
        "P5",
        "Equations",
        "Networks beat second-order differences",
        "root mean square error of u of the best network, under its best preset, over that of the run of finite_difference on "
        "101 x 101 points, median seeds, both on the test points; equations of two inputs",
        "< 1",
        "test/mse, history.parquet, cfg/grids, all presets",
        equation_rules.beats_differences,
        _is_equation_in_2d,
        about=_is_equation_in_2d,
        elsewhere="no problem here is an equation of two inputs, which 101 x 101 points are for",
        all_presets=True,
        bound=1.0,
    ),
):
    register(_declared)
