"""Sums of a squared-hinge machine and of Platt's sigmoid, for Newton's steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.classifier import Bools, Cases
from common.analyses.design import with_intercept
from common.analyses.lasso_sums import masked
from common.analyses.logit import derivatives
from common.analyses.newton import Local, Point, n_packed, pack, unpack
from common.analyses.plain import floats, whole
from common.sums import Array, Schema, Sums
from common.table import Floats

_NAMES = ("centre", "unit", "directions", "phases")


@dataclass(frozen=True)
class Machine:
    """What turns columns into features, by problem.

    Attributes:
        centre: means, shape (P, p).
        unit: standard deviations, shape (P, p).
        directions: of the cosines, shape (p, D); D = 0 for the columns themselves.
        phases: of the cosines, shape (D,).
    """

    centre: Floats
    unit: Floats
    directions: Floats
    phases: Floats

    @property
    def n_features(self) -> int:
        """Number of weights besides the intercept."""
        return int(self.phases.size or self.directions.shape[0])

    def arrays(self) -> dict[str, Array]:
        """Return it as the arrays of an ask or answer."""
        return {name: getattr(self, name) for name in _NAMES}

    @staticmethod
    def read(arrays: Mapping[str, Array]) -> "Machine":
        """Return the machine that `arrays` wrote."""
        return Machine(*(floats(arrays[name]) for name in _NAMES))

    def design(self, x: Floats, problem: int) -> Floats:
        """Return a one and the features of rows, shape (n, 1 + n_features)."""
        z = (x - self.centre[problem]) / self.unit[problem]
        if not self.phases.size:
            return with_intercept(z)
        size = np.sqrt(2.0 / self.phases.size)
        return with_intercept(size * np.cos(z @ self.directions + self.phases))


def hinge_schema(ask: Ask) -> Schema:
    """Declare value, gradient and curvature of the machines that still move."""
    n, q = ask.arrays["beta"].shape
    return {"value": masked(n), "gradient": masked(n, q), "curvature": masked(n, n_packed(q))}


def hinge_sums(ask: Ask, machine: Machine, cases: Cases, trains: Sequence[Bools]) -> Sums:
    """Return a site's derivatives of -sum max(0, 1 - t f)^2."""
    t, beta = 2.0 * cases.y - 1.0, floats(ask.arrays["beta"])
    values, gradients, curvatures = [], [], []
    for problem, b in zip(whole(ask.arrays["problems"]).tolist(), beta, strict=True):
        train = trains[problem]
        design = machine.design(cases.x[train], problem)
        short = np.maximum(1.0 - t[train] * (design @ b), 0.0)
        inside = design[short > 0]
        values.append(-(short**2).sum())
        gradients.append(2.0 * design.T @ (short * t[train]))
        curvatures.append(pack(2.0 * inside.T @ inside))
    return {
        "value": np.array(values),
        "gradient": np.array(gradients),
        "curvature": np.array(curvatures),
    }


@dataclass(frozen=True)
class Margin:
    """Asks the sites for derivatives of the hinge, and adds the penalty w'w / 2."""

    machine: Machine
    penalty: float

    def ask(self, point: Point) -> Ask:
        """Return the question at a point."""
        arrays = {"problems": point.problems, "beta": point.beta}
        return Ask("hinge", {}, {**arrays, **self.machine.arrays()})

    def read(self, point: Point, total: Sums) -> Local:
        """Return minus the objective and its derivatives."""
        q = point.beta.shape[1]
        return Local(
            self.penalty * floats(total["value"]) - (point.beta**2).sum(axis=1) / 2.0,
            self.penalty * floats(total["gradient"]) - point.beta,
            self.penalty * unpack(floats(total["curvature"]), q) + np.eye(q),
        )


def sigmoid_schema(ask: Ask) -> Schema:
    """Declare the derivatives of the sigmoids that still move."""
    n = len(ask.arrays["beta"])
    return {"value": masked(n), "gradient": masked(n, 2), "curvature": masked(n, n_packed(2))}


def sigmoid_sums(ask: Ask, decisions: Floats, y: Floats, trains: Sequence[Bools]) -> Sums:
    """Return a site's derivatives of the sigmoids' likelihoods."""
    problems, targets = whole(ask.arrays["problems"]), floats(ask.arrays["targets"])
    values, gradients, curvatures = [], [], []
    for i, b in enumerate(floats(ask.arrays["beta"])):
        train = trains[problems[i]]
        aim = targets[i][y[train].astype(np.int64)]
        value, gradient, curvature = derivatives(with_intercept(decisions[train, None]), aim, b)
        values.append(value)
        gradients.append(gradient)
        curvatures.append(pack(curvature))
    return {
        "value": np.array(values),
        "gradient": np.array(gradients),
        "curvature": np.array(curvatures),
    }


@dataclass(frozen=True)
class Sigmoid:
    """Asks the sites for derivatives of sigmoids of the machines' decisions.

    Attributes:
        machine: what makes features.
        weights: of the machines, shape (P, q).
        classes: cases without and with the event by problem, shape (P, 2).
    """

    machine: Machine
    weights: Floats
    classes: Floats

    def start(self) -> Floats:
        """Return a slope of 2 without an intercept, shape (P, 2).

        A squared loss brings f near 2 P - 1, and log(P / (1 - P)) = 2 f + O(f^3) there.
        """
        return np.tile([0.0, 2.0], (len(self.classes), 1))

    def ask(self, point: Point) -> Ask:
        """Return the question at a point, with Platt's softened targets."""
        n = self.classes[point.problems]
        targets = np.column_stack([1.0 / (n[:, 0] + 2.0), (n[:, 1] + 1.0) / (n[:, 1] + 2.0)])
        arrays = {"problems": point.problems, "beta": point.beta, "targets": targets}
        return Ask("sigmoid", {}, {**arrays, "weights": self.weights, **self.machine.arrays()})

    def read(self, point: Point, total: Sums) -> Local:
        """Return the log-likelihoods and their derivatives."""
        curvature = unpack(floats(total["curvature"]), 2)
        return Local(floats(total["value"]), floats(total["gradient"]), curvature)
