"""The founding recipe in Keras: python with_keras.py FOLDER EPOCHS

VGG16 without its top, frozen, global average pooling, a softmax layer, Adam. The backend is that of $KERAS_BACKEND.
"""

import json
import resource
import sys
import time
from pathlib import Path

import keras


def main(folder: str, epochs: int) -> None:
    keras.utils.set_random_seed(0)
    train, val = (
        keras.utils.image_dataset_from_directory(
            Path(folder) / split, image_size=(224, 224), batch_size=32, shuffle=split == "train"
        )
        for split in ("train", "val")
    )
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))
    base.trainable = False
    inputs = keras.Input((224, 224, 3))
    x = base(keras.applications.vgg16.preprocess_input(inputs), training=False)
    outputs = keras.layers.Dense(len(train.class_names), activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train.take(1), validation_data=val.take(1), verbose=0)  # building its graph does not count
    started = time.perf_counter()
    history = model.fit(train, validation_data=val, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - started
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "epochs": epochs, "peak": peak, "accuracy": history.history["val_accuracy"][-1]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
