"""Train on the digits that ship with scikit-learn, look at the report, and ask the network about one image.

Run: python examples/classification.py
"""

import foveal

dataset = foveal.look("digits")
print(f"{len(dataset)} images of {', '.join(dataset.labels)}")

run = foveal.train(dataset, epochs=8)
report = foveal.Report.read(run.report / "report.json")
print(f"test accuracy {report.scores['accuracy']}, always the commonest: {report.baselines['majority']['accuracy']}")

predictor = foveal.load(run)
file = dataset.files[0]
answer = predictor(dataset.source.read(file))
print(f"{file} is a {answer.label}, probability {answer.probability:.3f}")
