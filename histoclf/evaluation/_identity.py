"""How well colour tells which patient, or which site, a patch is from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoclf.evaluation._shortcuts import COLOUR, HISTOGRAM
from histoclf.metrics._weighted import weighted_balanced_accuracy

_N_FOLDS = 5


@dataclass(frozen=True)
class IdentityProbe:
    """How well a shortcut tells where a patch is from.

    Parameters
    ----------
    shortcut : str
        What it was told from.
    target : {"patient", "site"}
        What was asked for.
    balanced_accuracy : float
        Of a linear discriminant analysis: on other patches of the same patients, or on other patients of the
        same sites.
    n_targets : int
        How many patients or sites there were to choose from.

    Examples
    --------
    >>> from histoclf.evaluation import IdentityProbe
    >>> IdentityProbe("mean colour", "patient", 0.4, 10).chance
    0.1
    """

    shortcut: str
    target: str
    balanced_accuracy: float
    n_targets: int

    @property
    def chance(self) -> float:
        """What guessing has."""
        return 1 / self.n_targets

    def to_dict(self) -> dict[str, Any]:
        """Return names and numbers.

        Returns
        -------
        content : dict
            By the names of the fields, and the chance.
        """
        return asdict(self) | {"chance": self.chance}


def probe_identity(
    tables: dict[str, np.ndarray], groups: np.ndarray | None, sites: np.ndarray | None, random_state: int
) -> tuple[IdentityProbe, ...]:
    """Ask which patient a patch is from, and which site.

    Parameters
    ----------
    tables : dict of str to ndarray of n_samples rows
        Shortcuts; those of colour are used.
    groups, sites : ndarray of shape (n_samples,) or None
        Patients; and where they were treated, scanned, ...
    random_state : int
        Seed of the folds.

    Returns
    -------
    probes : tuple of IdentityProbe
        Patients with fewer than five patches, and sites with a single patient, are left out.
    """
    colours = {name: table for name, table in tables.items() if name in (COLOUR, HISTOGRAM)}
    probes = []
    for name, table in colours.items():
        if groups is not None:
            probes.append(_probe(name, "patient", table, groups, np.arange(len(groups)), random_state))
        if groups is not None and sites is not None:
            probes.append(_probe(name, "site", table, sites, groups, random_state))
    return tuple(probe for probe in probes if probe is not None)


def _probe(
    shortcut: str, target: str, table: np.ndarray, wanted: np.ndarray, units: np.ndarray, random_state: int
) -> IdentityProbe | None:
    """Predict `wanted` in folds that keep `units` together."""
    n_units = {value: len(np.unique(units[wanted == value])) for value in np.unique(wanted)}
    of_patients = target == "patient"
    n_folds = _N_FOLDS if of_patients else min([_N_FOLDS, *(n for n in n_units.values() if n > 1)])
    rows = np.flatnonzero(np.isin(wanted, [value for value, n in n_units.items() if n >= n_folds]))
    values, codes = np.unique(wanted[rows], return_inverse=True)
    if len(values) < 2:
        return None
    splitter = (StratifiedKFold if of_patients else StratifiedGroupKFold)(
        n_folds, shuffle=True, random_state=random_state
    )
    split = splitter.split(table[rows], codes, None if of_patients else units[rows])
    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    if of_patients:  # of sites, a fold may train on fewer
        model.set_params(lineardiscriminantanalysis__priors=np.full(len(values), 1 / len(values)))
    predicted = cross_val_predict(model, table[rows], codes, cv=list(split))
    score = float(weighted_balanced_accuracy(codes, predicted, len(values))[0])
    return IdentityProbe(shortcut, target, score, len(values))
