"""Writes minilm.json, the vectors that bert_test.go compares with: the same texts through the tokenizers
and onnxruntime packages of PyPI.

    python reference.py FOLDER MODEL.onnx     # the folder of tokenizer.json, and the same weights as ONNX
"""

import json
import os
import sys

import numpy
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(os.path.join(sys.argv[1], "tokenizer.json"))
tokenizer.no_padding()
tokenizer.no_truncation()
session = onnxruntime.InferenceSession(sys.argv[2])
cases = os.path.join(os.path.dirname(os.path.abspath(__file__)), "minilm.json")
texts = [case["text"] for case in json.load(open(cases))]


def vector(ids):
    ones = numpy.ones((1, len(ids)), numpy.int64)
    states = session.run(None, {"input_ids": numpy.array([ids]), "attention_mask": ones, "token_type_ids": 0 * ones})[0]
    mean = states[0].mean(0)
    return mean / numpy.linalg.norm(mean)


with open(cases, "w") as out:
    out.write("[\n")
    for i, text in enumerate(texts):
        ids = tokenizer.encode(text).ids
        case = {"text": text, "ids": ids, "vector": [round(float(v), 6) for v in vector(ids)]}
        out.write(json.dumps(case) + ("," if i + 1 < len(texts) else "") + "\n")
    out.write("]\n")
