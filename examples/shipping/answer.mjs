// Answer with an exported network in Node 20 or later, without Foveal and without a server.
// Run: foveal export runs/photos-1 --whole
//      npm install --prefix examples/shipping
//      node examples/shipping/answer.mjs runs/photos-1/bundle one.jpg two.png
// sharp decodes; whole.onnx resizes, normalises, and gives probabilities. Labels are in bundle.json.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";

const [bundle, ...files] = process.argv.slice(2);
const about = JSON.parse(await readFile(join(bundle, "bundle.json"), "utf8"));
const session = await InferenceSession.create(join(bundle, "whole.onnx"));
for (const file of files) {
  const upright = sharp(file).rotate().flatten({ background: "white" });
  const coloured = upright.toColourspace(about.input.channels === 1 ? "b-w" : "srgb");
  const { data, info } = await coloured.raw().toBuffer({ resolveWithObject: true });
  const image = new Tensor("uint8", data, [1, info.height, info.width, info.channels]);
  const { probabilities, strangeness } = await session.run({ image });
  const best = probabilities.data.indexOf(Math.max(...probabilities.data));
  const unlike = strangeness ? strangeness.data[0] > 1 : false;
  const answer = { file, label: about.labels[best], probability: probabilities.data[best], unlike };
  console.log(JSON.stringify(answer));
}
