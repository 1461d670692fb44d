"""Let the neighbours of a patch on its slide have a say, and compare with baselines that have them too."""

from histoclf import HistoTransferClassifier, SlideContextClassifier, compare, evaluate, make_patches


def main() -> None:
    """Evaluate a classifier by itself, and with the context of the slide."""
    patches = make_patches(n_patients=8, patches_per_patient=36, image_size=32, random_state=0)
    clf = HistoTransferClassifier(random_state=0)
    alone = evaluate(clf, patches.images, patches.labels, groups=patches.groups, cv=3)
    print(alone)
    # Files whose names tell slide and position need neither `groups` nor `coords`.
    in_context = SlideContextClassifier(clf, random_state=0)
    where = {"groups": patches.groups, "coords": patches.coords}
    with_context = evaluate(in_context, patches.images, patches.labels, **where, cv=3)
    print(with_context)
    print(compare([with_context, alone]))


if __name__ == "__main__":
    main()
