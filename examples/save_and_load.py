"""Keep a model: in a file without pickle, or with joblib."""

import tempfile
from pathlib import Path

import joblib
import numpy as np

from histoclf import HistoCNNClassifier, load_model, make_patches, save_model
from histoclf.exceptions import ModelFileError


def main() -> None:
    """Train, save in both ways, load again, and compare."""
    patches = make_patches(n_patients=4, patches_per_patient=40, random_state=0)
    clf = HistoCNNClassifier(epochs=15, batch_size=16, random_state=0)
    clf.fit(patches.images, patches.labels)
    expected = clf.predict_proba(patches.images)

    with tempfile.TemporaryDirectory() as folder:
        safe, pickled = Path(folder, "breast.histoclf"), Path(folder, "breast.joblib")
        save_model(clf, safe)  # no pickle inside: safe to load from a stranger
        joblib.dump(clf, pickled)  # for whole pipelines and searches too; load only what you trust
        for path, load in ((safe, load_model), (pickled, joblib.load)):
            same = np.array_equal(load(path).predict_proba(patches.images), expected)
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB, same probabilities: {same}")

        safe.write_bytes(safe.read_bytes()[:1000])  # as a broken download would leave it
        try:
            load_model(safe)
        except ModelFileError as error:
            print("Cut short:", str(error).replace(folder, "..."))


if __name__ == "__main__":
    main()
