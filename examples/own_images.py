"""Images that are arrays already, and what the classifier says when they are not what it was trained on."""

import numpy as np

from histoclf import HistoCNNClassifier, make_patches
from histoclf.exceptions import InputContractError


def say(what: str, clf: HistoCNNClassifier, images: np.ndarray) -> None:
    """Print the answer, or the error."""
    try:
        print(f"{what}: {clf.predict(images).tolist()}")
    except InputContractError as error:
        print(f"{what}: {type(error).__name__}\n    {error}")


def main() -> None:
    """Train on 8-bit images, then ask about images as mistakes make them."""
    patches = make_patches(n_patients=4, patches_per_patient=40, random_state=0)
    images = patches.images  # uint8, (n, height, width, 3); leave them as they are
    clf = HistoCNNClassifier(epochs=15, batch_size=16, random_state=0, verbose=1)
    clf.fit(images, patches.labels)  # verbose=1 says what it took the images for
    print("Keras model of its own:", clf.model_.name, clf.model_.input_shape, "->", clf.model_.output_shape)

    few = images[:2]
    say("As in fit", clf, few)
    say("Divided by 255", clf, few / 255)
    say("Divided twice", clf, few / 255 / 255)
    say("Gray", clf, few.mean(axis=-1, keepdims=True))
    say("Of another size", clf, few[:, :32, :32])
    say("Channels first", clf, np.moveaxis(few, -1, 1))
    say("One image", clf, few[0])


if __name__ == "__main__":
    main()
