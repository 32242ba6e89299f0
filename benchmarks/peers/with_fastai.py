"""fastai, as its tutorial does it: python with_fastai.py FOLDER BACKBONE {frozen,full} EPOCHS

No augmentation, to be the same job; its defaults otherwise.
"""

import json
import resource
import sys
import time

import torch
from fastai.vision.all import ImageDataLoaders, Resize, accuracy, models, set_seed, vision_learner


def main(folder: str, backbone: str, what: str, epochs: int) -> None:
    set_seed(0)
    torch.set_num_threads(2)
    loaders = ImageDataLoaders.from_folder(folder, valid="val", item_tfms=Resize(224), bs=32, num_workers=0)
    architecture = getattr(models, backbone, "tf_efficientnet_lite0")
    learner = vision_learner(loaders, architecture, pretrained=False, metrics=accuracy)
    learner.freeze() if what == "frozen" else learner.unfreeze()
    started = time.perf_counter()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
    seconds = time.perf_counter() - started
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    last = float(learner.recorder.values[-1][-1])
    print(json.dumps({"seconds": seconds, "epochs": epochs, "peak": peak, "accuracy": last}))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
