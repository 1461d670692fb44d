"""What a model file may hold: the one list that decides which classes a file can bring to life."""

from __future__ import annotations

from typing import Any

from histoclf.classifiers._cnn import HistoCNNClassifier
from histoclf.classifiers._contract import InputContract
from histoclf.classifiers._reading import InputFormat
from histoclf.preprocessing._augmentation import Augmentation

# A new classifier is one more name here.
CLASSIFIERS: dict[str, Any] = {cls.__name__: cls for cls in (HistoCNNClassifier,)}

# Objects inside a classifier that are nothing but named fields, which their constructor takes by name.
RECORDS: dict[str, Any] = {cls.__name__: cls for cls in (Augmentation, InputContract, InputFormat)}
