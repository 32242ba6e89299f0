"""fastai, as its tutorial does it: python with_fastai.py FOLDER BACKBONE {frozen,full} EPOCHS

No augmentation and batches of 32, to be the same job; its defaults otherwise: helpers that decode, and normalisation layers
that learn also where the rest is frozen. The first batch, which prepares kernels, does not count.
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
    loaders = ImageDataLoaders.from_folder(folder, valid="val", item_tfms=Resize(224), bs=32)
    architecture = "tf_efficientnet_lite0" if backbone == "efficientnet_lite0" else getattr(models, backbone, backbone)
    learner = vision_learner(loaders, architecture, pretrained=False, metrics=accuracy)
    learner.freeze() if what == "frozen" else learner.unfreeze()
    images, labels = loaders.one_batch()
    learner.loss_func(learner.model(images), labels).backward()
    learner.model.zero_grad()
    started = time.perf_counter()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
    seconds = time.perf_counter() - started
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    last = float(learner.recorder.values[-1][-1])
    print(json.dumps({"seconds": seconds, "epochs": epochs, "peak": peak, "accuracy": last}))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
