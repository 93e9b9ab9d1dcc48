"""ONNX Runtime behind FastAPI, as tutorials write it: one image a request, decoded and run where it arrives.

Run: python serve_plain.py MODEL.onnx HEIGHT WIDTH CHANNELS PORT
"""

import io
import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

model, height, width, channels, port = sys.argv[1], *map(int, sys.argv[2:6])
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
app = FastAPI()


@app.post("/predict")
def predict(image: UploadFile):
    picture = Image.open(io.BytesIO(image.file.read())).convert("L" if channels == 1 else "RGB").resize((width, height))
    pixels = np.asarray(picture, np.uint8).reshape(1, height, width, channels)
    found = session.run(["probabilities"], {"pixels": pixels})[0][0]
    return {"label": int(found.argmax()), "probability": float(found.max())}


uvicorn.run(app, port=port, log_level="warning")
