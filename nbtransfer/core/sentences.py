"""All sentences that a worker writes into the journal, by code, in English.

`{size:bytes}`, `{seconds:duration}` and `{number:short}` put a number into words, `{views:count view}` counts,
`{items:list}` joins sentences and `{items:names}` names.
A code is for ever: a sentence with other arguments gets another one.
"""

from __future__ import annotations

SENTENCES = {
    # Errors that have no code of their own
    "error": "{text}",
    "unexpected": "{kind}: {text}; the traceback is in the run's log, please report it",
    # Why a run rests
    "pause.by": "paused by {sender}",
    "pause.disk": "the disk is full; free some space, and the run goes on by itself",
    "pause.left": "the worker has ended to give its memory back; resume starts another",
    # Why a run ended
    "end.by": "stopped by {sender}",
    "end.diverged": "the loss became {loss} at learning rate {lr:.2g}; start again with a smaller lr, such as {smaller:.1g}",
    "end.repeated": "stopped where the run that is repeated was stopped",
    "end.signal": "asked to end by a signal",
    "end.with_model": "{why} (the model is that of epoch {epoch})",
    "end.without_model": "{why} (no epoch had ended, so there is no model)",
    # Why a worker failed
    "fail.compile": "the model could not be compiled; use compile=False, or see the run's log for what is missing "
    "(a C++ compiler, say)",
    "fail.disk": "the disk is full; free some space, then resume() goes on from the newest checkpoint",
    "fail.facts": "checkpoint {name} does not fit this version of nbtransfer ({error}); resume the run with the version that "
    "wrote it, or start it again with nbtransfer.repeat",
    "fail.format": "checkpoint {name} has format {number}, and this version of nbtransfer goes on from formats up to {known}; "
    "resume the run with the version that wrote it, or start it again with nbtransfer.repeat",
    "fail.import": "the worker could not load what it needs ({error}); run `nbtransfer doctor` in this environment",
    "fail.interrupted": "interrupted",
    "fail.layers": "checkpoint {name} was written with {backbone} cut into other layers; resume the run with the versions of "
    "nbtransfer and timm that began it, or start it again",
    "fail.missing": "{count} of {total:count image} of {where} cannot be used ({names:names}), more than the share of "
    "{most:.2g} that a run may lose; restore them, make the task again, or allow it with max_missing=1",
    "fail.memory": "out of memory ({error}); use a smaller batch_size or image_size, or freeze more layers",
    # Answers to commands
    "answer.change": "from the next step on",
    "answer.checkpoint": "everything is on the disk",
    "answer.pause": "paused after this step; everything is on the disk",
    "answer.resume": "going on",
    "answer.stop": "stopping after this step",
    "refused.changed": "{sender} has changed the run meanwhile ({change}); look at it again, then repeat this if it still fits",
    "refused.late": "it came too late: the run has ended",
    "refused.name": "its file name does not match its id",
    "refused.size": "it is too large to be a command",
    "refused.stopping": "the run is stopping already",
    "refused.text": "it is not a command ({error})",
    "refused.unknown": "this worker knows no command {op!r}; it knows {known}",
    # What learns under a plan
    "plan.all": "all {of:short} shared parameters learn",
    "plan.none": "no shared layer learns (0 of {of:short})",
    "plan.some": "{learning:short} of {of:short} shared parameters learn: {stages:names}",
    "plan.part": "part of {stage}",
    # Decisions
    "measure.no_images": "no image to measure on could be decoded",
    "precision.device": "{device} here does not compute in bf16 itself",
    "precision.forward": "bf16 takes {ratio:.2f} of the time of fp32 for a forward pass on {images:count image}; "
    "features differ by {percent:.1f} %",
    "precision.step": "bf16 takes {ratio:.2f} of the time of fp32 for a training step on {images:count image}; "
    "features differ by {percent:.1f} %",
    "precision.torch": "torch {version} cannot tell whether this processor computes in bf16 itself; 2.11 and newer can",
    "folding.used": "{layers:count normalisation layer} folded; features differ by {deviation:.1e} of their norm",
    "folding.unused": "with normalisation layers folded, features would differ by {deviation:.1e} of their norm",
    "cache.amount": "the activations of {layer} take {size:bytes} for {views:count view} of each image",
    "cache.large": "the activations of {layer} take {size:bytes} for {views:count view} of each image, more than the images "
    "themselves",
    "cache.computed": "computed once",
    "cache.computed_from": "computed once from the activations of {layer}",
    "cache.stored": "computed before",
    "cache.expected": "{amount}, {origin}: {seconds:duration} expected",
    "cache.pays": "{amount}, {origin}: {seconds:duration} expected instead of {otherwise:duration}",
    "cache.saves_little": "{amount}; keeping them would take {seconds:duration} instead of {otherwise:duration}, too little "
    "to be worth it",
    "cache.slower": "{amount}; keeping them would take {seconds:duration} instead of {otherwise:duration}",
    "cache.no_room": "{amount}, and there is room for {room:bytes}",
    "cache.error": "the activations of {layer} cannot be kept ({error})",
    "cache.new_views": "every epoch draws new views of the images; views=8 draws eight once and reuses them",
    # Warnings
    "warn.checkpoint": "{error}; it is put aside, and the one before is used",
    "warn.checkpoint_alone": "{error}; it is put aside, and the run starts over: there is no other",
    "warn.different": "from here on results are not bit-identical to an uninterrupted run: {differences:list}",
    "warn.in_memory": "the activations of {layer} are kept in memory, for this run only: {error}",
    "warn.newer": "a newer nbtransfer has written to this run; update nbtransfer to see what it added",
    "warn.no_scores": "none of the {split} images can be decoded, so there are no scores on them",
    "warn.parts": "a batch of {images} does not fit into the memory of the GPU; from here on it is computed in {parts} parts, "
    "one step of the optimiser for all of them",
    "warn.parts_of": "a batch of {images} does not fit into the memory of the GPU ({used:bytes} of {total:bytes}); from here "
    "on it is computed in {parts} parts, one step of the optimiser for all of them",
    "warn.solver": "the solver stopped before the optimum of the head: its loss may be {gap:.1g} nats above the least",
    "warn.statistics": "normalisation statistics of {images} images are noisy; use batch_size={least} or more, or keep the "
    "stored ones with FreezePlan.norm('frozen')",
    "difference": "{name} is {now}, was {then}",
    # Images that are left out
    "array.changed": "the array file changed after the task was made",
    "array.damaged": "the array file is damaged ({error})",
    "array.other": "the array file does not hold images as written by nbtransfer",
    "array.row": "{row!r} is not a row number",
    "array.short": "the array file has no such row",
    "image.aspect": "its header claims {width} × {height} pixels, one side more than {most:g} times the other, which usually "
    "means damage; if the size is right, make the task with max_aspect={aspect}",
    "image.changed": "it changed after the task was made",
    "image.dark": "its 16-bit colours reach only {most:,} of 65,535, and only their upper 8 bits are read; convert it to "
    "8 bits per colour",
    "image.claim": "it claims {width} × {height} pixels",
    "image.damaged": "it is damaged ({error})",
    "image.empty": "it is empty",
    "image.float": "it has floating-point values of unknown range; convert it to 8 or 16 bits",
    "image.gone": "it is gone",
    "image.none": "it is not an image ({error})",
    "image.outside": "it is outside the folder of the task",
    "image.pixels": "it claims more than {millions} million pixels",
    "image.range": "its values lie outside 16 bits; convert it to 8 or 16 bits",
    "image.relabelled": "{dataset} labels it {now}, but its class was {then!r} when the task was made",
}
